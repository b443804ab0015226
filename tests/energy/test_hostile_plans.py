"""Hostile input, row by row: the service's own way gives a plan with a reason, and no loss."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from exporter.config.fleet import Site
from exporter.energy.forecasts import Issued
from exporter.energy.plans import order_drafts, plan_lines, plan_site
from exporter.energy.tariff_file import TariffFile
from scoring.forecast import HORIZON_SLOTS
from scoring.plan import Mode

NAN = math.nan
FIRST = 1_980_000
QUARTER = np.arange(HORIZON_SLOTS) % 96
SUN = 4000.0 * np.maximum(np.sin((QUARTER - 24) / 48 * np.pi), 0)
LOAD = 400.0 + 1800 * ((QUARTER >= 68) & (QUARTER < 88))
SITE = {"id": "a", "api_endpoint": "http://192.0.2.1", "capacity_kwh": 10.0, "timezone": "UTC"}


def tariff(price: float, cheap: float, feed_in: float = 0.08) -> TariffFile:
    window = {"price": cheap, "start": "00:00", "end": "05:00"}
    rate = {"grid": {"price": price, "windows": [window]}, "feed_in": {"price": feed_in}}
    return TariffFile.model_validate({"currency": "EUR", "default": "t", "tariffs": {"t": rate}})


def unpriced() -> TariffFile:
    """A dynamic tariff whose series nobody could read, without a price in its place."""
    return TariffFile.model_validate(
        {
            "currency": "EUR",
            "default": "t",
            "series": {"spot": {"file": "absent.csv"}},
            "tariffs": {"t": {"grid": {"series": "spot"}}},
        }
    )


NIGHT = tariff(0.4, 0.1)
ROWS: dict[str, dict[str, Any]] = {
    "negative prices": {"tariffs": tariff(0.3, -0.2)},
    "prices that are always negative": {"tariffs": tariff(-0.05, -0.5, -0.1)},
    "feed-in dearer than the grid": {"tariffs": tariff(0.1, 0.05, 0.6)},
    "a flat tariff": {"tariffs": tariff(0.3, 0.3)},
    "a price of a million": {"tariffs": tariff(1e6, 0.1)},
    "no price at all": {"tariffs": unpriced()},
    "charge below the floor": {"soc": 2.0},
    "charge of 0": {"soc": 0.0},
    "charge above 100": {"soc": 130.0},
    "charge below 0": {"soc": -7.0},
    "charge unknown": {"soc": NAN},
    "forecast of the load is NaN": {"load": np.full(HORIZON_SLOTS, NAN)},
    "forecast of PV is NaN": {"pv": np.full(HORIZON_SLOTS, NAN)},
    "a hole in the forecast": {"load": np.where(QUARTER == 70, NAN, LOAD)},
    "infinite sun": {"pv": np.where(QUARTER == 40, math.inf, SUN)},
    "negative load": {"load": -LOAD},
    "no sun and no load": {"pv": 0 * SUN, "load": 0 * LOAD},
    "an import limit of 0": {"site": {"dispatch": {"import_limit_kw": 0}}},
    "an export limit of 0": {"site": {"dispatch": {"export_limit_kw": 0}}},
    "both limits 0": {"site": {"dispatch": {"import_limit_kw": 0, "export_limit_kw": 0}}},
    "a band of charge that is a point": {
        "site": {"dispatch": {"soc_floor": 50, "soc_ceiling": 50.001}}
    },
    "a battery of 1 Wh": {"site": {"capacity_kwh": 0.001}},
    "a battery of 10 GWh": {"site": {"capacity_kwh": 1e7}},
}


@pytest.mark.parametrize("row", ROWS)
def test_a_plan_with_a_reason_and_never_a_loss(row: str) -> None:
    given = ROWS[row]
    site = Site.model_validate(SITE | given.get("site", {}))
    powers = {"pv": given.get("pv", SUN), "load": given.get("load", LOAD)}
    issued = {
        name: Issued("a", name, FIRST, np.stack((watts, watts, watts), axis=1), "row")
        for name, watts in powers.items()
    }
    made = plan_site(site, issued, given.get("soc", 50.0), given.get("tariffs", NIGHT), {})
    assert made is not None
    plan = made.plan
    assert len(plan.modes) == HORIZON_SLOTS
    assert all(plan.reasons)
    assert math.isfinite(plan.saving)
    assert plan.saving >= 0
    # It is a saving, not a ratio of two small numbers.
    assert plan.bill.total <= plan.plain.total + 1e-9
    for values in (plan.power_kw, plan.course.battery_kw, plan.course.stored_kwh):
        assert np.isfinite(values).all()
    block = site.dispatch
    for limit, drawn in (
        (block.import_limit_kw, plan.course.import_kw),
        (block.export_limit_kw, plan.course.export_kw),
    ):
        assert limit is None or drawn.max() <= limit + 1e-9
    assert not any("nan" in line or "inf" in line.split(" ")[1] for line in plan_lines(made)[:-1])
    for draft in order_drafts(made, "planner", "mandate", approved=True):
        assert draft.reason
        assert draft.power_w >= 0
    if all(mode is Mode.AUTO for mode in plan.modes):
        assert plan.note or plan.saving == 0
