"""Who may see and do what: roles in projects, and the permissions that each action needs.

This is the one place that decides. A :class:`Caller` is who sends a request, with its roles;
:data:`PERMISSIONS` says which role an action needs, and :data:`ROUTES` which action a route is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from types import MappingProxyType

EVERY_PROJECT = "*"
"""In place of a project: all of them, and the sites that belong to none."""


class Role(IntEnum):
    """What somebody is in a project; each role may do what the lower ones may."""

    VIEWER = 1
    OPERATOR = 2
    ADMIN = 3


class Action(StrEnum):
    """What a request wants."""

    READ = "read"
    CONTACTS = "see contacts"
    SILENCE = "silence alerts"
    ORDER = "send orders to sites"
    NODES = "register sites"
    RELOAD = "reload the fleet file"
    ADMINISTER = "change the installation"


@dataclass(frozen=True, slots=True)
class Permission:
    """The least role that an action needs, in the project or in every project."""

    role: Role
    in_every_project: bool = False


PERMISSIONS: Mapping[Action, Permission] = MappingProxyType(
    {
        Action.READ: Permission(Role.VIEWER),
        Action.CONTACTS: Permission(Role.OPERATOR),
        Action.SILENCE: Permission(Role.OPERATOR),
        Action.ORDER: Permission(Role.OPERATOR),
        Action.NODES: Permission(Role.ADMIN),
        Action.RELOAD: Permission(Role.ADMIN, in_every_project=True),
        Action.ADMINISTER: Permission(Role.ADMIN, in_every_project=True),
    }
)


@dataclass(frozen=True, slots=True)
class Route:
    """A method and a path, in which ``{name}`` stands for one segment."""

    method: str
    path: str
    action: Action

    def matches(self, method: str, path: str) -> bool:
        """Whether a request goes to this route."""
        pattern = re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(self.path))
        return method == self.method and re.fullmatch(pattern, path) is not None


ROUTES: tuple[Route, ...] = (
    Route("POST", "/-/reload", Action.RELOAD),
    Route("POST", "/api/v1/alerts/silence", Action.SILENCE),
    Route("POST", "/api/v1/alerts/expire", Action.SILENCE),
    Route("POST", "/api/v1/dispatch", Action.ORDER),
    Route("POST", "/api/v1/dispatch/{dispatch}/approve", Action.ORDER),
    Route("POST", "/api/v1/orders/{order}/cancel", Action.ORDER),
    Route("POST", "/api/v1/plan/approve", Action.ORDER),
    Route("POST", "/api/v1/plan/withdraw", Action.ORDER),
    Route("POST", "/api/v1/nodes", Action.NODES),
    Route("PUT", "/api/v1/nodes/{site_id}", Action.NODES),
    Route("DELETE", "/api/v1/nodes/{site_id}", Action.NODES),
)
"""Routes that do more than read. The guard asks for the action in any project; where the request
names a site or a project, its handler asks for it there (:func:`exporter.serve.access.guard.
authorise`). A route of an unsafe method that is absent here needs :attr:`Action.ADMINISTER`."""

OPEN = frozenset({"/healthz", "/readyz"})
"""They report that the process lives, and nothing of the fleet: health checks have no password."""

OWN_CREDENTIALS: frozenset[tuple[str, str]] = frozenset(
    {("POST", "/api/v1/telemetry"), ("GET", "/api/v1/shard")}
)
"""Method and path of routes that check credentials of their own, such as those of a node."""

# They hold nothing of any fleet; whoever is signed in may read them.
_WITHOUT_FLEET = frozenset(
    {
        "/",
        "/cells",
        "/energy",
        "/runbooks",
        "/api/v1",
        "/openapi.json",
        "/docs",
    }
)
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


def action_of(method: str, path: str) -> Action | None:
    """The action of a request; None where it needs none beyond a sign-in."""
    for route in ROUTES:
        if route.matches(method, path):
            return route.action
    if method not in _SAFE:
        return Action.ADMINISTER
    return None if path in _WITHOUT_FLEET or path.startswith("/docs/") else Action.READ


@dataclass(frozen=True, slots=True)
class Visibility:
    """The projects whose sites, and those whose contacts, somebody sees; None is all."""

    projects: frozenset[str] | None = None
    contacts: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sends a request.

    Attributes
    ----------
    name : str
        User, or subject of a token; for people who read the audit log.
    roles : tuple of (project, Role)
        :data:`EVERY_PROJECT` stands for all projects.
    contacts : bool or None
        Whether the caller sees the contacts of the sites it sees; None: its roles decide.
    expires : float or None
        Unix seconds after which it has to sign in again.
    method : str
        How it signed in: ``password``, ``token`` or ``oidc``; empty where nobody has to.
    """

    name: str
    roles: tuple[tuple[str, Role], ...] = ()
    contacts: bool | None = None
    expires: float | None = None
    method: str = ""

    def role_in(self, project: str | None) -> Role | None:
        """The role in a project; ``None`` for sites without a project."""
        held = [role for name, role in self.roles if name in (EVERY_PROJECT, project)]
        return max(held, default=None)

    def may(self, action: Action, project: str | None) -> bool:
        """Whether it may do this in a project; ``None`` for sites without a project."""
        if action is Action.CONTACTS and self.contacts is not None:
            return self.contacts and self.may(Action.READ, project)
        needed = PERMISSIONS[action]
        role = self.role_in(EVERY_PROJECT if needed.in_every_project else project)
        return role is not None and role >= needed.role

    def may_anywhere(self, action: Action) -> bool:
        """Whether it may do this in some project."""
        return any(self.may(action, project) for project, _ in self.roles)

    @property
    def visibility(self) -> Visibility:
        """What it sees."""
        return Visibility(self._where(Action.READ), self._where(Action.CONTACTS))

    def _where(self, action: Action) -> frozenset[str] | None:
        if self.may(action, EVERY_PROJECT):
            return None
        return frozenset(project for project, _ in self.roles if self.may(action, project))
