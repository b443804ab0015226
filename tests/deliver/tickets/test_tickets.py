"""Tickets from a real fleet state to a real HTTP receiver: one for each incident, and no more."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from exporter.cli.commands import app
from exporter.config.side_file import SideFileError
from exporter.deliver.tickets.incident import escaped, incidents
from exporter.deliver.tickets.ticket_file import TicketPlan
from exporter.deliver.tickets.updater import TicketUpdater, want, wanted
from tests.deliver.report.listeners import Receiver
from tests.serve.api.served import ServedFleet, plan

WORN = {"soh_percent": 65.0}
AGED = {"soh_percent": 80.0}
HOT = {"temperature_c": 48.0}
TOKEN = "tok-s3cr3t"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    keeper = Receiver()
    keeper.reply = b'{"number": 7, "iid": 7, "key": "OPS-7", "id": 7}'
    with keeper.serving():
        yield keeper


@pytest.fixture(autouse=True)
def _token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRACKER_TOKEN", TOKEN)


def planned(home: Path, url: str, kind: str = "github", /, **more: Any) -> TicketPlan:
    common: dict[str, Any] = {"name": "ops", "kind": kind, "url": url}
    if kind in ("github", "gitlab", "jira"):
        common |= {"project": "acme/fleet", "token": {"env": "TRACKER_TOKEN"}}
    whole = {"after_seconds": 60, "close_after_seconds": 300} | more.pop("plan", {})
    return TicketPlan.model_validate(
        {"state": str(home / "state"), "destinations": [common | more]} | whole
    )


class Run:
    """A fleet and its desk, moved on in steps of a minute."""

    def __init__(self, way: TicketPlan, sites: int = 3) -> None:
        self.way = way
        self.served = ServedFleet(plan(sites))
        self.updater = TicketUpdater(way)

    async def minutes(self, count: int, **changed: Any) -> None:
        for _ in range(count):
            self.served.now += 49.0
            self.served.scrape(**changed)
            await self.updater.turn(self.served.latest)

    async def restart(self) -> None:
        await self.updater.close()
        self.updater = TicketUpdater(self.way)


def sent(receiver: Receiver) -> list[tuple[str, str]]:
    return [(method, path) for method, path, _, _ in receiver.requests]


def bodies(receiver: Receiver) -> list[Any]:
    return [json.loads(body) for *_, body in receiver.requests]


ISSUES = "/repos/acme/fleet/issues"


async def test_one_ticket_however_often_it_fires(receiver: Receiver, tmp_path: Path) -> None:
    run = Run(planned(tmp_path, receiver.url))
    await run.minutes(1, s0000=WORN)
    assert sent(receiver) == [], "it may be over before it is worth a ticket"
    await run.minutes(10, s0000=WORN)
    assert sent(receiver) == [("POST", ISSUES)]
    for _ in range(6):  # it flaps
        await run.minutes(2)
        await run.minutes(2, s0000=WORN)
    assert len(receiver.requests) == 1
    await run.restart()
    await run.minutes(5, s0000=WORN)
    assert len(receiver.requests) == 1, "a restart opens nothing again"
    await run.minutes(2, s0000=AGED)
    assert sent(receiver)[1:] == [("PATCH", f"{ISSUES}/7"), ("POST", f"{ISSUES}/7/comments")]
    assert "The severity is warning now; it was critical." in bodies(receiver)[2]["body"]
    await run.minutes(8)
    assert bodies(receiver)[3] == {"state": "closed"}
    assert bodies(receiver)[4]["body"].startswith("It is over since ")
    await run.minutes(3, s0000=WORN)
    assert bodies(receiver)[5]["state"] == "open"
    assert bodies(receiver)[6]["body"].startswith("It is back.")
    assert sum(entry == ("POST", ISSUES) for entry in sent(receiver)) == 1
    await run.updater.close()


async def test_what_cannot_be_seen_is_not_over(receiver: Receiver, tmp_path: Path) -> None:
    run = Run(planned(tmp_path, receiver.url, codes=["battery_soh"]))
    await run.minutes(3, s0000=WORN)
    await run.minutes(30, s0000=None)
    await run.minutes(30, s0000={"soh_percent": float("nan")})
    assert sent(receiver) == [("POST", ISSUES)]
    await run.minutes(8)
    assert {"state": "closed"} in bodies(receiver)
    await run.updater.close()


async def test_a_ticket_of_which_nobody_knows_is_looked_for(
    receiver: Receiver, tmp_path: Path
) -> None:
    """The tracker made it, and then its answer got lost."""
    run = Run(planned(tmp_path, receiver.url))
    receiver.script = [502]
    await run.minutes(2, s0000=WORN)
    assert sent(receiver) == [("POST", ISSUES)]
    body = bodies(receiver)[0]["body"]
    await run.restart()
    receiver.reply = json.dumps([{"number": 3, "body": "x"}, {"number": 9, "body": body}]).encode()
    await run.minutes(3, s0000=WORN)
    (method, path), *others = sent(receiver)[1:]
    assert (method, path.partition("?")[0], others) == ("GET", ISSUES, [])
    await run.minutes(10)
    assert ("PATCH", f"{ISSUES}/9") in sent(receiver)
    assert sum(entry == ("POST", ISSUES) for entry in sent(receiver)) == 1
    await run.updater.close()


async def test_a_ticket_that_was_not_made_is_sent_again(receiver: Receiver, tmp_path: Path) -> None:
    run = Run(planned(tmp_path, receiver.url))
    receiver.script = [500, 200]
    receiver.reply = b"[]"
    await run.minutes(4, s0000=WORN)
    assert [method for method, _ in sent(receiver)] == ["POST", "GET", "POST"]
    await run.updater.close()


@pytest.mark.parametrize("kind", ["github", "gitlab", "jira", "webhook"])
async def test_an_answer_that_quotes_the_token_is_not_logged(
    receiver: Receiver, tmp_path: Path, caplog: pytest.LogCaptureFixture, kind: str
) -> None:
    more = {"token": {"env": "TRACKER_TOKEN"}} if kind == "webhook" else {}
    run = Run(planned(tmp_path, receiver.url, kind, **more))
    receiver.script = [401] * 9
    receiver.reply = f"no access with {TOKEN}".encode()
    await run.minutes(4, s0000=WORN)
    assert "answered 401: no access with …" in caplog.text
    assert TOKEN not in caplog.text
    await run.updater.close()


async def test_one_refused_ticket_holds_up_no_other(receiver: Receiver, tmp_path: Path) -> None:
    run = Run(planned(tmp_path, receiver.url))
    receiver.script = [422]
    await run.minutes(3, s0000=WORN, s0001=HOT)
    titles = [body["title"] for body in bodies(receiver)]
    assert titles[0].startswith("[critical]")
    assert titles[1].startswith("[warning]")
    assert titles[2:] == [titles[0]], "later it is tried again"
    await run.updater.close()


async def test_a_flood_is_bounded(receiver: Receiver, tmp_path: Path) -> None:
    run = Run(planned(tmp_path, receiver.url, plan={"most_per_hour": 4}), sites=30)
    out = {f"s{n:04}": WORN for n in range(30)}
    await run.minutes(5, **out)
    assert len(receiver.requests) == 4
    await run.minutes(60, **out)
    assert len(receiver.requests) == 8
    await run.updater.close()


@pytest.mark.parametrize(
    ("kind", "more", "secret", "opened", "closed"),
    [
        (
            "gitlab",
            {},
            ("private-token", TOKEN),
            ("POST", "/api/v4/projects/acme%2Ffleet/issues"),
            ("PUT", "/api/v4/projects/acme%2Ffleet/issues/7"),
        ),
        (
            "jira",
            {"username": "bot@example.com", "close_transition": "31"},
            (
                "authorization",
                "Basic " + base64.b64encode(f"bot@example.com:{TOKEN}".encode()).decode(),
            ),
            ("POST", "/rest/api/2/issue"),
            ("POST", "/rest/api/2/issue/OPS-7/transitions"),
        ),
        (
            "webhook",
            {"token": {"env": "TRACKER_TOKEN"}},
            ("authorization", f"Bearer {TOKEN}"),
            ("POST", "/"),
            ("POST", "/"),
        ),
    ],
)
async def test_every_kind(
    kind: str, more: Any, secret: Any, opened: Any, closed: Any, receiver: Receiver, tmp_path: Path
) -> None:
    run = Run(planned(tmp_path, receiver.url, kind, **more))
    await run.minutes(3, s0000=WORN)
    await run.minutes(8)
    assert sent(receiver)[0] == opened
    assert closed in sent(receiver)[1:]
    assert all(headers[secret[0]] == secret[1] for _, _, headers, _ in receiver.requests)
    if kind == "webhook":
        assert [body["event"] for body in bodies(receiver)] == ["open", "close"]
        assert bodies(receiver)[0]["evidence"]["value"] == 65.0
        assert {body["incident"] for body in bodies(receiver)} == {bodies(receiver)[0]["incident"]}
    await run.updater.close()


async def test_files(tmp_path: Path) -> None:
    run = Run(planned(tmp_path, "http://127.0.0.1:1", "file", folder=str(tmp_path / "out")))
    await run.minutes(3, s0000=WORN)
    (path,) = (tmp_path / "out").iterdir()
    assert json.loads(path.read_text("utf-8"))["event"] == "open"
    await run.minutes(8)
    assert json.loads(path.read_text("utf-8"))["event"] == "close"
    await run.updater.close()


async def test_names_have_no_effect(receiver: Receiver, tmp_path: Path) -> None:
    run = Run(planned(tmp_path, receiver.url), sites=5)
    run.served.reconfigure(plan(5, name="@everyone ![x](http://e.example) <b>", location="#1 *x*"))
    await run.minutes(3, s0000=WORN)
    body = bodies(receiver)[0]["body"]
    assert "@everyone" not in body
    assert "![x]" not in body
    assert "\\<b\\>" in body
    assert escaped("a_b [c](d)") == "a\\_b \\[c\\](d)"
    await run.updater.close()


async def test_a_second_exporter_is_refused(receiver: Receiver, tmp_path: Path) -> None:
    run = Run(planned(tmp_path, receiver.url))
    with pytest.raises(SideFileError, match="another exporter"):
        TicketUpdater(run.way)
    await run.updater.close()
    (tmp_path / "state" / "tickets.json").write_text("[{", "utf-8")
    with pytest.raises(SideFileError, match="damaged"):
        TicketUpdater(run.way)


async def test_a_ticket_on_request(receiver: Receiver, tmp_path: Path) -> None:
    way = planned(tmp_path, receiver.url, codes=["site_offline"], plan={"after_seconds": 86400})
    run = Run(way)
    await run.minutes(2, s0000=WORN)
    assert sent(receiver) == []
    site = run.served.latest.site(0)
    from exporter.assess.assessment import as_dict

    (incident,) = incidents([as_dict(site)], run.served.wall)
    asked = want(way.state, incident)
    await run.minutes(2, s0000=WORN)
    assert sent(receiver) == [("POST", ISSUES)]
    assert not asked.exists()
    await run.updater.close()


async def test_a_dry_run_shows_exactly_what_is_sent(
    receiver: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import asyncio

    way = planned(tmp_path, receiver.url)
    run = Run(way)
    run.served.scrape(s0000=WORN, s0001=HOT)
    run.served.now += 600
    run.served.scrape(s0000=WORN, s0001=HOT)
    file = tmp_path / "tickets.yaml"
    file.write_text(way.model_dump_json(exclude_none=True), "utf-8")
    with run.served.serving():
        arguments = ["ticket", "--plan", str(file), "--url", run.served.url]
        # The clock of the terminal is that of the fleet.
        monkeypatch.setattr("time.time", lambda: run.served.wall)
        done = await asyncio.to_thread(CliRunner().invoke, app, arguments)
        one = await asyncio.to_thread(CliRunner().invoke, app, [*arguments, "s0001"])
        none = await asyncio.to_thread(CliRunner().invoke, app, [*arguments, "s0002"])
        data = await asyncio.to_thread(CliRunner().invoke, app, [*arguments, "--json"])
        monkeypatch.undo()
    assert receiver.requests == [], "a dry run sends nothing"
    assert done.exit_code == 1, done.output
    assert TOKEN not in done.output
    monkeypatch.setenv("TRACKER_TOKEN", TOKEN)
    await run.updater.turn(run.served.latest)
    request = r"^(POST|PATCH) (\S+)\n(?:[\w-]+: [^\n]*\n)+(\{.*?^\})$"
    shown = re.findall(request, done.output, re.M | re.S)
    assert [(m, u.removeprefix(receiver.url)) for m, u, _ in shown] == sent(receiver)
    assert [json.loads(body) for *_, body in shown] == bodies(receiver)
    assert len(shown) == 2
    steps = json.loads(data.output)
    assert [call["body"] for step in steps for call in step["requests"]] == bodies(receiver)
    assert one.output.count("# open") == 1
    assert (none.exit_code, "no active issue" in none.stderr) == (2, True)
    await run.updater.close()


def lost(sites: int, region: int) -> dict[str, Any]:
    """No grid at the sites of one of the four regions."""
    return {f"s{n:04}": {"grid_connected": 0.0} for n in range(sites) if n % 4 == region}


async def test_one_ticket_for_the_grid_of_a_region(receiver: Receiver, tmp_path: Path) -> None:
    run = Run(planned(tmp_path, receiver.url), sites=40)
    dark = lost(40, 1)
    await run.minutes(3, **dark | {"s0000": WORN, "s0004": {"grid_connected": 0.0}})
    titles = [body["title"] for body in bodies(receiver)]
    assert len(titles) == 3, "the region, a site of another region, and a worn battery"
    (shared,) = [b for b in bodies(receiver) if "10 sites in south" in b["title"]]
    assert all(f"({site})" in shared["body"] for site in dark)
    assert 'region="south"' in shared["body"]
    # Nine of them answer no more: whether their grid is back cannot be seen.
    away = dict.fromkeys(list(dark)[1:])
    await run.minutes(20, **away | {"s0000": WORN})
    closed = [body for body in bodies(receiver) if body.get("state") == "closed"]
    assert len(closed) == 1, "that of the site elsewhere"
    opened = [body["title"] for body in bodies(receiver) if "labels" in body]
    assert [t for t in opened[3:] if "south" not in t] == [], "one for all that are away"
    await run.minutes(8)
    assert sum(body.get("state") == "closed" for body in bodies(receiver)) == 4
    await run.updater.close()


async def test_a_region_that_lights_up_site_by_site(receiver: Receiver, tmp_path: Path) -> None:
    run = Run(planned(tmp_path, receiver.url), sites=40)
    dark = lost(40, 1)
    await run.minutes(3, **dark)
    assert len(receiver.requests) == 1
    one = {"s0001": dark["s0001"]}
    await run.minutes(8, **one)
    assert bodies(receiver)[1]["title"].startswith("[critical] O'Brien"), "what is left has its own"
    assert sum(body.get("state") == "closed" for body in bodies(receiver)) == 1
    await run.updater.close()


async def test_tickets_for_the_sites_of_an_answer(
    receiver: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import asyncio

    way = planned(tmp_path, receiver.url, plan={"after_seconds": 86400})
    run = Run(way, sites=8)
    await run.minutes(2, s0000=WORN, s0001=HOT, s0002={**HOT, "soc_percent": 5.0})
    file = tmp_path / "tickets.yaml"
    file.write_text(way.model_dump_json(exclude_none=True), "utf-8")
    with run.served.serving():
        common = ["ticket", "--plan", str(file), "--url", run.served.url, "--ask"]
        question = "which sites are hot?"
        shown = await asyncio.to_thread(CliRunner().invoke, app, [*common, question])
        none = await asyncio.to_thread(CliRunner().invoke, app, [*common, "who is offline?"])
        joke = await asyncio.to_thread(CliRunner().invoke, app, [*common, "tell me a joke"])
        sends = await asyncio.to_thread(CliRunner().invoke, app, [*common, question, "--send"])
    assert (shown.exit_code, shown.stdout.count("# open")) == (1, 2)
    assert "battery_temperature" in shown.stdout
    assert "battery_soc" not in shown.stdout, "only what the question was about"
    assert "hot battery" in shown.stderr
    assert (none.exit_code, joke.exit_code, sends.exit_code) == (2, 2, 0)
    assert receiver.requests == []
    await run.minutes(2, s0000=WORN, s0001=HOT, s0002={**HOT, "soc_percent": 5.0})
    titles = [body["title"] for body in bodies(receiver)]
    assert len(titles) == 2
    assert all("Battery is at 48.0" in title for title in titles)
    await run.updater.close()
    with run.served.serving():
        nobody = await asyncio.to_thread(CliRunner().invoke, app, [*common, question, "--send"])
    assert nobody.exit_code == 2
    assert "no exporter keeps its tickets in" in nobody.stderr
    assert wanted(way.state) == {}


@pytest.mark.parametrize("username", [None, "bot@example.com"])
async def test_jira_is_asked_by_a_label_where_it_can_be_found(
    receiver: Receiver, tmp_path: Path, username: str | None
) -> None:
    """Jira Cloud has removed the search that an own server has."""
    more = {"username": username} if username else {}
    run = Run(planned(tmp_path, receiver.url, "jira", project="OPS", **more))
    receiver.script = [502]
    await run.minutes(2, s0000=WORN)
    number = bodies(receiver)[0]["fields"]["labels"][-1]
    assert number.startswith("FS-")
    found = {"issues": [{"id": "1", "key": "OPS-3", "fields": {"labels": ["x", number]}}]}
    receiver.reply = json.dumps(found).encode()
    await run.restart()
    await run.minutes(3, s0000=WORN)
    (method, path), *others = sent(receiver)[1:]
    assert (method, others) == ("GET", [])
    where = "/rest/api/2/search/jql?" if username else "/rest/api/2/search?"
    assert path.startswith(where)
    assert f"labels+%3D+%22{number}%22" in path
    await run.updater.close()


HOOK = {"name": "a", "kind": "webhook", "token": {"env": "TRACKER_TOKEN"}}


@pytest.mark.parametrize(
    "change",
    [
        {"url": "https://tracker.example.com"},
        {"url": "http://127.0.0.1:8080"},
        {"url": "http://[::1]:8080"},
        {"url": "http://localhost"},
        {"url": "http://tracker.lan", "plain_http": True},
        {"url": "http://tracker.lan", "token": None},
    ],
)
def test_where_a_plan_may_send(change: dict[str, Any]) -> None:
    TicketPlan.model_validate({"state": "x", "destinations": [HOOK | change]})


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"destinations": []}, "destinations"),
        ({"destinations": [{"name": "a", "kind": "github"}]}, "github needs project, token"),
        ({"destinations": [{"name": "a", "kind": "file"}]}, "file needs folder"),
        ({"destinations": [{"name": "a b", "kind": "file", "folder": "x"}]}, "name"),
        ({"destinations": [{"name": "a", "kind": "file", "folder": "x"}] * 2}, "another"),
        *(
            ({"destinations": [HOOK | {"url": f"http://{host}/hook"}]}, "link-local, metadata")
            for host in ("169.254.169.254", "2852039166", "0xa9.254.0xa9fe", "[fe80::1]")
        ),
        ({"destinations": [HOOK | {"url": "http://tracker.example.com"}]}, "a token needs https"),
        ({"destinations": [HOOK | {"url": "http://192.0.2.7"}]}, "a token needs https"),
    ],
)
def test_a_wrong_plan(change: Any, words: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=words):
        TicketPlan.model_validate({"state": "x"} | change)
