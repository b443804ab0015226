"""The keys that an OpenID provider signs with, fetched before they are needed.

Source: OpenID Connect Discovery 1.0, sections 4 and 7.3; RFC 7517.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import orjson

from exporter.serve.access.oidc_config import Oidc

log = logging.getLogger(__name__)

LARGEST_REPLY = 512 * 1024
FETCH_SECONDS = 5.0
MOST_KEYS = 100
SMALLEST_RSA_BITS = 2048
# Between two fetches that unknown keys ask for: tokens with made-up keys cost the provider nothing.
UNKNOWN_KEY_SECONDS = 10.0
# Keys are used for so long while the provider does not answer.
LONGEST_WITHOUT_PROVIDER_SECONDS = 24 * 3600.0
_KINDS = {"RS": "RSA", "PS": "RSA", "ES": "EC", "Ed": "OKP"}


class ProviderError(Exception):
    """The provider does not answer, or not as it should."""


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A public key, and the algorithm that the provider names for it, if any."""

    kind: str
    algorithm: str | None
    data: dict[str, Any]

    def fits(self, algorithm: str) -> bool:
        """Whether a signature by this algorithm may be of this key."""
        return self.kind == _KINDS[algorithm[:2]] and self.algorithm in (None, algorithm)


class SigningKeys:
    """The keys of one provider.

    :meth:`refresh` is called regularly; a request fetches only for a key that is not known, which
    happens once after each rotation.
    """

    def __init__(self, oidc: Oidc) -> None:
        self._oidc = oidc
        self._keys: dict[str, SigningKey] = {}
        self._fetched = self._tried = -float("inf")
        self._fetching: asyncio.Task[None] | None = None
        self._complaint = ""

    async def refresh(self, now: float) -> None:
        """Fetch the keys if they are due.

        Parameters
        ----------
        now : float
            Monotonic seconds.
        """
        due = self._oidc.refresh if self._fetched > -float("inf") else UNKNOWN_KEY_SECONDS
        if now - self._tried >= min(due, self._oidc.refresh):
            await self._fetch(now)

    async def key(self, name: str, now: float) -> SigningKey | None:
        """The key of that name; None where the provider has none."""
        may_fetch = self._fetching is not None or now - self._tried >= UNKNOWN_KEY_SECONDS
        if name not in self._keys and may_fetch:
            await self._fetch(now)
        if now - self._fetched > LONGEST_WITHOUT_PROVIDER_SECONDS:
            return None
        return self._keys.get(name)

    async def _fetch(self, now: float) -> None:
        """Fetch once, however many ask; the keys before stay where that fails."""
        if self._fetching is None:
            self._tried = now
            self._fetching = asyncio.create_task(self._take(now))
        # A caller that leaves must not take the keys from the others.
        await asyncio.shield(self._fetching)

    async def _take(self, now: float) -> None:
        try:
            async with asyncio.timeout(FETCH_SECONDS):
                self._keys = await _fetched(self._oidc)
        except (ProviderError, TimeoutError, aiohttp.ClientError, OSError) as error:
            why = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
            if why != self._complaint:
                self._complaint = why
                log.error("no signing keys of %s: %s", self._oidc.issuer, why)
        else:
            self._fetched, self._complaint = now, ""
        finally:
            self._fetching = None


async def _fetched(oidc: Oidc) -> dict[str, SigningKey]:
    """The keys of a provider.

    Raises
    ------
    ProviderError, aiohttp.ClientError, OSError
    """
    context: ssl.SSLContext | bool = True
    if oidc.ca_file is not None:
        context = await asyncio.to_thread(ssl.create_default_context, cafile=str(oidc.ca_file))
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(ssl=context),
        auto_decompress=False,
        headers={"Accept-Encoding": "identity", "Accept": "application/json"},
    ) as http:
        about = await _json(http, f"{oidc.issuer.rstrip('/')}/.well-known/openid-configuration")
        if about.get("issuer") != oidc.issuer:
            raise ProviderError("its discovery document names another issuer")
        address = about.get("jwks_uri")
        if not isinstance(address, str) or not _is_as_safe(address, oidc.issuer):
            raise ProviderError("its discovery document names no jwks_uri over https")
        found = (await _json(http, address)).get("keys")
    return _usable(found if isinstance(found, list) else [])


def _is_as_safe(address: str, issuer: str) -> bool:
    """Whether an address is over https, or at the same place as an issuer that is not."""
    parts, whose = urlsplit(address), urlsplit(issuer)
    return parts.scheme == "https" or (parts.scheme, parts.netloc) == (whose.scheme, whose.netloc)


async def _json(http: aiohttp.ClientSession, address: str) -> dict[str, Any]:
    async with http.get(address, allow_redirects=False) as reply:
        if reply.status != 200:
            raise ProviderError(f"it answers with {reply.status}")
        body = bytearray()
        async for chunk in reply.content.iter_any():
            body += chunk
            if len(body) > LARGEST_REPLY:
                raise ProviderError(f"its reply is larger than {LARGEST_REPLY // 1024} KiB")
    try:
        found = orjson.loads(bytes(body))
    except orjson.JSONDecodeError:
        raise ProviderError("its reply is not JSON") from None
    if not isinstance(found, dict):
        raise ProviderError("its reply is no JSON object")
    return found


def _usable(listed: list[Any]) -> dict[str, SigningKey]:
    """The keys that may sign, by their names."""
    found: dict[str, SigningKey] = {}
    for data in listed[:MOST_KEYS]:
        if not isinstance(data, dict) or data.get("use", "sig") != "sig":
            continue
        name, kind, algorithm = (data.get(key) for key in ("kid", "kty", "alg"))
        if not isinstance(name, str) or kind not in _KINDS.values() or _is_weak(data):
            continue
        if algorithm is None or isinstance(algorithm, str):
            found[name] = SigningKey(str(kind), algorithm, data)
    return found


def _is_weak(data: dict[str, Any]) -> bool:
    modulus = data.get("n")
    if data.get("kty") != "RSA":
        return False
    return not isinstance(modulus, str) or len(modulus) * 6 < SMALLEST_RSA_BITS - 8
