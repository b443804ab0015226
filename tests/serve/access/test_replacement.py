"""A web configuration that changes under load: no request is cut."""

from __future__ import annotations

import asyncio
from pathlib import Path

import yaml

from tests.serve.access.conftest import hashed
from tests.serve.access.test_guard import USERS, basic, configured, serving


async def _ask_again_and_again(host: str, port: int, stop: asyncio.Event) -> int:
    """Ask on one connection until the server says that it closes it, then on the next."""
    head = "".join(f"{name}: {value}\r\n" for name, value in basic("ops", "right").items())
    request = f"GET /who HTTP/1.1\r\nHost: {host}\r\n{head}\r\n".encode()
    answered = 0
    while not stop.is_set():
        reader, writer = await asyncio.open_connection(host, port)
        try:
            while not stop.is_set():
                writer.write(request)
                told = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
                assert told.startswith("http/1.1 200"), told
                await reader.readexactly(int(told.split("content-length: ")[1].split()[0]))
                answered += 1
                if "connection: close" in told:
                    break
        finally:
            writer.close()
    return answered


async def test_a_new_configuration_cuts_no_request(tmp_path: Path) -> None:
    settings = configured(tmp_path, USERS | {"rate_limit": {"interval": "0", "burst": 1}})
    assert settings.web_config is not None
    async with serving(settings) as (url, guarded):
        host, port = url.rpartition("/")[2].split(":")
        stop = asyncio.Event()
        asking = [
            asyncio.create_task(_ask_again_and_again(host, int(port), stop)) for _ in range(4)
        ]
        for number in range(10):
            users = {name: hashed("right") for name in ("ops", f"user{number}")}
            config = {"basic_auth_users": users, "rate_limit": {"interval": "0", "burst": 1}}
            settings.web_config.write_text(yaml.safe_dump(config), "utf-8")
            await guarded.watch()
            await asyncio.sleep(0.1)
        stop.set()
        assert all([await task > 10 for task in asking])


async def test_an_idle_connection_hears_that_it_ends(tmp_path: Path) -> None:
    settings = configured(tmp_path, USERS | {"rate_limit": {"interval": "0", "burst": 1}})
    assert settings.web_config is not None
    async with serving(settings) as (url, guarded):
        host, port = url.rpartition("/")[2].split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        request = f"GET /healthz HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()

        async def is_kept() -> bool:
            writer.write(request)
            head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
            await reader.readexactly(int(head.split("content-length: ")[1].split()[0]))
            return "connection: close" not in head

        assert await is_kept()
        users = {"other": hashed("right")}
        config = {"basic_auth_users": users, "rate_limit": {"interval": "0", "burst": 1}}
        settings.web_config.write_text(yaml.safe_dump(config), "utf-8")
        await guarded.watch()
        # The server that is replaced looks every tenth of a second.
        async with asyncio.timeout(60):
            while await is_kept():
                pass
        assert await reader.read() == b""
        writer.close()
