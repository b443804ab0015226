"""TLS of the exporter's own server: what it takes, and certificates and users that change."""

from __future__ import annotations

import asyncio
import os
import ssl
from pathlib import Path

import aiohttp
import pytest
import yaml

from exporter.serve.access.web_config import WebConfigError, load_web_config
from tests.serve.access.conftest import Certificates, hashed
from tests.serve.access.test_guard import basic, configured, serving


def trusting(certificates: Certificates) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(certificates.file))


def tls(path: Path, **more: object) -> dict[str, object]:
    named = {"cert_file": path.name, "key_file": path.name}
    return {"tls_server_config": named | more}


async def status(url: str, context: ssl.SSLContext, **headers: str) -> int:
    """Status of a GET on a connection of its own."""
    connector = aiohttp.TCPConnector(ssl=context, force_close=True)
    session = aiohttp.ClientSession(url, connector=connector)
    async with session as http, http.get("/who", headers=headers) as reply:
        return reply.status


async def becomes(wanted: int | type[Exception], url: str, context: ssl.SSLContext) -> None:
    """Wait until new connections are taken as they should be."""
    async with asyncio.timeout(60):
        while True:
            seen: int | type[Exception]
            try:
                seen = await status(url, context, **basic("ops", "right"))
            except aiohttp.ClientError as error:
                seen = type(error)
            if seen == wanted:
                return
            await asyncio.sleep(0.05)


async def test_it_speaks_tls_and_nothing_else(tmp_path: Path, certificates: Certificates) -> None:
    config = tls(certificates.issue("server.pem", "127.0.0.1"))
    async with serving(configured(tmp_path, config)) as (url, _):
        assert url.startswith("https://")
        context = trusting(certificates)
        assert await status(url, context) == 200
        with pytest.raises(aiohttp.ClientConnectorCertificateError):
            await status(url, ssl.create_default_context())
        with pytest.raises(aiohttp.ClientError):
            await status(url.replace("https", "http"), context)
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        assert await status(url, context) == 200


async def test_min_version_and_ciphers(tmp_path: Path, certificates: Certificates) -> None:
    path = certificates.issue("server.pem", "127.0.0.1")
    old = trusting(certificates)
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    async with serving(configured(tmp_path, tls(path, min_version="TLS13"))) as (url, _):
        with pytest.raises(aiohttp.ClientError):
            await status(url, old)
        assert await status(url, trusting(certificates)) == 200
    chosen = ["TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384"]
    async with serving(configured(tmp_path, tls(path, cipher_suites=chosen))) as (url, _):
        assert await status(url, old) == 200
        old.set_ciphers("ECDHE-ECDSA-AES128-GCM-SHA256")
        with pytest.raises(aiohttp.ClientError):
            await status(url, old)


async def test_certificates_of_clients(tmp_path: Path, certificates: Certificates) -> None:
    path = certificates.issue("server.pem", "127.0.0.1")
    config = tls(
        path,
        client_auth_type="RequireAndVerifyClientCert",
        client_ca_file=certificates.file.name,
        client_allowed_sans=["prometheus.example.com"],
    )
    async with serving(configured(tmp_path, config)) as (url, _):
        without, wrong, right = (trusting(certificates) for _ in range(3))
        wrong.load_cert_chain(certificates.issue("wrong.pem", "other.example.com"))
        right.load_cert_chain(certificates.issue("right.pem", "prometheus.example.com"))
        for context in (without, wrong):
            with pytest.raises((aiohttp.ClientError, ConnectionError)):
                await status(url, context)
        assert await status(url, right) == 200


async def test_inline_certificates(tmp_path: Path, certificates: Certificates) -> None:
    pem = certificates.issue("server.pem", "127.0.0.1").read_text("utf-8")
    config = {"tls_server_config": {"cert": pem, "key": pem}}
    async with serving(configured(tmp_path, config)) as (url, _):
        assert await status(url, trusting(certificates)) == 200


