"""Whom headers of proxies are believed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from exporter.config.settings import SettingsError, load_settings
from exporter.serve.access import protocol
from exporter.serve.access.proxies import TrustedProxies, networks_of
from tests.serve.access.test_guard import client, configured, serving

PROXY = networks_of("127.0.0.1, 10.0.0.0/8, fd00::/8")


async def seen(address: str, *headers: tuple[str, str]) -> dict[str, Any]:
    """What an application behind the proxies sees of a request."""
    found: dict[str, Any] = {}

    async def application(scope: Any, receive: Any, send: Any) -> None:
        found.update(scope)

    scope = {
        "type": "http",
        "client": (address, 1234),
        "scheme": "http",
        "headers": [(b"host", b"inside:9797"), *((n.encode(), v.encode()) for n, v in headers)],
    }
    await TrustedProxies(application, PROXY)(scope, None, None)  # type: ignore[arg-type]
    return found


FOR = "x-forwarded-for"


@pytest.mark.parametrize(
    ("address", "forwarded", "client"),
    [
        ("192.0.2.1", "198.51.100.1", "192.0.2.1"),
        ("127.0.0.1", "", "127.0.0.1"),
        ("127.0.0.1", "198.51.100.1", "198.51.100.1"),
        ("::ffff:127.0.0.1", "198.51.100.1", "198.51.100.1"),
        ("127.0.0.1", "203.0.113.9, 198.51.100.1", "198.51.100.1"),
        ("127.0.0.1", "203.0.113.9, 198.51.100.1, 10.1.2.3", "198.51.100.1"),
        ("127.0.0.1", "198.51.100.1:4711", "198.51.100.1"),
        ("127.0.0.1", "[2001:db8::1]:4711", "2001:db8::1"),
        ("fd00::5", "2001:db8::1", "2001:db8::1"),
        # What stands left of something wrong was written by anybody.
        ("127.0.0.1", "198.51.100.1, unknown", "127.0.0.1"),
        ("127.0.0.1", "198.51.100.1, unknown, 10.1.2.3", "10.1.2.3"),
        ("127.0.0.1", "10.1.2.3", "10.1.2.3"),
        ("127.0.0.1", ",".join(["198.51.100.1", *["10.0.0.1"] * 99]), "10.0.0.1"),
    ],
)
async def test_the_client_is_the_last_who_is_no_proxy(
    address: str, forwarded: str, client: str
) -> None:
    headers = [(FOR, forwarded)] if forwarded else []
    assert (await seen(address, *headers))["client"][0] == client


async def test_scheme_and_host_come_from_the_proxy() -> None:
    given = (("x-forwarded-proto", "https"), ("x-forwarded-host", "evil.example, fleet.example"))
    found = await seen("127.0.0.1", *given)
    assert found["scheme"] == "https"
    assert [v for n, v in found["headers"] if n == b"host"] == [b"fleet.example"]
    found = await seen("192.0.2.1", *given)
    assert found["scheme"] == "http"
    assert [v for n, v in found["headers"] if n == b"host"] == [b"inside:9797"]
    assert (await seen("127.0.0.1", ("x-forwarded-proto", "gopher")))["scheme"] == "http"
    lines = await seen("127.0.0.1", (FOR, "203.0.113.9"), (FOR, "198.51.100.1"))
    assert lines["client"][0] == "198.51.100.1"


async def test_callers_behind_a_trusted_proxy_have_limits_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "MOST_OF_AN_ADDRESS", 0)
    limit = {"rate_limit": {"interval": "1h", "burst": 2}}
    settings = configured(tmp_path, limit, trusted_proxies="127.0.0.0/8")
    async with serving(settings) as (url, _), client(url) as http:
        for n in (1, 2):
            headers = {"X-Forwarded-For": f"198.51.100.{n}"}
            codes = [(await http.get("/who", headers=headers)).status for _ in range(3)]
            assert codes == [200, 200, 429]
        # A page on a name of its own is refused, though the proxy asks by an address.
        headers = {"X-Forwarded-For": "198.51.100.3", "X-Forwarded-Host": "rebinding.example.net"}
        assert (await http.get("/who", headers=headers)).status == 421


def test_a_wrong_network_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLEETSCOPE_TRUSTED_PROXIES", "10.0.0.1/8")
    with pytest.raises(SettingsError, match="FLEETSCOPE_TRUSTED_PROXIES: expected networks"):
        load_settings()
