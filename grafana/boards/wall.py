"""Fleet · Wall: what a room sees from four metres, without any choice."""

from __future__ import annotations

from collections.abc import Mapping

from grafana_foundation_sdk.builders import stat, text
from grafana_foundation_sdk.builders.dashboard import Dashboard

from grafana.boards.shared import SHARED_CAUSE, WORST_SITE, call_order, cause_variable
from grafana.boards.trends import status_counts
from grafana.boards.triage import CAUSES
from grafana.kit import look
from grafana.kit.dashboard import dashboard
from grafana.kit.panels import Spec, dense, note, tiles
from grafana.kit.queries import prom_now
from grafana.kit.tables import link, transform
from scoring.rule import Severity, in_a_sentence
from scoring.rules import RULES
from scoring.status import GOOD_FROM, WARNING_FROM

TOP = 5
LINE_TYPE = "3.2vh"
"""Of the screen's height, so that a line is read from four metres on any screen."""
ORDER = "max by (site, name) (fleet:attention_order:by_site)"
RED, ORANGE = look.SEVERITY_COLOURS["critical"], look.SEVERITY_COLOURS["warning"]
UNKNOWN = {"name": "No site is known", "code": "see System · Collection", "site": "unknown"}
NOBODY = {"name": "Nobody has to be called", "code": "no alert, no warning"}
NOTHING_WRONG = 100
SITE_OF_SERIES = "/d/fleetscope-site/?${__url_time_range}&var-site=${__field.labels.site}"


# What takes nothing from a score follows from something else, which says more.
FOLLOWING = "|".join(
    rule.code
    for rule in RULES
    if any(level.severity is Severity.CRITICAL and not level.points for level in rule.levels)
)


def build() -> Dashboard:
    """The dashboard."""
    made = dashboard("fleetscope-fleet-wall", [cause_variable()], since="now/d")
    # Grafana rounds heights to fill a screen: columns of several panels would end apart.
    made.with_panel(_counts())
    made.with_panel(_line())
    made.with_panel(_call_first())
    return made.with_panel(_energy()).with_panel(_answered()).with_panel(_clock())


def _line() -> text.Panel:
    url = f"/d/fleetscope-overview/?${{__url_time_range}}&viewPanel=panel-[{CAUSES}]"
    description = (
        "The first cause that several sites share: call the one behind it first, not each site. "
        "Below are the sites that need attention most, worst at the top."
    )
    line = f'<b>Call first.</b> Shared cause: <a href="{url}">{SHARED_CAUSE}</a>'
    return note("", description, (24, 3), dense(line, LINE_TYPE))


def _counts() -> stat.Panel:
    targets, overrides = status_counts("")
    spec = Spec(
        title="Sites by status",
        description="All sites now, in each of the five statuses.",
        size=(24, 3),
        unit=look.NUMBER,
        empty="–",
        low=0,
        colour=look.by_threshold(),
        thresholds=look.limits(look.FINE),
        targets=targets,
        # In type of the same size as the value.
        overrides={n: dict(p) | {"unit": f"prefix:{n} "} for n, p in overrides.items()},
    )
    return tiles(spec, background=True, columns=True, value=None)


def _clock() -> stat.Panel:
    spec = Spec(
        title="Clock",
        description="The time of the browser, as of the last refresh: a clock that stands still is "
        "a screen that does.",
        size=(8, 5),
        unit="time:HH:mm",
        empty="Prometheus gives no answer",
        colour=look.fixed("text"),
        targets=[prom_now("time() * 1000", "Now")],
    )
    return tiles(spec, columns=True, value=None)


def _row(row: str, said: Mapping[str, str]) -> str:
    """PromQL: one row that says something; without any, the tiles would be a red rectangle."""
    for label, value in said.items():
        row = f'label_replace({row}, "{label}", "{value}", "", "")'
    return row


def _unknown() -> str:
    """PromQL: that no site is known, which is not that nobody has to be called."""
    return _row(f"{WARNING_FROM} * absent(fleet:attention_order:by_site)", UNKNOWN)


def _nobody() -> str:
    """PromQL: that nobody has to be called, with a site for its link."""
    return _row(f"0 * topk(1, {WORST_SITE}) + {NOTHING_WRONG}", NOBODY)


def _call_first() -> stat.Panel:
    worst = f"bottomk({TOP}, {call_order(ORDER)} < 69.5)"
    issue = "fleetscope_site_issue"
    code = (
        f'topk by (site) (1, max by (site, code) (4 * {issue}{{severity="critical",code!~'
        f'"{FOLLOWING}"}} or 3 * {issue}{{severity="critical"}} or '
        f'2 * {issue}{{severity="warning"}}))'
    )
    spec = Spec(
        title="Call first",
        description=f"The {TOP} sites that need attention most, those that page first, with their "
        "worst issue and their score. Red pages, orange has a ticket or a warning.",
        size=(24, 12),
        unit=look.SCORE,
        empty="Prometheus gives no answer",
        decimals=0,
        thresholds=look.limits(
            # Ticket and score lie between -1000 and -900, a page below.
            RED,
            (-1000 + WARNING_FROM, ORANGE),
            (0, RED),
            (WARNING_FROM, ORANGE),
            (GOOD_FROM, look.FINE),
        ),
        colour=look.by_threshold(),
        targets=[
            prom_now(
                f"sort({worst} * on (site) group_left (code) (0 * {code} + 1) "
                f"or on (site) {worst} or {_unknown()} or on () {_nobody()})",
                "{{name}}: {{code}}",
            )
        ],
        transformations=[
            transform("renameByRegex", regex=f"^(.*): {rule.code}$", renamePattern=f"$1: {name}")
            for rule in RULES
            for name in [in_a_sentence(rule.code)]
        ],
        overrides={"/.*/": link("Open the site", SITE_OF_SERIES)},
    )
    return tiles(spec, background=True, rows=True, names=True, value=None)


def _energy() -> stat.Panel:
    made = "sum(sum_over_time(fleetscope_pv_power_watts[$__range:1m])) / 60 / 1000"
    spec = Spec(
        title="PV energy today",
        description="What the PV of all sites made since midnight, out of its power by the minute; "
        "a minute without a reading counts nothing.",
        size=(8, 5),
        unit="suffix: kWh PV today",
        empty="No PV is known",
        decimals=1,
        colour=look.fixed("text"),
        targets=[prom_now(made, "PV today")],
    )
    return tiles(spec, columns=True, value=None)


def _answered() -> stat.Panel:
    spec = Spec(
        title="Answered today",
        description="Share of the time since midnight in which sites answered, over all of them.",
        size=(8, 5),
        unit="suffix: % answered today",
        empty="No site was asked",
        decimals=1,
        colour=look.fixed("text"),
        targets=[prom_now("100 * avg(avg_over_time(fleetscope_site_up[$__range]))", "Answered")],
    )
    return tiles(spec, columns=True, value=None)
