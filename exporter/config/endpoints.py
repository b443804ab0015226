"""``api_endpoint``: which URLs a site may have."""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import SplitResult, urlsplit

import idna
from pydantic import ValidationInfo

from exporter.config.driver_options import Declarations
from exporter.config.field_types import field_error

_LABEL = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_HOST_NAME = re.compile(rf"(?=.{{1,253}}\Z){_LABEL}(?:\.{_LABEL})*\.?\Z")
# RFC 6874 writes the zone after %25 within a URL; most people and tools write % alone.
_ZONE = re.compile(r"%(?:25)?(?=[A-Za-z0-9_.~-]+\])")
_HTTP = ("http", "https")


def ascii_host(host: str) -> str:
    """A host as DNS and TLS know it: labels outside ASCII in their ``xn--`` form (RFC 5891).

    Raises
    ------
    ValueError
        If the name has a character that no host name may hold.
    """
    if host.isascii():
        return host.lower()
    try:
        return idna.encode(host, uts46=True).decode()
    except idna.IDNAError as error:
        raise ValueError(str(error)) from error


def check_endpoint(value: str, info: ValidationInfo) -> str:
    """Validate ``api_endpoint``; the schemes are those of the drivers in ``info.context``."""
    drivers: Declarations = info.context or {}
    schemes = tuple(dict.fromkeys(s for d in drivers.values() for s in d.schemes)) or _HTTP
    driver = drivers.get(info.data.get("driver", ""))
    forms = " or ".join(f"{s}://HOST:PORT" for s in (driver.schemes if driver else schemes))
    expected = f"expected {forms}, with a path prefix if need be"
    try:
        parts = urlsplit(value)
        host = parts.hostname
    except ValueError as error:
        raise field_error(f"not a URL; {expected}") from error
    if "@" in parts.netloc:
        raise field_error("holds a user name or password; secrets never go into the fleet file")
    if parts.scheme not in schemes or not host:
        raise field_error(expected)
    if any(c.isspace() or not c.isprintable() or c == "\\" for c in value):
        raise field_error(f"has a blank, control character or backslash; {expected}")
    if wrong := _host_mistake(host):
        raise field_error(f"{wrong}; {expected}")
    if "?" in value or "#" in value:
        raise field_error(f"has a query or fragment, which is not part of an endpoint; {expected}")
    if not _has_good_port(parts):
        raise field_error(f"the port is not a number from 1 to 65535; {expected}")
    return _ZONE.sub("%", value.rstrip("/"), count=1)


def _has_good_port(parts: SplitResult) -> bool:
    try:
        return parts.port != 0 and not parts.netloc.endswith(":")
    except ValueError:
        return False


def _host_mistake(host: str) -> str | None:
    """What is wrong with a host: neither an IP address nor labels of letters and digits."""
    address, _, zone = host.partition("%")
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        pass
    else:
        link_local = ip.version == 6 and ip.is_link_local
        if link_local and not zone.removeprefix("25"):
            return f"a link-local address needs its network interface: [{ip}%eth0]"
        return None if link_local or not zone else "only a link-local IPv6 address has a zone (%)"
    try:
        name = ascii_host(host)
    except ValueError:
        return "the host name has a character that no host name may hold"
    last = name.rstrip(".").rpartition(".")[2]
    if not _HOST_NAME.match(name) or last.isdigit():
        return "the host is neither a host name nor an IP address"
    return None
