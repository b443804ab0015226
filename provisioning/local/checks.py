"""Checks of a running stack from outside, over the servers' own interfaces."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from provisioning.local.stack import ROOT, Stack
from provisioning.local.web import RequestError, get, get_json

OFFLINE_ISSUE = "site_offline"


KINDS_WITHOUT_BATTERY = ("pv", "meter", "datacentre")


@dataclass(frozen=True)
class Expected:
    """What a correct monitor says of the scenario.

    ``sites`` holds every id of the fleet file; ``offline`` those that never answer. By site:
    ``must_show`` and ``must_not_show`` are issue codes, and of each group in ``one_of`` at least
    one code must show. ``without_battery`` are sites of kinds that have no battery.
    """

    sites: frozenset[str]
    offline: frozenset[str]
    must_show: Mapping[str, frozenset[str]]
    one_of: Mapping[str, Sequence[frozenset[str]]]
    must_not_show: Mapping[str, frozenset[str]]
    without_battery: frozenset[str] = frozenset()

    @property
    def answering(self) -> frozenset[str]:
        """Sites whose readings must arrive."""
        return self.sites - self.offline


@dataclass(frozen=True)
class Outcome:
    """Result of one check: whether it holds, and in words what was found."""

    check: str
    good: bool
    found: str


Check = Callable[[], Outcome]


def expected(stack: Stack) -> Expected:
    """Read the fleet file and ask the simulator for the scenario's ground truth.

    Raises
    ------
    subprocess.CalledProcessError
        The simulator refuses the scenario.
    """
    asked = subprocess.run(
        [sys.executable, "-m", "simulator", "truth", "--scenario", stack.scenario],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    truth: dict[str, Any] = json.loads(asked.stdout)
    fleet = yaml.safe_load(stack.fleet_file.read_text("utf-8"))
    by_site: dict[str, dict[str, Any]] = truth["sites"]
    one_of = {
        site: [frozenset(group) for group in truth["must_show_one_of"]]
        for site, truth in by_site.items()
    }
    must_show = {site: frozenset(truth["must_show"]) for site, truth in by_site.items()}
    return Expected(
        sites=frozenset(site["id"] for site in fleet["sites"]),
        offline=frozenset(
            site
            for site in by_site
            if any(OFFLINE_ISSUE in codes for codes in (must_show[site], *one_of[site]))
        ),
        must_show=must_show,
        one_of=one_of,
        must_not_show={site: frozenset(truth["must_not_show"]) for site, truth in by_site.items()},
        without_battery=frozenset(
            site["id"] for site in fleet["sites"] if site.get("kind") in KINDS_WITHOUT_BATTERY
        ),
    )


def wait_for(check: Check, limit: float, pause: Callable[[float], None] = time.sleep) -> Outcome:
    """Repeat a check until it holds or ``limit`` seconds have passed; returns the last outcome."""
    deadline = time.monotonic() + limit
    while True:
        try:
            outcome = check()
        except RequestError as error:
            outcome = Outcome(_name(check), False, str(error))
        if outcome.good or time.monotonic() > deadline:
            return outcome
        pause(1.0)


def _name(check: Check) -> str:
    return getattr(check, "__name__", "check").replace("_", " ")


def _missing(sites: frozenset[str], found: frozenset[str]) -> str:
    absent = sorted(sites - found)
    return f"{len(sites & found)} of {len(sites)} sites" + (
        f"; missing: {', '.join(absent)}" if absent else ""
    )


class Checks:
    """The checks of one running stack. Every method answers at once; see :func:`wait_for`.

    Raises
    ------
    ValueError
        A server that the checks ask is left out of the stack.
    """

    def __init__(self, stack: Stack, wanted: Expected) -> None:
        self.wanted = wanted
        self._urls: dict[str, str] = {}
        for name in ("exporter", "influxdb", "prometheus", "alertmanager"):
            url = stack.url(name)
            if url is None:
                raise ValueError(f"{name} is not part of this run")
            self._urls[name] = url

    def everything(self) -> list[tuple[Check, float]]:
        """Each check with the seconds that it may take to come true, quick ones first.

        The last waits for two polls of a site (30 s each in the demo fleet), a scrape and an
        evaluation (15 s each) and the alert's own minute.
        """
        return [
            (self.metrics_are_clean, 30.0),
            (self.readings_in_influxdb, 60.0),
            (self.offline_in_influxdb, 90.0),
            (self.scores_in_prometheus, 60.0),
            (self.names_in_prometheus, 30.0),
            (self.issues_match_the_truth, 120.0),
            (self.alert_in_alertmanager, 180.0),
        ]

    def influxql(self, query: str) -> list[dict[str, Any]]:
        """Series of an InfluxQL query on database ``fleet``.

        Raises
        ------
        RequestError
            No answer, or InfluxDB reports an error.
        """
        reply = get_json(f"{self._urls['influxdb']}/query", {"db": "fleet", "q": query})
        result: dict[str, Any] = reply["results"][0]
        if "error" in result:
            raise RequestError(f"InfluxDB: {result['error']}")
        series: list[dict[str, Any]] = result.get("series", [])
        return series

    def promql(self, query: str) -> list[dict[str, Any]]:
        """Instant vector of a PromQL query: label sets under ``metric``, ``value`` as text."""
        reply = get_json(f"{self._urls['prometheus']}/api/v1/query", {"query": query})
        result: list[dict[str, Any]] = reply["data"]["result"]
        return result

    def metrics_are_clean(self) -> Outcome:
        """``promtool check metrics`` has no complaint about the exporter's page."""
        promtool = shutil.which("promtool")
        if promtool is None:
            return Outcome("/metrics passes promtool", False, "promtool is not installed")
        page = get(f"{self._urls['exporter']}/metrics")
        done = subprocess.run(
            [promtool, "check", "metrics"], input=page, capture_output=True, check=False
        )
        complaints = (done.stdout + done.stderr).decode("utf-8", "replace").strip()
        good = done.returncode == 0 and not complaints
        lines = sum(1 for line in page.splitlines() if line and not line.startswith(b"#"))
        return Outcome(
            "/metrics passes promtool", good, f"{lines} samples" if good else complaints[:500]
        )

    def readings_in_influxdb(self) -> Outcome:
        """Every site that answers counts as online, and gives battery readings if it has any."""
        battery = self.influxql('SELECT count("power_w") FROM "raw"."battery" GROUP BY "site"')
        online = self.influxql('SELECT last("online") FROM "raw"."site" GROUP BY "site"')
        with_battery = frozenset(
            series["tags"]["site"] for series in battery if series["values"][0][1] > 0
        )
        are_online = frozenset(
            series["tags"]["site"] for series in online if float(series["values"][0][1]) == 1.0
        )
        silent = {s for s, codes in self.wanted.must_show.items() if "battery_silent" in codes}
        must = self.wanted.answering - self.wanted.without_battery - silent
        good = must <= with_battery and self.wanted.answering <= are_online
        found = f"battery: {_missing(must, with_battery)}; online: " + _missing(
            self.wanted.answering, are_online
        )
        return Outcome("InfluxDB has readings of every answering site", good, found)

    def offline_in_influxdb(self) -> Outcome:
        """Sites that never answer have points that say so, and no reading at all."""
        name = "InfluxDB has online = 0 for the offline site"
        points = self.influxql(
            'SELECT max("online"), count("online") FROM "raw"."site" GROUP BY "site"'
        )
        battery = self.influxql('SELECT count("power_w") FROM "raw"."battery" GROUP BY "site"')
        rows = {series["tags"]["site"]: series["values"][0] for series in points}
        never = frozenset(site for site, row in rows.items() if float(row[1]) == 0.0 and row[2] > 0)
        invented = self.wanted.offline & {series["tags"]["site"] for series in battery}
        good = bool(self.wanted.offline) and self.wanted.offline <= never and not invented
        found = ", ".join(f"{site}: {rows[site][2]} points" for site in sorted(never)) or "none"
        if invented:
            found += f"; battery readings of {', '.join(sorted(invented))}"
        return Outcome(name, good, found)

    def scores_in_prometheus(self) -> Outcome:
        """Every site of the fleet file has a health score, the offline ones 0."""
        scores = {
            sample["metric"]["site"]: float(sample["value"][1])
            for sample in self.promql("fleetscope_site_health_score")
        }
        alive = {site: score for site, score in scores.items() if score > 0.0}
        wrong = sorted(self.wanted.offline & alive.keys())
        good = scores.keys() == self.wanted.sites and not wrong
        found = _missing(self.wanted.sites, frozenset(scores))
        if wrong:
            found += f"; offline and yet above 0: {', '.join(wrong)}"
        return Outcome("Prometheus has a health score of every site", good, found)

    def names_in_prometheus(self) -> Outcome:
        """Every site has its one info series with a name; without it no alert could fire."""
        named = [
            sample["metric"]["site"] for sample in self.promql('fleetscope_site_info{name!=""}')
        ]
        good = sorted(named) == sorted(self.wanted.sites)
        return Outcome(
            "Prometheus has one name for every site",
            good,
            _missing(self.wanted.sites, frozenset(named)),
        )

    def issues_match_the_truth(self) -> Outcome:
        """Active issues are what the simulator put in: all of them, and none that it rules out."""
        active: dict[str, set[str]] = {site: set() for site in self.wanted.sites}
        for sample in self.promql("fleetscope_site_issue == 1"):
            active.setdefault(sample["metric"]["site"], set()).add(sample["metric"]["code"])
        wrong = []
        for site in sorted(self.wanted.sites):
            absent = self.wanted.must_show.get(site, frozenset()) - active[site]
            false = self.wanted.must_not_show.get(site, frozenset()) & active[site]
            wrong += [f"{site} lacks {code}" for code in sorted(absent)]
            wrong += [
                f"{site} lacks {' or '.join(sorted(group))}"
                for group in self.wanted.one_of.get(site, [])
                if not group & active[site]
            ]
            wrong += [f"{site} has a false {code}" for code in sorted(false)]
        count = sum(len(codes) for codes in self.wanted.must_show.values())
        count += sum(len(groups) for groups in self.wanted.one_of.values())
        return Outcome(
            "Issues match what the simulator put in",
            not wrong,
            "; ".join(wrong) or f"{count} expected, {count} shown, none false",
        )

    def alert_in_alertmanager(self) -> Outcome:
        """The offline sites' alert has arrived in Alertmanager, for them alone."""
        alerts = get_json(
            f"{self._urls['alertmanager']}/api/v2/alerts",
            {"filter": 'alertname="FleetscopeSiteOffline"'},
        )
        sites = frozenset(alert["labels"].get("site", "") for alert in alerts)
        good = bool(self.wanted.offline) and sites == self.wanted.offline
        found = "; ".join(sorted(alert["annotations"]["summary"] for alert in alerts)) or "none"
        return Outcome("Alertmanager has the offline site's alert", good, found)
