"""Sites that are odd beside their peers: alone, in several ways, and together with others."""

from __future__ import annotations

from exporter.assess.assessment import FleetAssessment, as_dict, assess
from exporter.collect.state import FleetState
from exporter.config.fleet import Fleet
from tests.assess.test_assessment import WALL, snapshot

SITES = 40


def of_forty(odd: dict[int, dict[str, float]], firmware: dict[int, str]) -> FleetAssessment:
    """Forty sites whose batteries differ a little, with some that differ more."""
    ids = [f"s{number:02}" for number in range(SITES)]
    described = [{"id": i, "api_endpoint": f"http://{i}.example.com"} for i in ids]
    state = FleetState(Fleet.model_validate({"sites": described}), 60.0)
    for number, site in enumerate(ids):
        noise = (number * 7 % 11 - 5) / 5
        battery = {
            "soh_percent": 95.0 + noise,
            "temperature_c": 25.0 + 2 * ((number * 3 % 13 - 6) / 6),
            "cell_spread_v": 0.02 + 0.01 * ((number * 5 % 9 - 4) / 4),
        }
        found = snapshot(
            site,
            battery | odd.get(number, {}),
            properties={"firmware": firmware.get(number, "v3.60")},
        )
        state.apply(found, 0.0)
    return assess(state, 0.0, WALL)


def test_a_site_that_is_a_little_odd_in_three_ways_is_named_on_the_api() -> None:
    hurt = {"soh_percent": 92.0, "temperature_c": 30.0, "cell_spread_v": 0.05}
    result = of_forty({7: hurt}, {})
    sites = [as_dict(site) for site in result]
    assert [site["id"] for site in sites if site["odd"]] == ["s07"]
    assert sites[7]["readings"]["odd_score"] > 3
    assert not any(outliers.flagged[7] for outliers in result.scores.outliers.values())


def test_sites_of_one_firmware_that_are_hot_together_are_named_with_it() -> None:
    hot = {number: {"temperature_c": 42.0} for number in (3, 11, 19, 27)}
    result = of_forty(hot, dict.fromkeys(hot, "v3.71"))
    assert [(c.code, c.attribute, c.value, c.sites) for c in result.common] == [
        ("odd_temperature", "firmware", "v3.71", 4)
    ]
    assert "Odd temperature at 4 of 4 sites of firmware v3.71" in result.common[0].sentence


def test_odd_sites_with_nothing_in_common_are_no_group() -> None:
    hot = {number: {"temperature_c": 42.0} for number in (3, 11, 19, 27)}
    assert of_forty(hot, {}).common == []
