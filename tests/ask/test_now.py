"""Answers about now agree with the Assessment and carry their evidence."""

from __future__ import annotations

import json
from typing import Any

import pytest

from exporter.ask.answer import Answer, CannotAnswerError
from exporter.ask.answerer import Answerer
from exporter.ask.catalogue import CONDITIONS, METRICS, spellings
from exporter.ask.issue_costs import NO_PRICES
from exporter.ask.query import (
    Comparison,
    Condition,
    Filter,
    Query,
    QueryError,
    What,
    comparison_from,
    condition_from,
    filter_from,
)
from exporter.assess.assessment import FleetAssessment
from exporter.assess.costs import PriceList
from exporter.cli.mcp.tools import parameters

SILENT = {"site_epsilon", "farm-2", "untried"}
BROKEN = [
    "site_epsilon",
    "site_alpha",
    "depot_north",
    "site_beta",
    "site_gamma",
    "farm-2",
    "site_delta",
    "bakery-7",
]


async def ask(answerer: Answerer, what: str, **fields: Any) -> Answer:
    answer = await answerer.answer(Query(What(what), **fields))
    json.dumps(answer.as_dict())
    return answer


async def test_attention_is_that_of_the_assessment(
    answerer: Answerer, assessment: FleetAssessment
) -> None:
    answer = await ask(answerer, "attention")
    wanted = [assessment.fleet.sites[row].id for row in assessment.needing_attention()]
    assert list(answer.sites) == wanted
    assert sorted(wanted) == sorted(BROKEN)
    assert answer.attention
    assert answer.headline.startswith("8 sites need attention, of 14 sites.")
    soh = next(r for r in answer.evidence.readings if r["quantity"] == "battery_soh")
    assert (soh["site"], soh["value"], soh["threshold"]) == ("site_alpha", 68.0, 70.0)


async def test_filters_widen_within_an_attribute_and_narrow_across(answerer: Answerer) -> None:
    spain = Filter("location", "Spain")
    both = await ask(answerer, "attention", filters=(spain, Filter("location", "Germany")))
    assert set(both.sites) == set(BROKEN) - {"bakery-7", "farm-2"}
    high = await ask(answerer, "attention", filters=(spain, Filter("priority", "high")))
    assert high.sites == ("site_alpha",)
    rest = await ask(answerer, "attention", filters=(Filter("location", "Spain", negate=True),))
    assert set(rest.sites) == set(BROKEN) - {"site_alpha", "site_gamma", "site_delta"}
    with pytest.raises(CannotAnswerError, match="no site of the fleet is left"):
        await ask(answerer, "attention", filters=(Filter("vendor", "nobody"),))


async def test_urgent_means_critical(answerer: Answerer) -> None:
    answer = await ask(answerer, "attention", severity="critical")
    assert set(answer.sites) == {"site_alpha", "site_epsilon", "depot_north"}


@pytest.mark.parametrize(
    ("condition", "sites", "unknown"),
    [
        ("low_soh", {"site_alpha"}, SILENT),
        ("hot", {"site_delta"}, SILENT),
        ("cell_imbalance", {"site_gamma"}, SILENT),
        ("low_soc", {"bakery-7"}, SILENT),
        ("no_grid", {"depot_north"}, {"site_epsilon", "untried"}),
        ("off_frequency", {"site_beta"}, {"site_epsilon", "untried"}),
        ("offline", {"site_epsilon"}, {"untried"}),
        ("unknown", {"untried"}, set()),
        ("no_battery_data", {"farm-2"}, {"untried"}),
        ("no_data", {"farm-2", "site_epsilon", "untried"}, set()),
        ("needs_attention", set(BROKEN), {"untried"}),
        ("critical", {"site_alpha", "depot_north"}, {"untried"}),
        ("maintenance", set(), set()),
    ],
)
async def test_conditions(
    answerer: Answerer, condition: str, sites: set[str], unknown: set[str]
) -> None:
    answer = await ask(answerer, "which", conditions=(Condition(condition),))
    assert set(answer.sites) == sites
    others = await ask(answerer, "which", conditions=(Condition(condition, negate=True),), limit=99)
    assert not (sites | unknown) & set(others.sites)
    assert len(others.sites) == 14 - len(sites | unknown)


NOT_GIVEN = frozenset(
    ("voltage", "current", "cycles", "load_power", "deferrable_power", "soh_trend")
)
"""What no site of the fleet gives."""


async def test_every_condition_and_metric_can_be_asked_for(answerer: Answerer) -> None:
    for name in CONDITIONS:
        await ask(answerer, "which", conditions=(Condition(name),))
    for metric in METRICS.values():
        dark = ("solar_score", "genset_power", "pv_performance")
        if metric.source == "past" or metric.name in dark:
            continue
        if metric.name in NOT_GIVEN:
            with pytest.raises(CannotAnswerError, match="no site has a"):
                await ask(answerer, "value", metrics=(metric.name,))
            continue
        assert (await ask(answerer, "value", metrics=(metric.name,))).tables[0].rows[0]["sites"] > 0


