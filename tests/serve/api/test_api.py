"""The API over a real socket: what it answers, how it refuses, what it leaves out."""

from __future__ import annotations

import contextlib
import gzip
import http.client
import json
from collections.abc import Iterator
from typing import Any

import pytest

from exporter.ask.lookup import fold
from exporter.serve.api import events, schemas
from tests.serve.api.replies import check
from tests.serve.api.served import ServedFleet, plan

COUNT = 60
CHANGED: dict[str, Any] = {
    "s0003": None,
    "s0007": {"soh_percent": 65.0},
    "s0010": {"temperature_c": 48.0},
    "s0011": {"grid_frequency_hz": 49.2},
}
WORST = ["s0003", "s0007", "s0010", "s0011"]


@pytest.fixture(scope="module")
def served() -> Iterator[ServedFleet]:
    fleet = ServedFleet(plan(COUNT))
    fleet.scrape(**CHANGED)
    with fleet.serving():
        yield fleet


def ids(found: Any, key: str = "sites") -> list[str]:
    return [site["id"] for site in found[key]]


def test_all_sites_come_without_parameters(served: ServedFleet) -> None:
    found = served.json("/api/v1/sites")
    assert found["total"] == len(found["sites"]) == COUNT
    assert ids(found)[:2] == ["s0003", "s0007"]
    assert found["next"] is None


def test_pages_make_the_whole(served: ServedFleet) -> None:
    path: str | None = "/api/v1/sites?limit=7&view=brief&region=north&region=east"
    seen: list[str] = []
    while path:
        found = served.json(path)
        assert len(found["sites"]) <= 7
        seen += ids(found)
        path = found["next"]
    whole = served.json("/api/v1/sites?region=north&region=east")
    assert seen == ids(whole)
    assert len(seen) == COUNT / 2


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("status=CRITICAL&status=OFFLINE", {"s0003", "s0007"}),
        ("status=critical&status=Offline", {"s0003", "s0007"}),
        ("issue=BATTERY_temperature&sort=Name&view=BRIEF", {"s0010"}),
        ("priority=HIGH&vendor=beta&battery_type=lfp%205&q=Town%203", {"s0003", "s0033", "s0039"}),
        ("attention=true", set(WORST)),
        ("issue=battery_temperature", {"s0010"}),
        ("q=O%27BRIEN", {"s0001"}),
        ("q=soHNE", {"s0001"}),
        ("q=%E2%9A%A1", {"s0002"}),
        ("q=s0042", {"s0042"}),
        ("priority=high&vendor=Beta&battery_type=LFP%205&q=Town%203", {"s0003", "s0033", "s0039"}),
        ("region=nowhere", set()),
    ],
)
def test_filters(served: ServedFleet, query: str, expected: set[str]) -> None:
    found = set(ids(served.json(f"/api/v1/sites?{query}")))
    if "Town" in query:  # s0003 has an odd place
        expected = {i for i in expected if i != "s0003"}
    assert found == expected


@pytest.mark.parametrize(
    ("path", "lower"),
    [
        ("ranking?by=SOH_percent&order=Ascending", "ranking?by=soh_percent&order=ascending"),
        ("outliers?metric=SOH", "outliers?metric=soh"),
        (
            "issues?severity=Critical&component=BATTERY",
            "issues?severity=critical&component=battery",
        ),
    ],
)
def test_closed_lists_are_read_in_any_case(served: ServedFleet, path: str, lower: str) -> None:
    assert served.json(f"/api/v1/{path}") == served.json(f"/api/v1/{lower}")


def test_orders(served: ServedFleet) -> None:
    names = [site["name"] for site in served.json("/api/v1/sites?sort=name")["sites"]]
    assert [fold(name) for name in names] == sorted(fold(name) for name in names)
    assert ids(served.json("/api/v1/sites?sort=performance"))[-1] == "s0003"
    assert ids(served.json("/api/v1/sites?sort=id")) == sorted(s.id for s in served.fleet.sites)


