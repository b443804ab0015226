"""Who asks, and what they may do: basic authentication and the token for changes."""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import hmac
import os
from collections import OrderedDict
from dataclasses import dataclass

import bcrypt

from exporter.serve.access.rate_limits import Buckets
from exporter.serve.access.web_config import WebConfig

# Hashes are slow on purpose: two at a time leave the processor to the poll loop.
_AT_ONCE = 2
_MOST_WAITING = 16
_REMEMBERED = 100
# What an unknown user is compared with, so that the answer takes as long as for a known one.
_NOBODY = b"$2b$10$yeLSRknY7E6CIEnxRs3Qye8WQv1PzsLO1RofrGdA.s8lnFYh/rUZW"


@dataclass(frozen=True, slots=True)
class Caller:
    """What a caller may see and do: ``contacts`` includes endpoints."""

    name: str
    contacts: bool = False
    changes: bool = False


class BusyError(Exception):
    """Too many sign-ins fail or wait; the caller may come again later."""


class SignIn:
    """Decides who a caller is.

    Parameters
    ----------
    contact_users : frozenset of str
        Users of the web configuration who may see contacts and endpoints.
    token : str or None
        The token for whatever changes state; None forbids it to all.
    """

    def __init__(self, contact_users: frozenset[str], token: str | None) -> None:
        self._contact_users = contact_users
        self._token = token.encode() if token else None
        self._salt = os.urandom(16)
        self._known: OrderedDict[bytes, None] = OrderedDict()
        self._failures = Buckets(interval=6.0, burst=10)
        self._hashing = asyncio.Semaphore(_AT_ONCE)
        self._waiting = 0

    async def caller(
        self, config: WebConfig, authorization: bytes | None, client: str, now: float
    ) -> Caller | None:
        """Who sent this ``Authorization`` header; None for nobody known.

        Without users in the configuration whoever reaches the port is let in and sees everything.

        Raises
        ------
        BusyError
        """
        kind, _, credentials = (authorization or b"").partition(b" ")
        credentials = credentials.strip()
        if kind.lower() == b"bearer" and self._token is not None:
            if hmac.compare_digest(credentials, self._token):
                return Caller("token", contacts=False, changes=True)
            if not self._failures.take(client, now):
                raise BusyError
            return None
        if not config.basic_auth_users:
            return Caller("anyone", contacts=True)
        if kind.lower() != b"basic":
            return None
        name, password = _decoded(credentials)
        if name is None or not await self._right(config, name, password, client, now):
            return None
        return Caller(name, contacts=name in self._contact_users)

    async def _right(
        self, config: WebConfig, name: str, password: bytes, client: str, now: float
    ) -> bool:
        users = config.basic_auth_users
        hashed = users[name].get_secret_value().encode() if name in users else _NOBODY
        seen = hashlib.sha256(b"\0".join((self._salt, name.encode(), hashed, password))).digest()
        if seen in self._known:
            self._known.move_to_end(seen)
            return True
        if self._waiting >= _MOST_WAITING or not self._failures.has(client, now):
            raise BusyError
        self._waiting += 1
        try:
            async with self._hashing:
                right = await asyncio.to_thread(_matches, password, hashed)
        finally:
            self._waiting -= 1
        if not right or name not in users:
            self._failures.take(client, now)
            return False
        self._known[seen] = None
        if len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)
        return True


def _decoded(credentials: bytes) -> tuple[str | None, bytes]:
    try:
        name, colon, password = base64.b64decode(credentials, validate=True).partition(b":")
        return (name.decode() if colon else None), password
    except (binascii.Error, UnicodeDecodeError):
        return None, b""


def _matches(password: bytes, hashed: bytes) -> bool:
    # bcrypt knows 72 bytes; a longer password is wrong and not cut.
    return len(password) <= 72 and b"\0" not in password and bcrypt.checkpw(password, hashed)
