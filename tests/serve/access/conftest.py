"""Certificates, users and a service behind its doors."""

from __future__ import annotations

import http.client
import ssl
from dataclasses import dataclass
from pathlib import Path

import bcrypt
import pytest
import trustme


@dataclass(slots=True)
class Certificates:
    """A certificate authority, and what it has made."""

    authority: trustme.CA
    folder: Path

    def issue(self, name: str, *hosts: str) -> Path:
        """A certificate and key in one file, for these hosts."""
        path = self.folder / name
        self.authority.issue_cert(*hosts).private_key_and_cert_chain_pem.write_to_path(str(path))
        return path

    @property
    def file(self) -> Path:
        path = self.folder / "ca.pem"
        self.authority.cert_pem.write_to_path(str(path))
        return path


@pytest.fixture
def certificates(tmp_path: Path) -> Certificates:
    return Certificates(trustme.CA(), tmp_path)


def hashed(password: str) -> str:
    """A cheap hash: what it costs is not what is tested."""
    return bcrypt.hashpw(password.encode(), bcrypt.gensalt(4)).decode()


def ask(
    url: str, path: str = "/healthz", *, context: ssl.SSLContext | None = None, **headers: str
) -> http.client.HTTPResponse:
    """One GET on a connection of its own."""
    scheme, _, place = url.partition("://")
    connection = (
        http.client.HTTPSConnection(place, timeout=30, context=context)
        if scheme == "https"
        else http.client.HTTPConnection(place, timeout=30)
    )
    connection.request("GET", path, headers=headers)
    return connection.getresponse()
