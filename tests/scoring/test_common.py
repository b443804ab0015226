"""Common issues and the groups that explain them."""

from __future__ import annotations

import math
import random as stdlib_random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

from scoring.common import CommonIssue, common_issues, seen_in_region, upper_tail
from scoring.rules import BY_CODE, RULES

SEEDED = settings(derandomize=True, deadline=None)
Mask = NDArray[np.bool_]
Attributes = dict[str, list[str | None]]


def mask(n: int, *sites: int) -> Mask:
    result = np.zeros(n, dtype=bool)
    result[list(sites)] = True
    return result


def facts(issue: CommonIssue) -> tuple[object, ...]:
    return (
        issue.code,
        issue.sites,
        issue.members.tolist(),
        issue.attribute,
        issue.value,
        issue.group_size,
        issue.share_inside,
        repr(issue.share_outside),
        issue.sentence,
    )


def regions(**sizes: int) -> list[str | None]:
    return [name for name, size in sizes.items() for _ in range(size)]


@SEEDED
@given(st.data())
def test_upper_tail_equals_the_distribution_of_scipy(data: st.DataObject) -> None:
    population = data.draw(st.integers(1, 400))
    marked = data.draw(st.integers(0, population))
    drawn = data.draw(st.integers(0, population))
    observed = data.draw(st.integers(0, min(marked, drawn)))
    table = np.array([math.lgamma(k + 1) for k in range(population + 1)])
    expected = stats.hypergeom.sf(observed - 1, population, marked, drawn)
    assert upper_tail(table, population, marked, drawn, observed) == pytest.approx(
        expected, rel=1e-8, abs=1e-300
    )


def test_a_dead_grid_in_one_region_is_the_utility() -> None:
    active = {"grid_lost": mask(26, 0, 1, 2, 3, 4)}
    attributes: Attributes = {"battery_type": ["LFP"] * 26, "region": regions(North=6, South=20)}
    (issue,) = common_issues(active, attributes)
    assert (issue.attribute, issue.value) == ("region", "North")
    assert issue.sites == 5
    assert issue.members.tolist() == [0, 1, 2, 3, 4]
    assert issue.group_size == 6
    assert issue.share_inside == pytest.approx(5 / 6)
    assert issue.share_outside == 0.0
    assert issue.sentence == (
        "Grid lost at 5 of 6 sites of region North, but at 0 of 20 elsewhere: "
        "suspect the utility, not the sites."
    )


@pytest.mark.parametrize("code", ["grid_lost", "grid_frequency_low", "grid_voltage_high"])
def test_the_smallest_shared_grid_issue_comes_out_with_its_region(code: str) -> None:
    attributes: Attributes = {
        "battery_type": ["LFP", "NMC"] * 6,
        "region": regions(North=3, South=3, East=3, West=3),
    }
    (issue,) = common_issues({code: mask(12, 0, 1, 2)}, attributes)
    assert (issue.attribute, issue.value) == ("region", "North")


@pytest.mark.parametrize(
    "sizes",
    [
        {"North": 3, "South": 3},  # exactly 1 in 20 by chance
        {"North": 20, "South": 20, "East": 20},
    ],
)
def test_a_region_with_most_of_a_grid_issue_needs_no_correction(sizes: dict[str, int]) -> None:
    column = regions(**sizes)
    attributes: Attributes = {"battery_type": list(reversed(column)), "region": column}
    affected = mask(len(column), 0, 1, 2)
    (grid,) = common_issues({"grid_lost": affected}, attributes)
    (other,) = common_issues({"soc_low": affected}, attributes)
    assert grid.value == "North"
    assert other.attribute is None


def test_for_the_grid_a_region_comes_before_a_type_even_without_most_of_the_sites() -> None:
    attributes: Attributes = {
        "battery_type": regions(A=10, B=10, C=40),
        "region": regions(North=10, South=10, East=40),
    }
    found = common_issues({"grid_lost": mask(60, *range(20))}, attributes)
    assert [(i.attribute, i.value) for i in found] == [("region", "North"), ("region", "South")]


def test_for_the_grid_the_region_is_named_even_if_a_type_explains_it_as_well() -> None:
    same = regions(A=6, B=20)
    grid = common_issues({"grid_lost": mask(26, *range(6))}, {"battery_type": same, "region": same})
    cells = common_issues(
        {"cell_spread": mask(26, *range(6))}, {"battery_type": same, "region": same}
    )
    assert [i.attribute for i in grid] == ["region"]
    assert [i.attribute for i in cells] == ["battery_type"]


def test_two_regions_without_grid_are_two_issues() -> None:
    attributes = {"region": regions(North=10, South=12, East=40)}
    found = common_issues({"grid_lost": mask(62, *range(9), *range(10, 22))}, attributes)
    assert [(i.value, i.sites) for i in found] == [("South", 12), ("North", 9)]


