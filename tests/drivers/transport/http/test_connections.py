"""Addresses that no site may have, however they are written, and the session that refuses them."""

from __future__ import annotations

import asyncio
import ipaddress
import socket

import pytest

from exporter.config.addresses import is_refused
from exporter.drivers.transport.http.json_client import HttpClient, get_json
from exporter.model.snapshot import Outcome, ScrapeError

REFUSED = [
    "169.254.169.254",
    "169.254.0.1",
    "fe80::1",
    "fd00:ec2::254",
    "fd00:42::42",
    "::ffff:169.254.169.254",
    "64:ff9b::a9fe:a9fe",
    "2002:a9fe:a9fe::1",
    "100.100.100.200",
    "0.0.0.0",
    "::",
    "224.0.0.1",
    "ff02::1",
]
ALLOWED = ["127.0.0.1", "::1", "10.0.0.1", "192.168.1.1", "169.253.255.255", "fd00::1", "192.0.2.1"]


@pytest.mark.parametrize("address", REFUSED)
def test_addresses_that_no_site_has(address: str) -> None:
    assert is_refused(ipaddress.ip_address(address), ())


@pytest.mark.parametrize("address", ALLOWED)
def test_addresses_that_sites_have(address: str) -> None:
    assert not is_refused(ipaddress.ip_address(address), ())


def test_an_exception_is_for_that_network_alone() -> None:
    allowed = (ipaddress.ip_network("169.254.7.0/24"),)
    assert not is_refused(ipaddress.ip_address("169.254.7.9"), allowed)
    assert is_refused(ipaddress.ip_address("169.254.169.254"), allowed)


@pytest.mark.parametrize(
    "host", ["169.254.169.254", "[fe80::1]", "0xa9fea9fe", "[::ffff:a9fe:a9fe]", "meta.example"]
)
async def test_no_connection_is_tried(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """By a literal, by its odd forms, and by a name that resolves to it."""
    address = ("169.254.169.254", 80)

    async def resolved(*asked: object, **how: object) -> list[object]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", address)]

    made: list[object] = []
    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", resolved)
    monkeypatch.setattr(socket, "socket", lambda *kind: made.append(kind))
    async with HttpClient() as http:
        with pytest.raises(ScrapeError, match="link-local, metadata") as caught:
            await get_json(http, f"http://{host}", "/latest/meta-data", {})
    assert caught.value.outcome is Outcome.REFUSED
    assert "169.254" not in caught.value.detail
    assert made == []
