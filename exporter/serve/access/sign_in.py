"""Who sends a request: basic authentication, tokens of a provider, the token for changes."""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
import hashlib
import hmac
import os
from collections import OrderedDict
from collections.abc import Iterator, Mapping

import bcrypt
from pydantic import SecretStr

from exporter.model.audit_file import AuditFile
from exporter.serve.access.audit import AccessAudit
from exporter.serve.access.failures import Failures
from exporter.serve.access.oidc import RefusedTokenError, TokenVerifier
from exporter.serve.access.oidc_config import Oidc
from exporter.serve.access.roles import EVERY_PROJECT, Caller, Role
from exporter.serve.access.web_config import WebConfig

# Hashes are slow on purpose: two at a time leave the processor to others.
_AT_ONCE = 2
# Sign-ins that one address may have under way, those whose refusal waits included.
_MOST_OF_AN_ADDRESS = 32
_REMEMBERED = 100


# Whoever reaches a server without users is let in, reads everything and changes nothing.
ANYONE = Caller("anyone", ((EVERY_PROJECT, Role.VIEWER),), contacts=True)
TOKEN = Caller("token", ((EVERY_PROJECT, Role.ADMIN),), contacts=False, method="token")


class BusyError(Exception):
    """The address has too many sign-ins under way; it may come again later."""


class SignIn:
    """Decides who a caller is.

    A wrong password is answered late, the later the more often its user or its address was wrong
    of late. A right one never waits for that: guessers slow only themselves.

    Parameters
    ----------
    contact_users : frozenset of str
        Users of the web configuration who may see contacts and endpoints.
    token : str or None
        The token for whatever changes state; None: there is none.
    audit : AccessAudit, optional
        Where failures are noted.
    """

    def __init__(
        self, contact_users: frozenset[str], token: str | None, audit: AccessAudit | None = None
    ) -> None:
        self._audit = audit or AccessAudit(AuditFile(None))
        self._contact_users = contact_users
        self._token = token.encode() if token else None
        self._salt = os.urandom(16)
        self._known: OrderedDict[bytes, None] = OrderedDict()
        self._failures = Failures()
        self._verifier: TokenVerifier | None = None
        self._hashing = asyncio.Semaphore(_AT_ONCE)
        self._checks: dict[bytes, asyncio.Task[bool]] = {}
        self._under_way: dict[str, int] = {}

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
        if kind.lower() == b"bearer" and (self._token is not None or config.oidc is not None):
            return await self._bearer(config, credentials, client, now)
        if not config.signs_in:
            return ANYONE
        if kind.lower() != b"basic" or not config.basic_auth_users:
            return None
        return await self._user(config, credentials, client, now)

    async def refresh(self, config: WebConfig, now: float) -> None:
        """Fetch the keys of the token provider if they are due; ``now`` in monotonic seconds."""
        if config.oidc is not None:
            await self._tokens(config.oidc).refresh(now)

    def _tokens(self, oidc: Oidc) -> TokenVerifier:
        if self._verifier is None or self._verifier.oidc != oidc:
            self._verifier = TokenVerifier(oidc)
        return self._verifier

    async def _bearer(
        self, config: WebConfig, credentials: bytes, client: str, now: float
    ) -> Caller | None:
        if self._token is not None and hmac.compare_digest(credentials, self._token):
            return TOKEN
        if config.oidc is not None:
            with contextlib.suppress(RefusedTokenError):
                return await self._tokens(config.oidc).caller(credentials, now)
        self._audit.sign_in_failed("bearer", "", client, now)
        await self._refuse(client, "", now)
        return None

    async def _user(
        self, config: WebConfig, credentials: bytes, client: str, now: float
    ) -> Caller | None:
        name, password = _decoded(credentials)
        if name is None:
            return None
        hashed = _hash_for(config.basic_auth_users, name, self._salt)
        digest = hashlib.sha256(b"\0".join((self._salt, name.encode(), hashed, password))).digest()
        if digest in self._known:
            self._known.move_to_end(digest)
        else:
            fits = await self._check(digest, password, hashed, client)
            if not fits or name not in config.basic_auth_users:
                known = name if name in config.basic_auth_users else ""
                self._audit.sign_in_failed("password", known, client, now)
                await self._refuse(client, name, now)
                return None
            self._remember(digest)
        contacts = True if name in self._contact_users else None
        return Caller(name, config.roles_of(name), contacts, method="password")

    async def _check(self, digest: bytes, password: bytes, hashed: bytes, client: str) -> bool:
        """Whether the password fits; requests with the same credentials share one check."""
        task = self._checks.get(digest)
        if task is None:
            task = asyncio.create_task(self._hash(digest, password, hashed, client))
            self._checks[digest] = task
        # A caller that leaves must not take the check from the others.
        return await asyncio.shield(task)

    async def _hash(self, digest: bytes, password: bytes, hashed: bytes, client: str) -> bool:
        try:
            with self._turn(client):
                async with self._hashing:
                    return await asyncio.to_thread(_matches, password, hashed)
        finally:
            del self._checks[digest]

    async def _refuse(self, client: str, name: str, now: float) -> None:
        with self._turn(client):
            await asyncio.sleep(self._failures.add(client, name, now))

    @contextlib.contextmanager
    def _turn(self, client: str) -> Iterator[None]:
        count = self._under_way.get(client, 0)
        if count >= _MOST_OF_AN_ADDRESS:
            raise BusyError
        self._under_way[client] = count + 1
        try:
            yield
        finally:
            self._under_way[client] -= 1
            if not self._under_way[client]:
                del self._under_way[client]

    def _remember(self, digest: bytes) -> None:
        self._known[digest] = None
        if len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)


def _hash_for(users: Mapping[str, SecretStr], name: str, salt: bytes) -> bytes:
    """The hash to compare with: that of the user, or of another for one that does not exist.

    So an unknown user takes as long as a known one, whatever their hashes cost.
    """
    if name not in users:
        number = int.from_bytes(hashlib.sha256(salt + name.encode()).digest()[:8])
        name = sorted(users)[number % len(users)]
    return users[name].get_secret_value().encode()


def _decoded(credentials: bytes) -> tuple[str | None, bytes]:
    try:
        name, colon, password = base64.b64decode(credentials, validate=True).partition(b":")
        return (name.decode() if colon else None), password
    except (binascii.Error, UnicodeDecodeError):
        return None, b""


def _matches(password: bytes, hashed: bytes) -> bool:
    # bcrypt knows 72 bytes; a longer password is wrong and not cut.
    return len(password) <= 72 and b"\0" not in password and bcrypt.checkpw(password, hashed)
