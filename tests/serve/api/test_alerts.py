"""Alerts and silences through a real Alertmanager, by callers of every role."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from exporter.deliver.alertmanager import Alertmanager, AlertmanagerError
from exporter.serve.api import schemas
from provisioning.local.ports import LOOPBACK, Ports
from tests.serve.access import tenants
from tests.serve.access.tenants import Tenants
from tests.serve.api.alertmanager import PROGRAMS, Running, alertmanager
from tests.serve.api.replies import check

pytestmark = pytest.mark.stack

SITE = "southmark-1"
OTHER = "southmark-2"
HOT = "FleetscopeBatteryTemperatureCritical"
AGED = "FleetscopeBatterySohCritical"


@pytest.fixture(scope="module", params=PROGRAMS)
def served(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Tenants, Running]]:
    folder = tmp_path_factory.mktemp("alerts")
    with alertmanager(folder, request.param) as server:
        for site in (SITE, OTHER, "northmark-1"):
            labels = {"site": site, "region": "x", "scope": "site", "level": "critical"}
            server.post(
                {
                    "labels": labels | {"alertname": HOT, "severity": "page", "cause": "heat"},
                    "annotations": {
                        "summary": f"{site} is hot",
                        "action": "Reduce power",
                        "runbook_url": f"docs/runbooks.md#{HOT.lower()}",
                    },
                },
                {"labels": labels | {"alertname": AGED, "severity": "ticket", "cause": "age"}},
            )
        source = Alertmanager(server.url, {})
        with tenants.serving(folder, alertmanager=source) as found:
            yield found, server


def alerts(found: Tenants, site: str = SITE, caller: str = "south_operator") -> Any:
    reply = found.ask(caller, "get", f"/api/v1/alerts?site={site}")
    assert reply.status_code == 200, reply.text
    check(schemas.AlertsReply, reply.json())
    return reply.json()


def silence(found: Tenants, caller: str = "south_operator", **changed: Any) -> requests.Response:
    wanted = {"site": SITE, "alert": HOT, "hours": 2, "comment": "fan is being changed"}
    body = {name: value for name, value in (wanted | changed).items() if value is not ...}
    return found.ask(caller, "post", "/api/v1/alerts/silence", json=body)


def test_alerts_of_a_site_pages_first(served: tuple[Tenants, Running]) -> None:
    found = alerts(served[0])
    assert [(a["name"], a["severity"], a["state"]) for a in found["alerts"]] == [
        (HOT, "page", "active"),
        (AGED, "ticket", "active"),
    ]
    assert found["alerts"][0]["summary"] == "southmark-1 is hot"
    assert found["may_silence"] is True
    assert alerts(served[0], caller="south_viewer")["may_silence"] is False


def test_an_acknowledgement_is_seen_and_ends(served: tuple[Tenants, Running]) -> None:
    found = served[0]
    before = time.time()
    reply = silence(found, acknowledge=True)
    assert reply.status_code == 200, reply.text
    check(schemas.AlertsReply, reply.json())
    hot, aged = reply.json()["alerts"]
    (made,) = hot["silences"]
    assert (hot["state"], aged["state"]) == ("suppressed", "active")
    assert made["author"] == "south_operator"
    assert made["comment"] == "Acknowledged: fan is being changed"
    assert made["acknowledges"] is True
    assert (made["site"], made["alert"]) == (SITE, HOT)
    assert before + 7190 <= made["ends"] <= time.time() + 7210
    # Only this alert of this site.
    assert [a["state"] for a in alerts(found, OTHER)["alerts"]] == ["active", "active"]
    ended = found.ask(
        "south_admin", "post", "/api/v1/alerts/expire", json={"site": SITE, "silence": made["id"]}
    )
    assert ended.status_code == 200, ended.text
    assert [a["state"] for a in ended.json()["alerts"]] == ["active", "active"]


def test_all_alerts_of_a_site(served: tuple[Tenants, Running]) -> None:
    found = served[0]
    reply = silence(found, site=OTHER, alert=None, hours=0.5)
    assert reply.status_code == 200, reply.text
    assert [a["state"] for a in reply.json()["alerts"]] == ["suppressed", "suppressed"]
    (made,) = reply.json()["silences"]
    assert (made["site"], made["alert"], made["acknowledges"]) == (OTHER, None, False)
    found.ask(
        "south_operator",
        "post",
        "/api/v1/alerts/expire",
        json={"site": OTHER, "silence": made["id"]},
    )


@pytest.mark.parametrize(
    ("caller", "changed", "status"),
    [
        ("south_viewer", {}, 403),
        ("all_viewer", {}, 403),
        ("north_viewer", {}, 403),
        ("third", {}, 403),
        ("both", {"site": "northmark-1"}, 403),
        ("south_operator", {"site": "northmark-1"}, 404),
        ("south_operator", {"site": "nowhere"}, 404),
        ("south_operator", {"hours": 0}, 422),
        ("south_operator", {"hours": 24 * 31}, 422),
        ("south_operator", {"hours": ...}, 422),
        ("south_operator", {"comment": "  "}, 422),
        ("south_operator", {"comment": "x" * 501}, 422),
        ("south_operator", {"alert": None, "acknowledge": True}, 422),
        ("south_operator", {"author": "somebody else"}, 422),
    ],
)
def test_what_is_refused_changes_nothing(
    served: tuple[Tenants, Running], caller: str, changed: dict[str, Any], status: int
) -> None:
    found = served[0]
    assert silence(found, caller, **changed).status_code == status
    for site in (SITE, "northmark-1"):
        states = [a["state"] for a in alerts(found, site, "all_admin")["alerts"]]
        assert states == ["active", "active"]


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://elsewhere.example"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Content-Type": "text/plain"},
    ],
)
def test_a_page_of_another_site_silences_nothing(
    served: tuple[Tenants, Running], headers: dict[str, str]
) -> None:
    found = served[0]
    body = f'{{"site":"{SITE}","alert":"{HOT}","hours":1,"comment":"x"}}'
    reply = found.ask(
        "south_operator",
        "post",
        "/api/v1/alerts/silence",
        data=body,
        headers={"Content-Type": "application/json"} | headers,
    )
    assert reply.status_code in (403, 422)
    assert alerts(found)["alerts"][0]["silences"] == []
    assert found.ask("south_operator", "get", "/api/v1/alerts/silence").status_code == 405


def test_a_silence_of_another_site_is_not_ended(served: tuple[Tenants, Running]) -> None:
    found = served[0]
    made = silence(found, "all_admin", site="northmark-1").json()["silences"][0]
    reply = found.ask(
        "south_operator",
        "post",
        "/api/v1/alerts/expire",
        json={"site": SITE, "silence": made["id"]},
    )
    assert reply.status_code == 404
    still = alerts(found, "northmark-1", "all_admin")
    assert [one["id"] for one in still["silences"]] == [made["id"]]
    found.ask(
        "all_admin",
        "post",
        "/api/v1/alerts/expire",
        json={"site": "northmark-1", "silence": made["id"]},
    )


def test_words_of_a_wider_silence_stay_with_those_who_see_all(
    served: tuple[Tenants, Running],
) -> None:
    found, server = served
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    end = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 3600))
    matcher = {"name": "alertname", "value": AGED, "isRegex": False, "isEqual": True}
    wide = {
        "matchers": [matcher],
        "startsAt": now,
        "endsAt": end,
        "createdBy": "somebody",
        "comment": "northmark is sold",
    }
    made = requests.post(f"{server.url}/api/v2/silences", json=wide, timeout=30).json()
    try:
        shown = alerts(found)["alerts"][1]
        assert shown["state"] == "suppressed"
        assert "northmark" not in str(shown)
        assert "northmark" in str(alerts(found, caller="all_admin")["alerts"][1])
    finally:
        requests.delete(f"{server.url}/api/v2/silence/{made['silenceID']}", timeout=30)


def asked(found: Tenants, caller: str, question: str) -> Any:
    reply = found.ask(caller, "get", "/api/v1/ask", params={"q": question})
    assert reply.status_code == 200, reply.text
    return reply.json()


def test_what_is_silenced_is_a_question(served: tuple[Tenants, Running]) -> None:
    found, server = served
    nothing = asked(found, "south_operator", "is anything silenced")
    assert nothing["headline"] == "Alertmanager silences nothing of 6 sites."
    (made,) = silence(found).json()["silences"]
    end = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 3600))
    matcher = {"name": "region", "value": "north.*", "isRegex": True, "isEqual": False}
    wide = requests.post(
        f"{server.url}/api/v2/silences",
        json={
            "matchers": [matcher],
            "startsAt": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "endsAt": end,
            "createdBy": "somebody",
            "comment": "northmark is sold",
        },
        timeout=30,
    ).json()
    try:
        answer = asked(found, "all_admin", "what is muted")
        rows = {row["comment"]: row for row in answer["tables"][0]["rows"]}
        one = rows["fan is being changed"]
        assert (one["site"], one["alert"], one["author"]) == (SITE, HOT, "south_operator")
        assert one["end"] == made["ends"]
        assert rows["northmark is sold"]["alert"] == 'region!~"north.*"'
        assert answer["headline"].startswith("2 silences: ")
        assert f"{HOT} of" in answer["headline"]
        # Who sees one project reads no words of the wider one, and nothing of the other project.
        limited = asked(found, "south_viewer", "is anything silenced")
        assert "northmark" not in str(limited)
        assert "north.*" not in str(limited)
        assert len(limited["tables"][0]["rows"]) == 2
        other = asked(found, "north_viewer", "is anything silenced")
        assert "southmark" not in str(other)
        narrowed = asked(found, "south_viewer", f"is anything silenced at {OTHER}")
        assert [row["site"] for row in narrowed["tables"][0]["rows"]] == [""]
        # The one ends in two hours, the wide one in one.
        soon = asked(found, "all_admin", "which silences end in the next 90 minutes")
        assert [row["comment"] for row in soon["tables"][0]["rows"]] == ["northmark is sold"]
        later = asked(found, "all_admin", "which silences end in the next 3 hours")
        assert len(later["tables"][0]["rows"]) == 2
        assert "The fleet file has no maintenance and no mute time" in later["headline"]
    finally:
        for number in (made["id"], wide["silenceID"]):
            requests.delete(f"{server.url}/api/v2/silence/{number}", timeout=30)


def test_silences_that_are_not_known(tmp_path: Path) -> None:
    for source in (None, Alertmanager("http://127.0.0.1:9", {})):
        folder = tmp_path / str(source is None)
        folder.mkdir()
        with tenants.serving(folder, alertmanager=source) as found:
            answer = asked(found, "all_admin", "is anything silenced")
            assert answer["headline"] == "Whether Alertmanager silences anything is not known."
            assert any(text.startswith("silences: ") for text in answer["evidence"]["missing"])


def test_without_a_setting_and_without_an_answer(tmp_path: Path) -> None:
    with tenants.serving(tmp_path) as found:
        reply = found.ask("all_admin", "get", f"/api/v1/alerts?site={SITE}")
        assert reply.status_code == 503
        assert "FLEETSCOPE_ALERTMANAGER_URL" in reply.json()["detail"]
    dead = Alertmanager(f"http://{LOOPBACK}:{Ports(usual=False).pick(0)}", {})
    (tmp_path / "dead").mkdir()
    with tenants.serving(tmp_path / "dead", alertmanager=dead) as found:
        reply = found.ask("all_admin", "get", f"/api/v1/alerts?site={SITE}")
        assert reply.status_code == 503
        assert "does not answer" in reply.json()["detail"]


async def test_a_server_that_is_no_alertmanager_is_named(tmp_path: Path) -> None:
    refused = pytest.raises(AlertmanagerError, match="refused with 401")
    with tenants.serving(tmp_path) as found, refused:
        await Alertmanager(found.url, {}).alerts(SITE)
