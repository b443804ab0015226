"""Who sends a bearer token of an OpenID provider. Tokens are verified, never issued.

Sources: RFC 7519, RFC 8725 (best practices of JSON Web Tokens), OpenID Connect Core 1.0.
"""

from __future__ import annotations

from typing import Any

from exporter.serve.access.oidc_config import Oidc
from exporter.serve.access.roles import Caller
from exporter.serve.access.signing_keys import SigningKeys

LONGEST_TOKEN = 16 * 1024
LONGEST_NAME = 128


class RefusedTokenError(Exception):
    """A token that is not taken; its text says why, and holds nothing of the token."""


class TokenVerifier:
    """Verifies the tokens of one provider.

    Parameters
    ----------
    oidc : Oidc
    """

    def __init__(self, oidc: Oidc) -> None:
        self.oidc = oidc
        self._keys = SigningKeys(oidc)

    async def refresh(self, now: float) -> None:
        """Fetch the provider's keys if they are due; ``now`` in monotonic seconds."""
        await self._keys.refresh(now)

    async def caller(self, token: bytes, now: float) -> Caller:
        """Who sends a token, with the roles that its claims give.

        Parameters
        ----------
        token : bytes
        now : float
            Monotonic seconds.

        Raises
        ------
        RefusedTokenError
        """
        import jwt

        if len(token) > LONGEST_TOKEN:
            raise RefusedTokenError("the token is too long")
        try:
            header = jwt.get_unverified_header(token)
        except (jwt.PyJWTError, ValueError, RecursionError):
            raise RefusedTokenError("not a token") from None
        algorithm, name = header.get("alg"), header.get("kid")
        # Decided by the configuration, before any key is looked at.
        if algorithm not in self.oidc.algorithms:
            raise RefusedTokenError("another algorithm than the configured ones")
        if "crit" in header or not isinstance(name, str):
            raise RefusedTokenError("the token names no key, or asks for an extension")
        key = await self._keys.key(name, now)
        if key is None or not key.fits(algorithm):
            raise RefusedTokenError("the provider has no such key")
        return self._verified(token, key.data, algorithm)

    def _verified(self, token: bytes, key: dict[str, Any], algorithm: str) -> Caller:
        import jwt

        try:
            claims = jwt.decode(
                token,
                jwt.PyJWK(key, algorithm),
                algorithms=[algorithm],
                audience=self.oidc.audience,
                issuer=self.oidc.issuer,
                leeway=self.oidc.leeway,
                options={"require": ["exp", "iss", "aud"]},
            )
            expires = float(claims["exp"]) + self.oidc.leeway
        except (jwt.PyJWTError, ValueError, OverflowError, RecursionError) as error:
            raise RefusedTokenError(_REASONS.get(type(error).__name__, "not valid")) from None
        name = self.oidc.name_of(claims)[:LONGEST_NAME]
        if not name or not name.isprintable():
            raise RefusedTokenError("the token does not say whose it is")
        return Caller(name, self.oidc.roles_of(claims), expires=expires, method="oidc")


_REASONS = {
    "ExpiredSignatureError": "expired",
    "ImmatureSignatureError": "not yet valid",
    "InvalidAudienceError": "for another audience",
    "InvalidIssuerError": "of another issuer",
    "InvalidSignatureError": "wrong signature",
    "MissingRequiredClaimError": "a claim is missing",
}
