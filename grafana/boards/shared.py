"""Panels that stand on more than one dashboard."""

from __future__ import annotations

from grafana_foundation_sdk.builders import table
from grafana_foundation_sdk.builders.dashboard import QueryVariable
from grafana_foundation_sdk.models.dashboard import VariableHide, VariableRefresh

from exporter.model.cell_findings import FORECAST_MV
from grafana.kit import look
from grafana.kit.panels import Spec
from grafana.kit.queries import CHOSEN, ON_SITE, PROMETHEUS, SITES, never_empty, prom_table
from grafana.kit.tables import (
    CELLS_URL,
    COMPARE_URL,
    DASH,
    NO_PACK,
    PACK_OF_SITE_URL,
    Column,
    filled,
    listing,
    ordered,
    pack_column,
    site_column,
    transform,
)
from scoring.common import UTILITY_ATTRIBUTE, UTILITY_PREFIX
from scoring.outliers import OUTLIER_METRICS
from scoring.rule import in_a_sentence
from scoring.rules import RULES

FAR_MV = FORECAST_MV[-1]
NEAREST = 8
SOON_DAYS = 30
# A page outranks a ticket and a ticket outranks none, whatever the scores: 1000 exceeds any score.
MARK = (
    '(max by (site) (2 * ALERTS{alertstate="firing",severity="page",site!=""}) or '
    'max by (site) (ALERTS{alertstate="firing",severity="ticket",site!=""}))'
)
WORST_SITE = "max by (site) (-fleet:attention_order:by_site)"
CALLED = "called"
FIRST = f'site=~"${CALLED}"'
"""Matcher of the sites to call first: a large fleet's queries read these alone."""
_FIRST_SITE = f"max by (site) (-fleet:attention_order:by_site{{{FIRST}}})"
_CELL_SITE = f"max by (site) (fleetscope_cell_spread_volts{{{FIRST}}}) or on () {_FIRST_SITE}"
"""Of the sites to call first one with single cells, or any."""
UTILITY_ISSUES = f"{UTILITY_ATTRIBUTE}/{UTILITY_PREFIX}.*"
"""Attribute and code of a shared issue that points at the utility: an expression."""
CAUSE_VARIABLE = "shared_cause"
SHARED_CAUSE = f"${{{CAUSE_VARIABLE}}}"
_CODES = [rule.code for rule in RULES]
_NAMED = {
    code: in_a_sentence(code) for code in _CODES if in_a_sentence(code) != code.replace("_", " ")
}
"""Codes whose words are not their own, to these words."""
_MOST_UNDERSCORES = max(code.count("_") for code in _CODES)


def all_well(said: str) -> str:
    """PromQL: a row with that name and no value, where sites are known at all."""
    return f'label_replace(topk(1, {WORST_SITE}) * (0 / 0), "name", "{said}", "", "")'


def call_order(order: str, mark: str = MARK) -> str:
    """PromQL: sites that page first, then those with a ticket, then the rest, each by ``order``;
    ``mark`` is of all sites or of those in ``order``."""
    return f"({order} - on (site) group_left () 1000 * {mark} or {order})"


def cause_variable() -> QueryVariable:
    """Hidden: the first cause that several sites share, in words that a phone has room for."""
    names = "code, attribute, value"
    first = f"topk(1, max by ({names}) (fleetscope_common_issue_rank == 1))"
    # Numbers become labels, labels a sentence.
    found = (
        f'count_values by ({names}) ("sites", max by ({names}) (fleetscope_common_issue_sites)) '
        f'* on ({names}) group_left (of) count_values by ({names}) ("of", '
        f"max by ({names}) (fleetscope_common_issue_group_sites)) "
        f"and on ({names}) {first}"
    )
    found = f'label_replace({found}, "advice", "look for what they share", "", "")'
    found = f'label_join({found}, "kind", "/", "attribute", "code")'
    found = f'label_replace({found}, "advice", "suspect the utility", "kind", "{UTILITY_ISSUES}")'
    for code, name in _NAMED.items():
        found = f'label_replace({found}, "code", "{name}", "code", "{code}")'
    for _ in range(_MOST_UNDERSCORES):
        found = f'label_replace({found}, "code", "$1 $2", "code", "([^_]*)_(.*)")'
    parts = ("code", "sites", "of", "value", "advice")
    listed = ", ".join(f'"{part}"' for part in parts)
    found = f'label_join({found}, "parts", "|", {listed})'
    said = "$1 at $2 of $3 sites of $4: $5"
    split = "|".join(["([^|]*)"] * len(parts)).replace(")|(", ")[|](")
    found = f'label_replace({found}, "said", "{said}", "parts", "{split}")'
    none = 'label_replace(vector(0), "said", "none", "", "")'
    return (
        QueryVariable(CAUSE_VARIABLE)
        .description("The first cause that several sites share")
        .datasource(PROMETHEUS)
        .query(f"query_result(max by (said) ({found}) or on () {none})")
        .regex(r'/said="((?:[^"\\]|\\.)*)"/')
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        .hide(VariableHide.HIDE_VARIABLE)
    )


