"""Which host names the server answers to, and which pages of other sites may ask it.

A page whose name is made to point at this machine (DNS rebinding) reads whatever it may fetch. It
sends its own name as ``Host``, so the server answers only to addresses, to names of this machine,
and to names that the settings list.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Mapping

_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_HOST = re.compile(r"(?:\[([0-9a-fA-F:.%]+)\]|([^:\[\]/@\s]+))(?::\d{1,5})?")


def own_names(configured: str) -> frozenset[str]:
    """Names that the server answers to besides addresses and ``localhost``.

    Parameters
    ----------
    configured : str
        Names separated by commas.
    """
    names = {name.strip().rstrip(".").lower() for name in configured.split(",")}
    return frozenset({*names, socket.gethostname().lower()} - {""})


def is_own(header: str, names: frozenset[str]) -> bool:
    """Whether a ``Host`` header names this server; an absent one (HTTP/1.0) does."""
    if not header:
        return True
    match = _HOST.fullmatch(header)
    if match is None:
        return False
    if match[1]:
        return True
    host = match[2].rstrip(".").lower()
    if host == "localhost" or host.endswith(".localhost") or host in names:
        return True
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def is_foreign(method: str, headers: Mapping[bytes, bytes]) -> bool:
    """Whether a page of another site sends the request, other than by a link to follow.

    See Fetch Metadata Request Headers (W3C); browsers alone send them. Older browsers send
    ``Origin`` with whatever is not a plain read.
    """
    origin = headers.get(b"origin")
    if origin is not None and method not in _SAFE:
        _, _, place = origin.partition(b"://")
        if not place or place.lower() != headers.get(b"host", b"").lower():
            return True
    if headers.get(b"sec-fetch-site") not in (b"cross-site", b"same-site"):
        return False
    followed = headers.get(b"sec-fetch-mode") == b"navigate"
    shown = headers.get(b"sec-fetch-dest", b"document") == b"document"
    return not (method in ("GET", "HEAD") and followed and shown)
