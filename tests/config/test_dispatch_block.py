"""The block ``dispatch`` of a site: off by default, whole where it is on."""

from __future__ import annotations

from pathlib import Path

import pytest

from exporter.config.fleet_file import FleetFileError, parse_fleet
from exporter.config.settings import SettingsError, load_settings
from exporter.drivers import DRIVERS

SITE = "sites:\n  - id: a\n    api_endpoint: http://192.0.2.1\n    dispatch: "


def mistakes(block: str) -> list[str]:
    with pytest.raises(FleetFileError) as caught:
        parse_fleet(SITE + block, Path("fleet.yaml"), DRIVERS)
    return [str(mistake) for mistake in caught.value.mistakes]


def test_a_site_takes_no_orders_unless_the_file_says_so() -> None:
    (site,) = parse_fleet(SITE + "{}", Path("fleet.yaml"), DRIVERS).sites
    assert not site.dispatch.enabled
    assert not site.dispatch.allow_persistent


@pytest.mark.parametrize(
    ("block", "expected"),
    [
        ("{enabled: true}", "needs max_charge_kw and max_discharge_kw with enabled: true"),
        ("{enabled: 'yes'}", "expected true or false, without quotes"),
        ("{soc_floor: 60, soc_ceiling: 50}", "soc_floor 60 must be below soc_ceiling 50"),
        ("{max_charge_kw: -5}", "expected more than 0"),
        ("{max_charge: 5}", "unknown key; did you mean max_charge_kw?"),
    ],
)
def test_mistakes_name_what_would_be_right(block: str, expected: str) -> None:
    (found,) = mistakes(block)
    assert found.startswith("line 4, column")
    assert expected in found


def test_dispatch_needs_a_journal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLEETSCOPE_DISPATCH", "on")
    with pytest.raises(SettingsError, match="FLEETSCOPE_DISPATCH=on needs"):
        load_settings()
    monkeypatch.setenv("FLEETSCOPE_DISPATCH_JOURNAL", "orders.sqlite")
    assert load_settings().dispatch == "on"


def test_dispatch_is_off_by_default() -> None:
    assert load_settings().dispatch == "off"