async def test_a_missing_value_is_in_no_comparison_and_is_said(answerer: Answerer) -> None:
    below = await ask(answerer, "which", comparisons=(Comparison("soh", "<", 80),))
    above = await ask(answerer, "which", comparisons=(Comparison("soh", ">=", 80),), limit=99)
    assert below.sites == ("site_alpha",)
    assert len(above.sites) == 10
    assert "state of health of 3 sites is not known" in below.evidence.missing[0]


async def test_rank_by_a_metric_leaves_out_what_is_unknown(answerer: Answerer) -> None:
    answer = await ask(answerer, "rank", metrics=("soh",), limit=2)
    assert answer.sites == ("site_alpha", "site_beta")
    assert answer.tables[0].total == 11
    best = await ask(answerer, "rank", metrics=("soh",), order="best", limit=1)
    assert best.sites == ("harbour",)
    with pytest.raises(CannotAnswerError, match="no better or worse"):
        await ask(answerer, "rank", metrics=("grid_power",), order="worst")


async def test_rank_by_score_is_the_rank_of_the_assessment(
    answerer: Answerer, assessment: FleetAssessment
) -> None:
    answer = await ask(answerer, "rank", limit=99)
    assert [assessment.fleet.sites[row].id for row in assessment.by_attention()] == list(
        answer.sites
    )


async def test_explain_adds_up(answerer: Answerer, assessment: FleetAssessment) -> None:
    for row, site in enumerate(assessment.fleet.sites):
        answer = await ask(answerer, "explain", sites=(site.id,))
        if site.id == "untried":
            assert "nothing is known" in answer.headline
            continue
        steps = answer.tables[0].rows
        score = float(assessment.scores.overall.score[row])
        assert sum(step["points"] for step in steps[:-1]) == pytest.approx(score, abs=0.05)
        assert steps[-1]["points"] == score


async def test_explain_denies_what_is_not_so(answerer: Answerer) -> None:
    answer = await ask(
        answerer, "explain", sites=("site_beta",), conditions=(Condition("offline"),)
    )
    assert "at present not status OFFLINE" in answer.headline


async def test_compare_names_the_better(answerer: Answerer) -> None:
    answer = await ask(
        answerer, "compare", sites=("site_gamma", "site_delta"), metrics=("temperature",)
    )
    row = answer.tables[0].rows[0]
    assert (row["site_gamma"], row["site_delta"], row["better"]) == (25.0, 47.0, "Gamma")
    with pytest.raises(CannotAnswerError, match="at least two"):
        await ask(answerer, "compare", sites=("site_gamma",))


async def test_groups(answerer: Answerer) -> None:
    answer = await ask(answerer, "value", metrics=("soh",), group_by="region")
    groups = {row["group"]: row for row in answer.tables[0].rows}
    assert {name: row["sites"] for name, row in groups.items()} == {
        "iberia": 6,
        "central-europe": 5,
        "alps": 3,
    }
    assert answer.tables[0].rows[0]["group"] == "iberia"
    assert any("1 of 3 in alps" in text for text in answer.evidence.missing)


async def test_outliers_are_flagged_by_robust_z(answerer: Answerer) -> None:
    answer = await ask(answerer, "outliers")
    found = {(row["site"], row["metric"]) for row in answer.tables[0].rows}
    assert ("site_alpha", "state of health") in found
    assert ("site_delta", "battery temperature") in found
    assert ("site_gamma", "cell spread") in found
    only = await ask(answerer, "outliers", metrics=("temperature",))
    assert only.sites == ("site_delta",)


async def test_value_of_a_group_is_its_sum_or_mean(answerer: Answerer) -> None:
    spain = (Filter("location", "Spain"), Filter("vendor", "EVE"))
    answer = await ask(answerer, "value", metrics=("pv_power",), filters=spain)
    assert answer.tables[0].rows[0]["total"] == 1020 + 1030 + 1100
    assert "in total 3150 W over 3 sites" in answer.headline


async def test_since_is_that_of_the_issue(answerer: Answerer, assessment: FleetAssessment) -> None:
    answer = await ask(answerer, "since", sites=("site_beta",))
    assert answer.tables[0].rows[0]["since"] == assessment.time
    nothing = await ask(answerer, "since", sites=("school",))
    assert nothing.headline == "School has no such issue now (any issue); it is HEALTHY."


async def test_there_is_no_figure_without_a_price(answerer: Answerer) -> None:
    assert (await ask(answerer, "cost")).headline == NO_PRICES
    assert (await ask(answerer, "attention", with_cost=True)).cost == NO_PRICES