def test_a_battery_type_explains_and_the_rest_is_reported_once() -> None:
    types = regions(A=20, B=60)
    affected = mask(80, *range(14), 30, 40, 50, 60)
    group, rest = common_issues(
        {"soh_low": affected}, {"battery_type": types, "region": [None] * 80}
    )
    assert (group.attribute, group.value, group.sites) == ("battery_type", "A", 14)
    assert (group.share_inside, group.share_outside) == (14 / 20, 4 / 60)
    assert "14 of 20 sites of battery type A" in group.sentence
    assert "utility" not in group.sentence
    assert (rest.attribute, rest.value) == (None, None)
    assert rest.members.tolist() == [30, 40, 50, 60]
    assert (rest.group_size, rest.share_inside) == (60, 4 / 60)
    assert math.isnan(rest.share_outside)
    assert rest.sentence == "Soh low at 4 of 60 sites that no battery type or region explains."


def test_scattered_sites_share_a_code_and_nothing_else() -> None:
    attributes = {"region": regions(North=10, South=10, East=10)}
    (issue,) = common_issues({"soc_low": mask(30, 0, 10, 20)}, attributes)
    assert issue.attribute is None
    assert issue.members.tolist() == [0, 10, 20]


def test_two_sites_are_not_common() -> None:
    assert common_issues({"grid_lost": mask(20, 0, 1)}, {"region": regions(N=2, S=18)}) == []


def test_an_issue_everywhere_is_explained_by_no_group() -> None:
    attributes = {"region": regions(North=10, South=30)}
    (issue,) = common_issues({"grid_lost": np.ones(40, dtype=bool)}, attributes)
    assert issue.attribute is None
    assert issue.share_inside == 1.0


def test_the_only_region_explains_nothing() -> None:
    (issue,) = common_issues({"grid_lost": mask(40, 1, 2, 3)}, {"region": ["North"] * 40})
    assert issue.attribute is None


def test_a_small_but_certain_difference_is_not_clearly_higher() -> None:
    # 15 % against 10 % of 5,000 sites each is no accident, but no explanation either.
    n = 10_000
    affected = mask(n, *range(750), *range(5000, 5500))
    types = {"battery_type": regions(A=5000, B=5000)}
    assert [i.attribute for i in common_issues({"soh_low": affected}, types)] == [None]
    named = common_issues({"soh_low": affected}, types, min_lift=1.2)
    assert [i.value for i in named] == ["A", None]


def test_a_few_sites_of_a_huge_region_do_not_accuse_its_utility() -> None:
    attributes = {"region": regions(North=2000, South=8000)}
    (issue,) = common_issues({"grid_lost": mask(10_000, 0, 1, 2)}, attributes)
    assert issue.attribute is None


def test_scatter_seldom_looks_like_a_pattern() -> None:
    named = 0
    for seed in range(100):
        rng = np.random.default_rng(seed)
        attributes = {
            "battery_type": [f"type {i}" for i in rng.integers(0, 4, 500)],
            "region": [f"region {i}" for i in rng.integers(0, 10, 500)],
        }
        active = {"grid_frequency": rng.random(500) < 0.06, "soc_low": rng.random(500) < 0.06}
        named += sum(i.attribute is not None for i in common_issues(active, attributes))
    assert named <= 20


def test_silent_sites_are_not_counted_as_healthy() -> None:
    # Of North's 20 sites 4 answer and all 4 lost the grid: 4 of 4, not 4 of 20.
    attributes = {"region": regions(North=20, South=20)}
    online = mask(40, 0, 1, 2, 3, *range(20, 40))
    (issue,) = common_issues({"grid_lost": mask(40, 0, 1, 2, 3)}, attributes, online)
    assert (issue.group_size, issue.share_inside) == (4, 1.0)
    offline = common_issues({"site_offline": ~online}, attributes, online)
    assert [(i.value, i.sites, i.group_size) for i in offline] == [("North", 16, 20)]


def test_a_site_without_a_region_is_neither_inside_nor_outside() -> None:
    attributes = {"region": [*regions(North=5, South=10), *[None] * 5]}
    (issue,) = common_issues({"grid_lost": mask(20, 0, 1, 2, 3, 18)}, attributes)
    assert issue.members.tolist() == [0, 1, 2, 3]
    assert issue.sentence.startswith("Grid lost at 4 of 5 sites of region North, but at 0 of 10 ")


def test_most_sites_first_then_by_code() -> None:
    active = {"b": mask(30, 0, 11, 22), "a": mask(30, 1, 12, 23), "c": mask(30, 2, 3, 14, 25)}
    found = common_issues(active, {"region": regions(N=10, S=10, E=10)})
    assert [(i.code, i.sites) for i in found] == [("c", 4), ("a", 3), ("b", 3)]


