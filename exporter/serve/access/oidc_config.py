"""``oidc`` of the web configuration: whose tokens are taken, and which roles their claims give."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints, model_validator

from exporter.serve.access.durations import Seconds
from exporter.serve.access.roles import Role
from exporter.serve.access.web_model import RoleName, RoleProject, WebModel

# No symmetric ones: with them the public key would be a password.
Algorithm = Literal[
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"
]
_PROJECT = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,31}\Z")
# A token with more is cut, not refused: the rest would give no role that is meant.
MOST_VALUES = 500
LONGEST_VALUE = 256


def _check_issuer(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise ValueError("expected an address such as https://sso.example.com/realms/fleet")
    if parts.scheme == "http" and not _is_loopback(parts.hostname):
        raise ValueError("expected https: keys that anybody can change on their way prove nothing")
    return value


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _check_pattern(value: str) -> str:
    try:
        re.compile(value)
    except re.error as error:
        raise ValueError(f"is no regular expression: {error}") from None
    return value


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


Name = Annotated[str, StringConstraints(min_length=1, max_length=200)]
ClaimPath = Annotated[tuple[Name, ...], BeforeValidator(_listed), Field(min_length=1, max_length=8)]


class RoleRule(WebModel):
    """A claim that gives a role in a project.

    ``claim`` is its name, or its path as a list. Its value, or each one of a list, is compared
    with ``value``, or as a whole with ``pattern``, whose groups ``project`` and ``role`` take the
    place of the keys of that name.
    """

    claim: ClaimPath
    value: Name | None = None
    pattern: Annotated[Name, AfterValidator(_check_pattern)] | None = None
    project: RoleProject | None = None
    role: RoleName | None = None

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if (self.value is None) == (self.pattern is None):
            raise ValueError("expected either value or pattern")
        groups = set(re.compile(self.pattern).groupindex) if self.pattern else set()
        for name in ("project", "role"):
            if (getattr(self, name) is None) == (name not in groups):
                raise ValueError(f"expected {name}, or a group of that name in pattern, not both")
        return self

    def roles(self, claims: dict[str, Any]) -> Iterator[tuple[str, Role]]:
        """The roles that the claims of a token give by this rule."""
        for value in _values(claims, self.claim):
            if self.pattern is None:
                match = re.fullmatch(re.escape(self.value or ""), value)
            else:
                match = re.fullmatch(self.pattern, value)
            if match is None:
                continue
            groups = match.groupdict()
            project = self.project or groups.get("project") or ""
            role = (self.role or groups.get("role") or "").upper()
            # A token can name a project, but never all of them.
            named = self.project is not None or _PROJECT.match(project)
            if named and role in Role.__members__:
                yield project, Role[role]


class Oidc(WebModel):
    """Tokens of an OpenID provider, verified here; nobody signs in here."""

    issuer: Annotated[str, AfterValidator(_check_issuer)]
    audience: Name
    algorithms: Annotated[tuple[Algorithm, ...], Field(min_length=1)] = ("RS256",)
    name_claim: ClaimPath = ("sub",)
    roles: Annotated[tuple[RoleRule, ...], Field(min_length=1, max_length=200)]
    leeway: Annotated[Seconds, Field(le=300)] = 30.0
    refresh: Annotated[Seconds, Field(ge=1)] = 600.0
    ca_file: Path | None = None

    def roles_of(self, claims: dict[str, Any]) -> tuple[tuple[str, Role], ...]:
        """The highest role that the claims of a token give in each project."""
        found: dict[str, Role] = {}
        for rule in self.roles:
            for project, role in rule.roles(claims):
                found[project] = max(role, found.get(project, role))
        return tuple(sorted(found.items()))

    def name_of(self, claims: dict[str, Any]) -> str:
        """Whose token it is; empty where it does not say."""
        return next(iter(_values(claims, self.name_claim)), "")


def _values(claims: dict[str, Any], path: tuple[str, ...]) -> list[str]:
    found: Any = claims
    for name in path:
        found = found.get(name) if isinstance(found, dict) else None
    listed = found if isinstance(found, list) else [found]
    texts = [value for value in listed[:MOST_VALUES] if isinstance(value, str)]
    return [text for text in texts if len(text) <= LONGEST_VALUE]
