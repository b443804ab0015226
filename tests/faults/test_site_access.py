"""TLS and sign-in of sites, against real listeners with certificates of their own."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trustme

from exporter.config.fleet_file import FleetFileError, parse_fleet
from exporter.config.site_secrets import SiteSecrets, SiteSecretsError, parse_site_secrets
from exporter.drivers import DRIVERS
from exporter.drivers.transport.http.json_client import HttpClient, get_json
from exporter.drivers.transport.http.trust import Trust
from exporter.model.snapshot import Outcome, ScrapeError

HEAD = b"HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n"


class Site:
    """Answers over TLS and keeps what it was asked."""

    def __init__(self, authority: trustme.CA, *names: str) -> None:
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        certificate = authority.issue_cert(*names)
        certificate.configure_cert(self.context)
        chain = certificate.cert_chain_pems[0].bytes().decode()
        der = ssl.PEM_cert_to_DER_cert(chain)
        self.fingerprint = hashlib.sha256(der).hexdigest()
        self.heads: list[str] = []
        self.url = ""

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            self.heads.append((await reader.readuntil(b"\r\n\r\n")).decode())
            writer.write(HEAD + b'{"ok": true}')
            await writer.drain()
        writer.close()

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[Site]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self.context)
        self.url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        try:
            yield self
        finally:
            server.close()
            await server.wait_closed()


async def fetch(site: Site, trust: Trust, authorization: str | None = None) -> object:
    async with HttpClient() as http:
        try:
            return await get_json(
                http, site.url, "/value", {}, trust=trust, authorization=authorization
            )
        finally:
            await asyncio.sleep(0.01)


async def refused(site: Site, trust: Trust) -> str:
    with pytest.raises(ScrapeError) as caught:
        await fetch(site, trust, "Bearer s3cret")
    assert caught.value.outcome is Outcome.TLS
    assert "127.0.0.1" not in caught.value.detail
    assert site.heads == []
    return caught.value.detail


async def test_own_authority(tmp_path: Path) -> None:
    authority, other = trustme.CA(), trustme.CA()
    for made, name in ((authority, "own.pem"), (other, "other.pem")):
        made.cert_pem.write_to_path(str(tmp_path / name))
    own = Trust(ca_file=str(tmp_path / "own.pem"))
    async with Site(authority, "127.0.0.1").running() as site:
        assert "certificate verify failed" in await refused(site, Trust())
        await refused(site, Trust(ca_file=str(tmp_path / "other.pem")))
        assert await fetch(site, own) == {"ok": True}
        (tmp_path / "own.pem").unlink()
        site.heads.clear()
        assert "ca_file: cannot be read" in await refused(site, own)
    own_again = Trust(ca_file=str(tmp_path / "other.pem"))
    async with Site(other, "elsewhere.example.com").running() as site:
        assert "endpoint's host" in await refused(site, own_again)


async def test_one_certificate() -> None:
    authority = trustme.CA()
    async with Site(authority, "elsewhere.example.com").running() as site:
        assert await fetch(site, Trust(certificate_sha256=site.fingerprint)) == {"ok": True}
    async with Site(authority, "127.0.0.1").running() as impostor:
        detail = await refused(impostor, Trust(certificate_sha256=site.fingerprint))
        assert "not the one of certificate_sha256" in detail


MISTAKES = {
    "no TLS": (
        "http://a",
        {"certificate_sha256": "a" * 64},
        f'sites[0].certificate_sha256: "{"a" * 64}": needs an api_endpoint with https',
    ),
    "no fingerprint": ("https://a", {"certificate_sha256": "12"}, "64 hexadecimal digits"),
    "both": (
        "https://a",
        {"ca_file": "fleet.yaml", "certificate_sha256": "a" * 64},
        "is given in addition to ca_file",
    ),
    "no file": (
        "https://a",
        {"ca_file": "none.pem"},
        'ca_file: "none.pem": cannot be read: No such file',
    ),
    "no certificates": ("https://a", {"ca_file": "fleet.yaml"}, "is not a file of certificates"),
    "device": ("https://a", {"ca_file": "/dev/zero"}, "is not a file of certificates"),
    "folder": ("https://a", {"ca_file": "."}, "is not a file of certificates"),
}


@pytest.mark.parametrize(("url", "keys", "message"), MISTAKES.values(), ids=MISTAKES.keys())
def test_mistakes_of_the_fleet_file(
    tmp_path: Path, url: str, keys: dict[str, str], message: str
) -> None:
    path = tmp_path / "fleet.yaml"
    lines = "".join(f"    {key}: '{value}'\n" for key, value in keys.items())
    path.write_text(f"sites:\n  - id: a\n    api_endpoint: {url}\n{lines}", "utf-8")
    with pytest.raises(FleetFileError) as caught:
        parse_fleet(path.read_text("utf-8"), path, DRIVERS)
    assert message in str(caught.value)


def test_a_ca_file_is_relative_to_the_fleet_file(tmp_path: Path) -> None:
    trustme.CA().cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    text = "sites: [{id: a, api_endpoint: 'https://a', ca_file: ca.pem}, {id: b, api_endpoint: 'http://b'}]"
    fleet = parse_fleet(text, tmp_path / "fleet.yaml", DRIVERS)
    found = [site.options.trust.ca_file for site in fleet.sites]
    assert found == [str(tmp_path / "ca.pem"), None]


SECRETS = """
a: {endpoint: "https://a.example.com", username: ops, password: "s3cret pässword"}
b: {endpoint: "http://192.0.2.1:8088/x", token: s3cret-token}
"""


def test_secrets_go_to_their_own_endpoint_alone(caplog: pytest.LogCaptureFixture) -> None:
    secrets = SiteSecrets(SECRETS, None, lambda: 0.0)
    basic = "Basic b3BzOnMzY3JldCBww6Rzc3dvcmQ="
    for url in ("https://a.example.com", "https://A.example.com:443/prefix"):
        assert secrets.authorization("a", url) == basic
    assert secrets.authorization("b", "http://192.0.2.1:8088") == "Bearer s3cret-token"
    elsewhere = ("http://a.example.com", "https://a.example.com:444", "https://evil.example.com")
    for url in elsewhere:
        assert secrets.authorization("a", url) is None
    assert secrets.authorization("none", "https://a.example.com") is None
    assert caplog.text.count("site a: its secret is for another endpoint") == 1
    assert "s3cret" not in caplog.text


def test_a_secrets_file_is_read_again_and_a_wrong_one_is_not_taken(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="exporter")
    path, now = tmp_path / "secrets.yaml", [0.0]
    path.write_text(SECRETS, "utf-8")
    secrets = SiteSecrets(None, path, lambda: now[0])

    def of_b() -> str | None:
        now[0] += 5
        return secrets.authorization("b", "http://192.0.2.1:8088")

    assert of_b() == "Bearer s3cret-token"
    path.write_text(SECRETS.replace("s3cret-token", "s3cret-other"), "utf-8")
    assert of_b() == "Bearer s3cret-other"
    path.write_text("b: {token: s3cret}", "utf-8")
    assert of_b() == "Bearer s3cret-other"
    assert secrets.successful is False
    assert caplog.text.count("site secrets refused") == 1
    assert "s3cret" not in caplog.text


WRONG = [
    "a: s3cret",
    "a: {endpoint: 'https://x'}",
    "a: {endpoint: 'https://x', token: s3cret, username: a, password: s3cret}",
    "a: {endpoint: 'https://x', username: s3cret}",
    "a: {endpoint: 'https://u:s3cret@x', token: s3cret}",
    "a: {endpoint: 'https://x:99999', token: s3cret}",
    'a: {endpoint: "https://x", token: "s3cret\\r\\nX: 1"}',
    "a: {endpoint: 'https://x', token: s3crèt}",
    "a: {endpoint: 'https://x', username: 'a:b', password: s3cret}",
    "a: {endpoint: 'https://x', token: s3cret, more: s3cret}",
    "a: [s3cret",
]


@pytest.mark.parametrize("text", WRONG)
def test_wrong_secrets_are_told_without_a_secret(text: str) -> None:
    with pytest.raises(SiteSecretsError) as caught:
        parse_site_secrets(text, "FLEETSCOPE_SITE_SECRETS")
    assert "s3cr" not in str(caught.value)


async def test_a_secret_is_sent_as_it_should_be() -> None:
    authority = trustme.CA()
    async with Site(authority, "127.0.0.1").running() as site:
        trust = Trust(certificate_sha256=site.fingerprint)
        await fetch(site, trust, "Bearer s3cret")
        await fetch(site, trust)
    with_secret, without = site.heads
    assert "Authorization: Bearer s3cret\r\n" in with_secret
    assert "authorization" not in without.lower()
