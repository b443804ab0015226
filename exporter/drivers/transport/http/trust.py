"""Which certificates of sites are trusted."""

from __future__ import annotations

import functools
import ssl
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from exporter.model.snapshot import Outcome, ScrapeError

_LARGEST_CA_FILE = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Trust:
    """What a site's certificate must be: of the system's authorities, unless one is given.

    Attributes
    ----------
    ca_file : str or None
        PEM file of the authorities that are believed in the system's stead.
    certificate_sha256 : str or None
        The one certificate that is believed, whoever made it: 64 hexadecimal digits.
    """

    ca_file: str | None = None
    certificate_sha256: str | None = None

    def ssl(self) -> ssl.SSLContext | aiohttp.Fingerprint | bool:
        """What aiohttp takes for it.

        Raises
        ------
        ScrapeError
            With outcome ``tls`` if the file cannot be used any more.
        """
        if self.certificate_sha256 is not None:
            return aiohttp.Fingerprint(bytes.fromhex(self.certificate_sha256))
        if self.ca_file is None:
            return True
        try:
            return authorities(self.ca_file)
        except ValueError as error:
            raise ScrapeError(Outcome.TLS, f"ca_file: {error}") from error


SYSTEM_TRUST = Trust()


def authorities(ca_file: str) -> ssl.SSLContext:
    """A client's context that believes the authorities of a PEM file; made anew if it changed.

    Raises
    ------
    ValueError
        If the file cannot be used; its text shows nothing of the file.
    """
    path = Path(ca_file)
    try:
        status = path.stat()
    except OSError as error:
        raise ValueError(f"cannot be read: {error.strerror}") from None
    if not path.is_file() or status.st_size > _LARGEST_CA_FILE:
        raise ValueError("is not a file of certificates")
    return _context(ca_file, status.st_mtime_ns, status.st_size)


@functools.lru_cache(maxsize=64)
def _context(ca_file: str, _changed: int, _size: int) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca_file)
    except ssl.SSLError:
        raise ValueError("is not a file of certificates") from None
    except OSError as error:
        raise ValueError(f"cannot be read: {error.strerror}") from None