async def test_what_changes_is_taken_and_what_is_wrong_is_not(
    tmp_path: Path, certificates: Certificates, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", logger="exporter")
    path = certificates.issue("server.pem", "127.0.0.1")
    settings = configured(tmp_path, tls(path))
    async with serving(settings) as (url, door):
        context = trusting(certificates)
        assert await status(url, context) == 200

        assert settings.web_config is not None
        users = tls(path) | {"basic_auth_users": {"ops": hashed("right")}}
        settings.web_config.write_text(yaml.safe_dump(users), "utf-8")
        await door.watch()
        assert await status(url, context) == 401
        assert await status(url, context, **basic("ops", "right")) == 200

        settings.web_config.write_text("basic_auth_users: {ops: s3cret}", "utf-8")
        await door.watch()
        await door.watch()
        assert await status(url, context) == 401
        assert caplog.text.count("web configuration refused") == 1
        assert "s3cret" not in caplog.text
        assert door.successful is False

        settings.web_config.write_text(yaml.safe_dump(users), "utf-8")
        other = Certificates(type(certificates.authority)(), tmp_path / "other")
        other.folder.mkdir()
        os.replace(other.issue("server.pem", "127.0.0.1"), path)
        await door.watch()
        await becomes(aiohttp.ClientConnectorCertificateError, url, context)
        await becomes(200, url, trusting(other))
        assert door.successful

        settings.web_config.write_text("{}", "utf-8")
        await door.watch()
        await becomes(200, url.replace("https", "http"), context)


MISTAKES = {
    "unknown key": ({"tls": {}}, "tls: Extra inputs are not permitted"),
    "no key": ({"tls_server_config": {"cert_file": "a"}}, "expected either key_file or key"),
    "both": (
        {"tls_server_config": {"cert_file": "a", "cert": "b", "key_file": "c"}},
        "expected either cert_file or cert",
    ),
    "no hash": ({"basic_auth_users": {"ops": "s3cret"}}, "'ops' has no bcrypt hash"),
    "costly hash": (
        {"basic_auth_users": {"ops": "$2y$20$" + "a" * 53}},
        "has no bcrypt hash with a cost from 4 to 16",
    ),
    "user name": ({"basic_auth_users": {"a:b": hashed("x")}}, "cannot be a user name"),
    "header": ({"http_server_config": {"headers": {"X-Other": "1"}}}, "headers.X-Other"),
    "forged header": (
        {"http_server_config": {"headers": {"X-XSS-Protection": "0\r\nSet-Cookie: a"}}},
        "X-XSS-Protection",
    ),
    "frame": ({"http_server_config": {"headers": {"X-Frame-Options": "all"}}}, "X-Frame-Options"),
    "unverified": (
        {"tls_server_config": {"cert_file": "a", "key_file": "a", "client_auth_type": "Any"}},
        "client_auth_type",
    ),
    "ca without demand": (
        {"tls_server_config": {"cert_file": "a", "key_file": "a", "client_ca_file": "a"}},
        "client_ca_file goes with",
    ),
    "cipher": (
        {"tls_server_config": {"cert_file": "a", "key_file": "a", "cipher_suites": ["RC4"]}},
        "cipher_suites: expected some of",
    ),
    "curves": (
        {"tls_server_config": {"cert_file": "a", "key_file": "a", "curve_preferences": ["X"]}},
        "curve_preferences cannot be set",
    ),
    "rate": ({"rate_limit": {"interval": "soon"}}, "expected a duration"),
    "list": ([1], "valid dictionary"),
}


@pytest.mark.parametrize(("config", "message"), MISTAKES.values(), ids=MISTAKES.keys())
def test_mistakes_are_told_without_secrets(tmp_path: Path, config: object, message: str) -> None:
    path = tmp_path / "web.yml"
    path.write_text(yaml.safe_dump(config), "utf-8")
    with pytest.raises(WebConfigError) as caught:
        load_web_config(path)
    assert message in str(caught.value)
    assert "s3cret" not in str(caught.value)


def test_what_is_not_yaml_is_told_without_its_text(tmp_path: Path) -> None:
    path = tmp_path / "web.yml"
    path.write_text("basic_auth_users:\n  ops: 's3cret\n: [", "utf-8")
    with pytest.raises(WebConfigError, match=r"web.yml, line \d+: is not YAML") as caught:
        load_web_config(path)
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "not a key"])
async def test_a_key_that_cannot_be_used_stops_the_start(tmp_path: Path, text: str) -> None:
    (tmp_path / "server.pem").write_text(text, "utf-8")
    with pytest.raises(SystemExit, match="FLEETSCOPE_WEB_CONFIG: tls_server_config"):
        async with serving(configured(tmp_path, tls(tmp_path / "server.pem"))):
            pass