def test_what_only_informs_comes_after_what_somebody_has_to_act_on() -> None:
    many, few = mask(40, *range(20)), mask(40, 21, 22, 23)
    active = {"battery_health_unknown": many, "odd_soh": many, "cell_spread": few}
    found = common_issues(active, {"region": regions(N=20, S=20)})
    assert [i.code for i in found] == ["cell_spread", "battery_health_unknown", "odd_soh"]


@SEEDED
@given(st.integers(0, 10_000))
def test_the_order_of_sites_and_codes_changes_nothing(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n = 40
    active = {code: rng.random(n) < 0.25 for code in ("grid_lost", "soc_low", "soh_low")}
    active["grid_lost"][:8] = True
    attributes: Attributes = {
        "battery_type": [["A", "B", None][i] for i in rng.integers(0, 3, n)],
        "region": [["N", "S", "E"][i] for i in np.sort(rng.integers(0, 3, n))],
    }
    order = list(range(n))
    codes = list(active)
    stdlib_random.Random(seed).shuffle(order)
    stdlib_random.Random(seed).shuffle(codes)
    before = common_issues(active, attributes)
    after = common_issues(
        {code: active[code][order] for code in codes},
        {name: [column[i] for i in order] for name, column in attributes.items()},
    )
    back = [
        (*facts(i)[:2], sorted(order[m] for m in i.members.tolist()), *facts(i)[3:]) for i in after
    ]
    assert back == [facts(i) for i in before]


@SEEDED
@given(st.integers(0, 10_000))
def test_every_affected_site_appears_at_most_once_for_a_code(seed: int) -> None:
    rng = np.random.default_rng(seed)
    active = {code: rng.random(60) < 0.4 for code in ("grid_lost", "soh_low")}
    active["soh_low"][:20] = True
    attributes: Attributes = {
        "battery_type": regions(A=20, B=40),
        "region": [f"r{i}" for i in rng.integers(0, 4, 60)],
    }
    found = common_issues(active, attributes)
    for code, affected in active.items():
        members = [m for i in found if i.code == code for m in i.members.tolist()]
        assert len(members) == len(set(members))
        assert affected[members].all()
        assert np.count_nonzero(affected) - len(members) < 3
    assert all(i.sites == i.members.size >= 3 for i in found)


def test_nothing_in_nothing_out() -> None:
    assert common_issues({}, {}) == []
    assert common_issues({"soc_low": mask(5)}, {"region": ["N"] * 5}) == []
    (issue,) = common_issues({"soc_low": mask(5, 0, 1, 2)}, {})
    assert issue.sentence == "Soc low at 3 of 5 sites that no attribute explains."


def test_different_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match=r"arrays of different lengths: \[5, 6\]"):
        common_issues({"soc_low": mask(5)}, {"region": ["N"] * 6})
    with pytest.raises(ValueError, match=r"arrays of different lengths: \[4, 5\]"):
        common_issues({"soc_low": mask(5)}, {"region": ["N"] * 5}, np.ones(4, dtype=bool))


def test_what_a_lost_grid_brings_about_stands_after_it() -> None:
    active = {"device_alarm": mask(26, 0, 1, 2, 3, 4, 5, 9), "grid_lost": mask(26, 0, 1, 2, 3, 4)}
    attributes: Attributes = {"region": regions(**{"EU: North": 6, "South": 20})}
    grid, alarm = common_issues(active, attributes)
    assert (grid.code, grid.follows) == ("grid_lost", None)
    assert (alarm.code, alarm.follows, alarm.sites) == ("device_alarm", "grid_lost", 6)
    assert alarm.sentence == (
        "Device alarm at 6 of 6 sites of region EU: North, but at 1 of 20 elsewhere: "
        "at 5 of them it follows from grid lost."
    )


def test_an_alarm_at_other_sites_follows_from_nothing() -> None:
    active = {"device_alarm": mask(26, 0, 1, 2, 3), "grid_lost": mask(26, 3, 20, 21, 22, 23, 24)}
    attributes: Attributes = {"region": regions(North=6, South=14, West=6)}
    found = common_issues(active, attributes)
    assert [(issue.code, issue.follows) for issue in found] == [
        ("grid_lost", None),
        ("device_alarm", None),
    ]
    assert "look at what this region has in common" in found[1].sentence


def test_what_brings_an_issue_about_follows_from_nothing_itself() -> None:
    for rule in RULES:
        assert all(not BY_CODE[code].follows for code in rule.follows)


def test_what_most_of_a_region_sees_is_the_regions() -> None:
    region = np.array([0, 0, 0, 0, 1, 1, 1, -1])
    affected = np.array([True, True, True, False, True, False, False, True])
    everywhere = np.ones(8, dtype=bool)
    assert seen_in_region(affected, region, everywhere).tolist() == [True] * 3 + [False] * 5
