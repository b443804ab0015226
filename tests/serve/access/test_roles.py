"""Who may do what: the table of permissions, and the guard that asks it."""

from __future__ import annotations

import pytest

from exporter.serve.access.roles import (
    EVERY_PROJECT,
    PERMISSIONS,
    ROUTES,
    Action,
    Caller,
    Role,
    Visibility,
    action_of,
)

VIEWER = Caller("v", (("south", Role.VIEWER),))
OPERATOR = Caller("o", (("south", Role.OPERATOR), ("north", Role.VIEWER)))
ADMIN = Caller("a", (("south", Role.ADMIN),))
ALL = Caller("all", ((EVERY_PROJECT, Role.ADMIN),))
THIRD = Caller("third")

# For each action, who may do it in south, in north and for a site without a project.
EXPECTED = {
    Action.READ: {"south": "voa*", "north": "o*", None: "*"},
    Action.CONTACTS: {"south": "oa*", "north": "*", None: "*"},
    Action.SILENCE: {"south": "oa*", "north": "*", None: "*"},
    Action.ORDER: {"south": "oa*", "north": "*", None: "*"},
    Action.NODES: {"south": "a*", "north": "*", None: "*"},
    Action.RELOAD: {"south": "*", "north": "*", None: "*"},
    Action.ADMINISTER: {"south": "*", "north": "*", None: "*"},
}
CALLERS = {"v": VIEWER, "o": OPERATOR, "a": ADMIN, "*": ALL, "3": THIRD}


@pytest.mark.parametrize("action", Action)
def test_roles_decide_by_project(action: Action) -> None:
    for project, allowed in EXPECTED[action].items():
        found = {key for key, caller in CALLERS.items() if caller.may(action, project)}
        assert found == set(allowed), (action, project)


def test_every_action_has_a_permission() -> None:
    assert set(PERMISSIONS) == set(Action)


def test_what_callers_see() -> None:
    assert VIEWER.visibility == Visibility(frozenset({"south"}), frozenset())
    assert OPERATOR.visibility == Visibility(frozenset({"south", "north"}), frozenset({"south"}))
    assert ALL.visibility == Visibility()
    assert THIRD.visibility == Visibility(frozenset(), frozenset())


@pytest.mark.parametrize(
    ("contacts", "roles", "seen"),
    [
        (True, ((EVERY_PROJECT, Role.VIEWER),), None),
        (True, (("south", Role.VIEWER),), frozenset({"south"})),
        (False, ((EVERY_PROJECT, Role.ADMIN),), frozenset()),
    ],
)
def test_contacts_may_be_given_and_withheld_by_name(
    contacts: bool, roles: tuple[tuple[str, Role], ...], seen: frozenset[str] | None
) -> None:
    assert Caller("x", roles, contacts).visibility.contacts == seen


@pytest.mark.parametrize(
    ("method", "path", "action"),
    [
        ("GET", "/api/v1/sites", Action.READ),
        ("GET", "/metrics", Action.READ),
        ("HEAD", "/api/v1/sites/a", Action.READ),
        ("GET", "/", None),
        ("GET", "/docs/swagger-ui.css", None),
        ("POST", "/-/reload", Action.RELOAD),
        ("PUT", "/api/v1/nodes/site_1", Action.NODES),
        ("PUT", "/api/v1/nodes/site_1/more", Action.ADMINISTER),
        ("PATCH", "/api/v1/sites", Action.ADMINISTER),
        ("POST", "/api/v1/anything", Action.ADMINISTER),
        ("MADE-UP", "/", Action.ADMINISTER),
    ],
)
def test_actions_of_requests(method: str, path: str, action: Action | None) -> None:
    assert action_of(method, path) is action


def test_no_route_stands_twice() -> None:
    assert len({(route.method, route.path) for route in ROUTES}) == len(ROUTES)
