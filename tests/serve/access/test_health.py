"""The container's health check, whatever the web configuration asks of callers."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from exporter.cli.healthcheck import fault
from tests.serve.access.conftest import Certificates, hashed
from tests.serve.access.test_guard import configured, serving
from tests.serve.access.test_tls import tls


@pytest.mark.parametrize("kind", ["plain", "tls", "passwords", "certificates of callers"])
async def test_it_is_well(kind: str, tmp_path: Path, certificates: Certificates) -> None:
    config = None
    if kind != "plain":
        config = tls(certificates.issue("server.pem", "exporter.example.com"))
    if config and kind == "passwords":
        config["basic_auth_users"] = {"ops": hashed("right")}
    if config and kind == "certificates of callers":
        demand = {"client_auth_type": "RequireAndVerifyClientCert"}
        ca = {"client_ca_file": certificates.file.name}
        config = tls(certificates.issue("server.pem", "exporter.example.com"), **demand, **ca)
    async with serving(configured(tmp_path, config)) as (url, _):
        assert await asyncio.to_thread(fault, url.partition("://")[2]) is None


async def test_it_is_not() -> None:
    async def busy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(busy, "127.0.0.1", 0)
    async with server:
        place = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        assert await asyncio.to_thread(fault, place) == "answers 503"
    with socket.create_server(("127.0.0.1", 0)) as gone:
        place = f"127.0.0.1:{gone.getsockname()[1]}"
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "exporter.cli.healthcheck", place],
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert "the exporter is not well: [Errno 111]" in done.stderr