def test_every_face_gives_the_same_figures(served: ServedFleet) -> None:
    whole = served.json("/api/v1/sites/s0007")
    listed = served.json("/api/v1/sites?q=s0007")["sites"][0]
    brief = served.json("/api/v1/sites?q=s0007&view=brief")["sites"][0]
    ranked = served.json("/api/v1/ranking?by=soh_percent&limit=1")["ranking"][0]
    compared = served.json("/api/v1/compare?site=s0007&metric=soh_percent&metric=score")["metrics"]
    issue = served.json("/api/v1/issues?code=battery_soh")["issues"]
    assert (whole["status"], whole["score"]) == ("CRITICAL", 49.0)
    for other in (listed, brief):
        assert [other[k] for k in ("status", "score", "name")] == [
            whole[k] for k in ("status", "score", "name")
        ]
    assert brief["worst"] == whole["issues"][0]
    assert (ranked["id"], ranked["value"]) == ("s0007", whole["readings"]["soh_percent"])
    assert [row["values"]["s0007"] for row in compared] == [65.0, 49.0]
    assert {k: v for k, v in issue[0].items() if k not in ("site", "name")} == whole["issues"][0]
    assert whole["thresholds"]["battery_soh_critical"] == 70.0


def test_issues_come_worst_first(served: ServedFleet) -> None:
    found = served.json("/api/v1/issues?severity=critical&severity=warning")
    order = [i["severity"] for i in found["issues"]]
    assert order == sorted(order)  # critical before warning
    assert {i["site"] for i in found["issues"]} == set(WORST)


def test_outliers_name_the_odd_ones(served: ServedFleet) -> None:
    found = {m["metric"]: m for m in served.json("/api/v1/outliers")["metrics"]}
    assert [s["id"] for s in found["soh"]["sites"] if s["concern"]][:1] == ["s0007"]
    assert [s["id"] for s in found["temperature"]["sites"] if s["concern"]][:1] == ["s0010"]
    every = served.json("/api/v1/outliers?metric=soh&all=true")["metrics"][0]
    assert len(every["sites"]) == every["scored"] == COUNT - 1


def test_a_missing_value_is_null_and_not_ranked(served: ServedFleet) -> None:
    ranked = served.json("/api/v1/ranking?by=soh_percent")
    assert (ranked["total"], ranked["unknown"]) == (COUNT - 1, 1)
    row = served.json("/api/v1/compare?site=s0003&site=s0004&metric=soh_percent")["metrics"][0]
    assert row["values"]["s0003"] is None
    packs = served.json("/api/v1/sites/s0004/packs")["packs"]
    assert [c["temperature_c"] for c in packs[0]["cells"]][:2] == [None, 22.0]
    assert served.json("/api/v1/sites/s0003/packs")["packs"] == []
    assert "FLEETSCOPE_INFLUXDB_URL" in served.json("/api/v1/sites/s0004/cells")["fault"]


@pytest.mark.parametrize(
    ("path", "status", "words"),
    [
        ("/api/v1/sites/none", 404, "no site with the id 'none'"),
        ("/api/v1/sites/%3Cb%3E", 404, "no site"),
        ("/api/v1/nothing", 404, "Not Found"),
        ("/api/v1/sites?limit=0", 422, "limit: expected greater than or equal to 1"),
        ("/api/v1/sites?limit=1e9", 422, "limit: "),
        ("/api/v1/sites?offset=-1", 422, "offset: "),
        ("/api/v1/sites?status=ill", 422, "status"),
        ("/api/v1/sites?colour=red", 422, "colour: there is no such parameter"),
        ("/api/v1/ranking?by=beauty", 422, "'beauty' is not a value of a site"),
        ("/api/v1/outliers?metric=beauty", 422, "'beauty' has no outlier score"),
        ("/api/v1/compare", 422, "site"),
        ("/api/v1/compare?site=none", 404, "no site"),
        ("/api/v1/history?site=none&metric=score", 404, "no site"),
        ("/api/v1/history?site=s0001&metric=beauty", 422, "'beauty' is not stored"),
        (
            "/api/v1/history?site=s0001&metric=score&since=soon",
            422,
            "is no period; expected one such as",
        ),
        (
            "/api/v1/history?site=s0001&metric=score&since=1h&until=2h",
            422,
            "must begin before it ends",
        ),
        ("/api/v1/history?site=s0001&metric=score&pack=1", 422, "score has no pack"),
        ("/api/v1/history?site=s0001&metric=score", 503, "FLEETSCOPE_INFLUXDB_URL is not set"),
    ],
)
def test_refusals_are_problems_in_words(
    served: ServedFleet, path: str, status: int, words: str
) -> None:
    found, headers, body = served.ask(path)
    problem = json.loads(body)
    assert (found, headers["content-type"]) == (status, "application/problem+json")
    assert problem["status"] == status
    assert words in problem["detail"]