async def test_costs_add_up_and_tell_what_is_assumed(assessment: FleetAssessment) -> None:
    prices = PriceList.model_validate(
        {
            "currency": "EUR",
            "battery_per_kwh": {"price": 300, "assumption": "replaced whole"},
            "service_call": {"price": 450, "assumption": "one visit"},
        }
    )
    answerer = Answerer(lambda: assessment, None, prices)
    answer = await ask(answerer, "cost", filters=(Filter("location", "Spain"),))
    rows = answer.tables[0].rows
    assert [(r["site"], r["item"], r["amount"]) for r in rows] == [
        ("site_alpha", "new battery", 6000.0),
        ("site_alpha", "visit", 450.0),
        ("site_gamma", "visit", 450.0),
        ("site_delta", "visit", 450.0),
    ]
    assert answer.headline == "About 7 350 EUR for 3 sites."
    assert {r["assumption"] for r in rows} == {"replaced whole", "one visit"}
    both = await ask(
        answerer, "attention", filters=(Filter("location", "Spain"),), with_cost=True, limit=1
    )
    assert both.cost == answer.headline
    only_visits = prices.model_copy(update={"battery_per_kwh": None})
    partly = await ask(Answerer(lambda: assessment, None, only_visits), "cost")
    assert any(
        "site_alpha: a new battery: no battery_per_kwh" in t for t in partly.evidence.missing
    )


async def test_the_past_needs_an_influxdb(answerer: Answerer) -> None:
    with pytest.raises(CannotAnswerError, match="a history needs a period"):
        await ask(answerer, "history", metrics=("score",))


@pytest.mark.parametrize(
    ("text", "wanted"),
    [("region:a b", Filter("region", "a b")), ("!vendor=X", Filter("vendor", "X", True))],
)
def test_filters_in_text(text: str, wanted: Filter) -> None:
    assert filter_from(text) == wanted


@pytest.mark.parametrize("text", ["region", "region:", "colour:red", ":x", ""])
def test_wrong_filters_are_told(text: str) -> None:
    with pytest.raises(QueryError):
        filter_from(text)


def test_comparisons_and_conditions_in_text() -> None:
    assert comparison_from(" soh <= 80.5") == Comparison("soh", "<=", 80.5)
    assert condition_from("!hot") == Condition("hot", True)
    for text in ("soh", "soh<", "soh~3", "nothing<3", "soh<1e999"):
        with pytest.raises(QueryError):
            comparison_from(text)
    with pytest.raises(QueryError):
        condition_from("purple")


async def test_contacts_are_for_those_who_may_see_them(answerer: Answerer) -> None:
    query = Query(What.CONTACT, sites=("site_alpha",))
    hidden = await answerer.answer(query)
    assert hidden.headline.endswith("its contact is not shown without the right to see it.")
    assert hidden.tables[0].rows[0]["phone"] is None
    assert "contacts; they need a sign-in" in hidden.evidence.missing[0]
    shown = await answerer.answer(query, contacts=True)
    assert shown.headline == "Alpha: Sevilla, Spain; call Maria, +34 123 456."
    urgent = await answerer.answer(
        Query(What.CONTACT, conditions=(Condition("critical"),)), contacts=True
    )
    assert set(urgent.sites) == {"site_alpha", "depot_north"}


async def test_what_the_fleet_file_says_adds_up(answerer: Answerer) -> None:
    capacity = await answerer.answer(Query(What.VALUE, metrics=("capacity",)))
    assert "280" in capacity.headline
    stored = await answerer.answer(
        Query(What.VALUE, sites=("site_alpha",), metrics=("stored_energy",))
    )
    assert "14.0 kWh" in stored.headline


async def test_a_reading_that_is_not_there(answerer: Answerer) -> None:
    answer = await answerer.answer(Query(What.WHICH, conditions=(Condition("no_soh"),)))
    assert "farm-2" in answer.sites
    assert "site_alpha" not in answer.sites
    without = await answerer.answer(
        Query(
            What.WHICH,
            conditions=(Condition("offline"),),
            filters=(Filter("site", "site_epsilon", negate=True),),
        )
    )
    assert without.sites == ()


async def test_single_cells_of_a_site(answerer: Answerer) -> None:
    answer = await answerer.answer(Query(What.CELLS, sites=("site_gamma",)))
    assert answer.headline == ("3 cells of Gamma, lowest 7 at 3.200 V, highest 8 at 3.320 V.")
    assert [row["cell"] for row in answer.tables[0].rows] == ["7", "8", "1"]
    one = await answerer.answer(Query(What.CELLS, sites=("site_gamma",), cell="7"))
    assert one.headline == "Cell 7 of Gamma: 3.200 V, -110 mV from the median of its pack."
    assert one.tables[0].rows[0]["temperature_c"] is None
    with pytest.raises(CannotAnswerError, match="Gamma has no cell 9"):
        await answerer.answer(Query(What.CELLS, sites=("site_gamma",), cell="9"))
    with pytest.raises(CannotAnswerError, match="gives no single cells"):
        await answerer.answer(Query(What.CELLS, sites=("site_alpha",)))


@pytest.mark.parametrize("name", METRICS)
def test_a_metric_goes_by_all_its_names(name: str) -> None:
    named = parameters("rank_sites", {"metric": name})
    for other in spellings(name):
        assert Query(What.RANK, metrics=(other,)) == Query(What.RANK, metrics=(name,))
        assert comparison_from(f"{other}<5") == comparison_from(f"{name}<5")
        assert {**parameters("rank_sites", {"metric": other}), "metric": name} == named
    assert "temperature_c" in spellings("temperature")