def days_column(source: str, title: str, url: str) -> Column:
    """Days until a cell reaches a limit; 0 where it has."""
    soon = look.limits(look.FINE, (0, look.SEVERITY_COLOURS["critical"]), (SOON_DAYS, look.FINE))
    return Column(
        source,
        title,
        84,
        look.DAYS,
        0,
        mappings=[look.as_text({"0": "Reached"}, look.SEVERITY_COLOURS["critical"])],
        url=url,
        more=filled(soon),
    )


def cells_that_drift(size: tuple[int, int]) -> table.Panel:
    """The cells of the chosen sites that reach the farthest limit first."""
    # To the power of 0 every score is 1.
    named = (
        f'fleetscope_cell_forecast_seconds{{millivolts="{FAR_MV}"}} / 86400 * {ON_SITE} '
        f"group_left (name) ({SITES} ^ 0)"
    )
    nothing = {
        "name": "No cell has a trend that leads there",
        "site": "-",
        "pack": NO_PACK,
        "cell": DASH,
    }
    spec = Spec(
        title="Cells that drift",
        description=f"The {NEAREST} cells of the chosen sites that will be {FAR_MV} mV from their "
        "pack's median at rest first, if their trend goes on, and in how many days.",
        size=size,
        unit=look.NUMBER,
        empty="Prometheus gives no answer",
        targets=[
            prom_table(
                never_empty(
                    f"max by (site, name, pack, cell) (bottomk({NEAREST}, {named}))",
                    nothing,
                    like=_CELL_SITE,
                )
            ),
        ],
        transformations=[ordered("Value")],
    )
    return listing(
        spec,
        [
            *site_column(CELLS_URL),
            pack_column(PACK_OF_SITE_URL),
            Column("cell", "Cell", 60),
            days_column("Value", f"{FAR_MV} mV in", PACK_OF_SITE_URL),
        ],
        drop=["Time"],
    )


def outliers(size: tuple[int, int]) -> table.Panel:
    """Sites that differ from comparable ones to their disadvantage."""
    named = f"fleet:outlier_score:by_site{{{CHOSEN}}}"
    nothing = {"name": "No chosen site is far from its peers", "site": "-", "metric": "-"}
    signed = f"max by (site, name, metric) ({named} and topk(20, abs({named})))"
    distance = f"max by (site, name, metric) (topk(20, abs({named})))"
    spec = Spec(
        title="Outliers",
        description="Sites that differ from comparable ones to their disadvantage, by robust z "
        f"score: the distance from the peers' median in spreads. Beyond {look.OUTLIER_Z:g} either "
        "way is an outlier.",
        size=size,
        unit=look.NUMBER,
        empty="Prometheus gives no answer",
        targets=[
            prom_table(never_empty(signed, nothing, _FIRST_SITE), "A"),
            prom_table(never_empty(distance, nothing, _FIRST_SITE), "B"),
        ],
        transformations=[transform("merge"), ordered("Value #B", descending=True)],
    )
    return listing(
        spec,
        [
            *site_column(),
            Column(
                "metric",
                "In",
                130,
                mappings=[look.names_of(*(m.name for m in OUTLIER_METRICS))],
            ),
            Column(
                "Value #A",
                "Robust z",
                84,
                decimals=1,
                url=COMPARE_URL,
                more=filled(look.outlier_limits()),
            ),
        ],
        drop=["Time", "Value #B"],
    )
