"""Processor time of plans: ``python -m tests.bench.planning --sites 1000``.

Sites differ in battery, load, sun, charge and tariff (flat, night, dynamic with negative hours);
each is planned as the service does it, for 36 h in quarter hours, with the reasons.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import time

import numpy as np

from exporter.config.fleet import Site
from exporter.energy.forecasts import Issued
from exporter.energy.market_prices import Prices
from exporter.energy.plans import plan_lines, plan_site
from exporter.energy.tariff_file import TariffFile
from scoring.forecast import HORIZON_SLOTS, SLOT_SECONDS

FIRST = 1_780_272_000 // SLOT_SECONDS
TARIFFS = TariffFile.model_validate(
    {
        "currency": "EUR",
        "default": "flat",
        "series": {"spot": {"file": "spot.csv"}},
        "tariffs": {
            "flat": {"grid": {"price": 0.32}, "feed_in": {"price": 0.08}},
            "night": {
                "grid": {
                    "price": 0.36,
                    "windows": [{"price": 0.22, "start": "22:00", "end": "06:00"}],
                },
                "feed_in": {"price": 0.08},
            },
            "market": {
                "grid": {"series": "spot", "add": 0.12, "factor": 1.19},
                "feed_in": {"series": "spot"},
            },
        },
        "projects": {"n": "night", "m": "market"},
    }
)


def home(rng: np.random.Generator, number: int) -> tuple[Site, dict[str, Issued], float]:
    """A site, its forecasts, and its charge."""
    site = Site.model_validate(
        {
            "id": f"s{number}",
            "api_endpoint": "http://192.0.2.1",
            "capacity_kwh": float(rng.choice([5, 10, 15, 30])),
            "solar_capacity_kw": float(rng.uniform(3, 20)),
            "timezone": str(rng.choice(["Europe/Berlin", "America/New_York", "UTC"])),
            "project": ("f", "n", "m")[number % 3],
        }
    )
    quarter = np.arange(HORIZON_SLOTS) % 96
    sun = np.maximum(np.sin((quarter - 24) / 48 * np.pi), 0) * rng.uniform(0.1, 1)
    load = 0.3 + rng.uniform(0.3, 2) * np.exp(-(((quarter - rng.integers(66, 84)) / 9) ** 2))
    size = site.solar_capacity_kw or 0.0
    powers = {"pv": 1000 * size * sun, "load": 1000 * load + rng.gamma(2, 40, HORIZON_SLOTS)}
    issued = {
        name: Issued(site.id, name, FIRST, np.stack((0.8 * w, w, 1.2 * w), axis=1), "bench")
        for name, w in powers.items()
    }
    return site, issued, float(rng.uniform(10, 95))


def main() -> None:
    """Print what so many plans cost."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.planning", description=__doc__)
    parser.add_argument("--sites", type=int, default=1000)
    chosen = parser.parse_args()
    rng = np.random.default_rng(1)
    hours = SLOT_SECONDS * FIRST + 3600.0 * np.arange(40)
    spot = 0.06 + 0.07 * np.sin(np.arange(40) / 24 * 4 * np.pi) + rng.normal(0, 0.02, 40)
    prices = {"spot": Prices(hours, np.full(40, 3600.0), spot)}
    homes = [home(rng, number) for number in range(chosen.sites)]
    plan_site(homes[0][0], homes[0][1], homes[0][2], TARIFFS, prices)
    begun, used = time.monotonic(), []
    saving = orders = 0.0
    before = resource.getrusage(resource.RUSAGE_SELF)
    for site, issued, charge in homes:
        start = time.process_time()
        made = plan_site(site, issued, charge, TARIFFS, prices)
        assert made is not None
        orders += any(mode.value != "auto" for mode in made.plan.modes)
        saving += made.plan.saving
        plan_lines(made)
        used.append(time.process_time() - start)
    after = resource.getrusage(resource.RUSAGE_SELF)
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    negative = int((spot < 0).sum())
    wall = time.monotonic() - begun
    middle, most = 1000 * statistics.median(used), 1000 * max(used)
    print(f"{chosen.sites} sites: {seconds:.1f} s of processor time, {wall:.1f} s of the wall")
    print(f"a plan took {middle:.0f} ms (median), {most:.0f} ms (most)")
    print(
        f"{orders:.0f} plans have orders and save {saving:.0f} EUR; {negative} of 40 hours below 0"
    )
    print(f"{after.ru_maxrss / 1024:.0f} MiB")


if __name__ == "__main__":
    main()