def test_an_etag_saves_the_body(served: ServedFleet) -> None:
    path = "/api/v1/sites?view=brief"
    status, headers, body = served.ask(path)
    assert status == 200
    again = served.ask(path, If_None_Match=f'"other", {headers["etag"]}')
    assert (again[0], again[2]) == (304, b"")
    packed = served.ask(path, Accept_Encoding="gzip")
    assert packed[1]["etag"] == headers["etag"]
    assert gzip.decompress(packed[2]) == body
    served.scrape(**CHANGED)
    assert served.ask(path, If_None_Match=headers["etag"])[0] == 200


@pytest.mark.parametrize(
    ("reply", "path"),
    [
        (schemas.FleetReply, "/api/v1/fleet"),
        (schemas.IssuesReply, "/api/v1/issues?limit=100"),
        (schemas.SitesReply, "/api/v1/sites"),
        (schemas.BriefSitesReply, "/api/v1/sites?view=brief"),
        (schemas.SiteReply, "/api/v1/sites/s0007"),
        (schemas.PacksReply, "/api/v1/sites/s0007/packs"),
        (schemas.CellsReply, "/api/v1/sites/s0007/cells"),
        (schemas.RankingReply, "/api/v1/ranking?by=soh_percent&limit=1"),
        (schemas.OutliersReply, "/api/v1/outliers?all=true"),
        (schemas.CompareReply, "/api/v1/compare?site=s0001&site=s0002&metric=soh_percent"),
    ],
    ids=lambda value: value.partition("?")[0] if isinstance(value, str) else "",
)
def test_replies_are_what_openapi_says(served: ServedFleet, reply: Any, path: str) -> None:
    # What needs InfluxDB is checked in tests with InfluxDB.
    check(reply, served.json(path))


def test_openapi_describes_every_route(served: ServedFleet) -> None:
    described = served.json("/openapi.json")
    paths = described["paths"].items()
    routes = {p: r["get"] for p, r in paths if p.startswith("/api/v1/") and "get" in r}
    # Those of answers are described in docs and have tests of their own.
    routes = {p: r for p, r in routes.items() if r.get("tags") != ["answers"]}
    assert len(routes) >= 10
    for path, route in routes.items():
        media = route["responses"]["200"]["content"]
        # Streams and files have other media types.
        others = ("/api/v1/events", "/api/v1/dispatch/events", "/api/v1/portfolio/telemetry")
        if path not in others:
            assert media["application/json"]["schema"], path
            assert "application/problem+json" in route["responses"]["422"]["content"], path
        for parameter in route.get("parameters", []):
            assert parameter["in"] == "path" or parameter.get("description"), (path, parameter)


def test_a_new_stream_takes_the_place_of_the_oldest_of_its_address(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(events, "MOST_STREAMS_OF_A_CALLER", 2)
    served = ServedFleet(plan(2))
    with served.serving(), contextlib.ExitStack() as opened:
        listeners = [Listener(served) for _ in range(4)]
        for listener in listeners:
            opened.callback(listener.close)
            assert listener.reply.status == 200
            assert listener.event()[1]["full"]
        # The first two end; the last two go on.
        assert not any(listener.reply.read().strip() for listener in listeners[:2])
        served.scrape()
        for listener in listeners[2:]:
            assert not listener.event()[1]["full"]


@pytest.mark.parametrize(
    "path", ["/", "/metrics", "/healthz", "/api/v1", "/api/v1/sites", "/api/v1/events", "/docs"]
)
def test_head_is_get_without_a_body(served: ServedFleet, path: str) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=30)
    with contextlib.closing(connection):
        connection.request("HEAD", path)
        answer = connection.getresponse()
        assert answer.status == 200
        assert answer.headers["content-type"]
        assert answer.read() == b""
        # The connection goes on: nothing of a body was left in it.
        connection.request("GET", "/healthz")
        assert connection.getresponse().status == 200


def test_head_of_what_is_not_there_is_not_found(served: ServedFleet) -> None:
    assert served.ask("/api/v1/sites/nobody", method="HEAD")[0] == 404


def test_the_index_lists_every_route(served: ServedFleet) -> None:
    found = served.json("/api/v1")
    described = served.json("/openapi.json")["paths"]
    assert {route["path"] for route in found["routes"]} == set(described)
    assert all(route["answers"] for route in found["routes"])
    assert served.ask(found["docs"])[0] == 200


def test_the_docs_bring_all_that_they_need(served: ServedFleet) -> None:
    _, headers, body = served.ask("/docs")
    html = body.decode()
    assert "http://" not in html.replace("http://127.0.0.1", "")
    assert "https://" not in html
    assert "'unsafe-inline'" not in headers["content-security-policy"].partition("style-src")[0]
    for asset in ("/docs/swagger-ui-bundle.js", "/docs/swagger-ui.css"):
        assert asset.removeprefix("/") in html
        assert served.ask(asset)[0] == 200
    assert served.ask("/docs/other.js")[0] == 404


class Listener:
    """A caller of the event stream."""

    def __init__(self, served: ServedFleet, known: str = "") -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=60)
        headers = {"Last-Event-ID": known} if known else {}
        self._connection.request("GET", "/api/v1/events", headers=headers)
        self.reply = self._connection.getresponse()

    def event(self) -> tuple[str, dict[str, Any]]:
        fields: dict[str, str] = {}
        while (line := self.reply.readline().decode().rstrip("\n")) or not fields.get("data"):
            name, _, value = line.partition(":")
            fields[name] = value.strip()
        assert fields["event"] == "assessment"
        return fields["id"], json.loads(fields["data"])

    def close(self) -> None:
        self.reply.close()
        self._connection.close()


def test_events_tell_what_changed_and_go_on_where_they_stopped() -> None:
    served = ServedFleet(plan(8))
    served.scrape()
    with served.serving(), contextlib.ExitStack() as opened:
        first = Listener(served)
        opened.callback(first.close)
        assert first.reply.headers["content-type"].startswith("text/event-stream")
        known, event = first.event()
        assert event["full"]
        assert {s["id"] for s in event["sites"]} == {s.id for s in served.fleet.sites}
        assert event["order"] == [s["id"] for s in served.json("/api/v1/sites")["sites"]]
        # Readings move with every poll, and that is not told.
        served.scrape()
        _, event = first.event()
        assert (event["full"], event["sites"], event["gone"]) == (False, [], [])
        assert event["order"] is None
        served.reconfigure(plan(7))
        _, event = first.event()
        assert event["gone"] == ["s0007"]
        served.scrape(s0002=None)
        served.now += 60
        served.assess()
        late = Listener(served, known)
        opened.callback(late.close)
        _, event = late.event()
        assert not event["full"]
        assert event["gone"] == ["s0007"]
        status = {s["id"]: s["status"] for s in event["sites"]}
        assert status["s0002"] == "OFFLINE"
        assert set(event["order"]) == {site.id for site in served.fleet.sites}
        assert event["fleet"]["sites"] == 7
        stale = Listener(served, "00000000-3")
        opened.callback(stale.close)
        assert stale.event()[1]["full"]


def test_a_broken_answer_tells_nothing_of_the_inside() -> None:
    served = ServedFleet(plan(2))
    with served.serving():
        served.latest = None  # type: ignore[assignment]
        status, headers, body = served.ask("/api/v1/fleet")
        assert (status, headers["content-type"]) == (500, "application/problem+json")
        assert b"NoneType" not in body
