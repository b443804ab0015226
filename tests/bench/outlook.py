"""Skill of forecasts and savings of plans: ``python -m tests.bench.outlook``.

A home with PV and a battery in several climates. One has the measured-like year of irradiance that
pvlib ships (TMY3 of Greensboro, United States, by NREL; public); the others have simulated weather:
days of one cloudiness that tend to follow each other, and clouds within the day. The load is
simulated: a base, mornings and evenings, weekends, and appliances at random times.

``--home FILE`` plays a measured home instead: CSV with ``time`` (ISO 8601 with an offset, even
steps of 15, 30 or 60 minutes), ``load_kw`` and ``pv_kw``. ``--slots FILE`` writes what every slot
of every way did, so that the bills can be counted again by other means.

Forecasts are issued every three hours by the method that a trial on the 14 days before has chosen;
the service does it every hour. Each plan is carried out until the next one on what really came, by
the simulator that plain self-consumption (the floor) and plans with perfect foresight (the ceiling)
are played by, too.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import json
import time
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from importlib import resources
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from exporter.config.fleet import Site
from exporter.energy.forecasts import learn
from exporter.energy.site_past import clear_sky, clock_of
from scoring.forecast import (
    DAY_SLOTS,
    HORIZON_SLOTS,
    LOAD_BASELINES,
    PV_BASELINES,
    SLOT_SECONDS,
    Series,
    rolling,
    tidy,
    trial_issues,
)
from scoring.forecast_candidate import NAME, train
from scoring.plan import Battery, Course, Goal, Outlook, bill_of, run, value_of_stored
from scoring.planning import make_plan

FloatArray = NDArray[np.float64]
FIRST = 1_704_067_200 // 900
YEAR = 365 * DAY_SLOTS
BEFORE = 63 * DAY_SLOTS
"""A whole year is played after so many slots, from which its first forecasts are learned."""
ALL = YEAR + BEFORE + 2 * DAY_SLOTS
"""The last plan of a year looks two days beyond it."""
BATTERY = Battery(10, 5, 5, 1, 10, 0.95, 0.95, 0.03, 15, 10)
COLUMNS = ("home", "tariff", "way", "slot", "load_kw", "pv_kw", "battery_kw", "buy", "sell")
WAYS = ("floor", "plan", "ceiling")
LABELS = [f"{n % DAY_SLOTS // 4:02}:{n % 4 * 15:02}" for n in range(HORIZON_SLOTS)]


class Writer(Protocol):
    """Of :mod:`csv`."""

    def writerows(self, rows: Iterable[Iterable[Any]], /) -> None:
        """Write rows."""


@dataclass(frozen=True)
class Home:
    """Some time of one home, W in quarter hours from ``first`` on, and the clear sky over it."""

    name: str
    site: Site
    pv: FloatArray
    load: FloatArray
    clear: FloatArray
    first: int = FIRST


def homes() -> Iterator[Home]:
    """The climates."""
    places = (
        ("Greensboro, TMY3", 36.1, -79.95, "America/New_York", -1.0),
        ("north, often cloudy", 53.5, 10.0, "Europe/Berlin", 0.45),
        ("south, mostly clear", 37.4, -6.0, "Europe/Madrid", 0.8),
    )
    for seed, (name, latitude, longitude, zone, clearness) in enumerate(places):
        site = Site(
            id=f"h{seed}",
            latitude=latitude,
            longitude=longitude,
            timezone=zone,
            solar_capacity_kw=6.0,
            capacity_kwh=10.0,
        )
        clear = clear_sky(site, FIRST, ALL + HORIZON_SLOTS)
        assert clear is not None
        shares, loads = [], []
        for part, (first, slots) in enumerate(((FIRST, YEAR), (FIRST + YEAR, ALL - YEAR))):
            rng = np.random.default_rng(seed + 1000 * part)
            if clearness >= 0:
                shares.append(_clouds(rng, clearness, slots))
            loads.append(_load(rng, site, first, slots))
        share = np.concatenate(shares) if shares else _measured(clear[:ALL])
        yield Home(name, site, clear[:ALL] * share, np.concatenate(loads), clear)


def measured_home(file: Path, site: Site) -> Home:
    """A home out of a file; what it does not hold is taken as the value before."""
    with file.open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines))
    times = np.array([datetime.fromisoformat(row["time"]).timestamp() for row in rows])
    each = int(np.median(np.diff(times))) // SLOT_SECONDS
    places = (times // SLOT_SECONDS).astype(np.int64)
    first = int(places.min())
    count = (int(places.max()) + each - first) // DAY_SLOTS * DAY_SLOTS
    watts = np.full((2, count), np.nan)
    for place, row in zip((places - first).tolist(), rows, strict=True):
        watts[:, place : place + each] = np.array([[float(row["load_kw"])], [float(row["pv_kw"])]])
    for n in np.flatnonzero(np.isnan(watts[0])).tolist():
        watts[:, n] = watts[:, n - 1]
    clear = clear_sky(site, first, count + HORIZON_SLOTS)
    assert clear is not None
    return Home(file.stem, site, 1000 * watts[1], 1000 * watts[0], clear, first)


def _clouds(rng: np.random.Generator, clearness: float, slots: int) -> FloatArray:
    """Share of a clear sky in each slot of some days."""
    days = np.empty(slots // DAY_SLOTS)
    state = clearness
    for n in range(len(days)):
        # Weather of one day tends to be that of the next.
        state = 0.6 * state + 0.4 * rng.beta(4 * clearness, 4 * (1 - clearness))
        days[n] = state
    within = np.empty(slots)
    drift = 0.0
    for n, noise in enumerate(rng.normal(0, 0.12, slots)):
        drift = 0.85 * drift + noise
        within[n] = drift
    whole = np.repeat(days, DAY_SLOTS)
    return np.clip(whole + within * 4 * whole * (1 - whole), 0.03, 1.05)


def _measured(clear: FloatArray) -> FloatArray:
    """The share of a clear sky by the global irradiance of the TMY3 year."""
    from pvlib import location
    from pvlib.iotools import read_tmy3

    with resources.as_file(resources.files("pvlib") / "data" / "723170TYA.CSV") as path:
        data, about = read_tmy3(str(path), coerce_year=2024, map_variables=True)
    place = location.Location(about["latitude"], about["longitude"], altitude=about["altitude"])
    sky = place.get_clearsky(data.index, linke_turbidity=3.0)["ghi"].to_numpy()
    ghi = data["ghi"].to_numpy()
    share = np.where(sky > 50, np.clip(ghi / np.maximum(sky, 1), 0, 1.2), np.nan)
    hours = (data.index.as_unit("s").asi8 - 1800) / 3600
    known = np.isfinite(share)
    order = np.argsort(hours[known])
    # After the year it begins anew.
    middle = (FIRST + np.arange(len(clear)) % YEAR + 0.5) / 4
    return np.interp(middle, hours[known][order], share[known][order])


def _load(rng: np.random.Generator, site: Site, first: int, slots: int) -> FloatArray:
    weekday, quarter = clock_of(site, first, slots)
    evening = np.exp(-(((quarter - 77) / 9) ** 2))
    morning = np.exp(-(((quarter - 29) / 5) ** 2))
    at_home = np.exp(-(((quarter - 52) / 14) ** 2)) * (weekday >= 5)
    days = slots // DAY_SLOTS
    day = np.repeat(rng.lognormal(0, 0.25, days + 1), DAY_SLOTS)[:slots]
    watts = 220 + day * (1100 * evening + 600 * morning + 500 * at_home)
    for start in rng.choice(slots - 8, days * 2, replace=False):
        watts[start : start + rng.integers(2, 8)] += rng.uniform(500, 2200)
    return watts + rng.gamma(2, 40, slots)


def series(home: Home, quantity: str, until: int) -> Series:
    """What is known before a slot."""
    weekday, quarter = clock_of(home.site, home.first, until + HORIZON_SLOTS)
    watts = (home.pv if quantity == "pv" else home.load)[:until]
    clear = home.clear[: until + HORIZON_SLOTS] if quantity == "pv" else None
    return Series(home.first, watts, clear, weekday, quarter)


def tariffs(home: Home) -> dict[str, tuple[FloatArray, FloatArray]]:
    """Prices to buy and sell for, by tariff; the market has two peaks, cheap noons and some
    negative hours."""
    rng = np.random.default_rng(99)
    count = len(home.load) + HORIZON_SLOTS
    _, quarter = clock_of(home.site, home.first, count)
    shape = 0.04 * np.exp(-(((quarter - 30) / 8) ** 2)) + 0.09 * np.exp(
        -(((quarter - 78) / 9) ** 2)
    )
    shape -= 0.05 * np.exp(-(((quarter - 54) / 12) ** 2))
    level = np.repeat(0.08 + 0.035 * rng.standard_normal(count // DAY_SLOTS + 1), DAY_SLOTS)[:count]
    spot = level + shape + np.repeat(0.01 * rng.standard_normal(count // 4 + 1), 4)[:count]
    flat = np.full(count, 0.08)
    night = np.where((quarter < 24) | (quarter >= 88), 0.22, 0.36)
    return {
        "flat": (np.full(count, 0.32), flat),
        "night": (night, flat),
        "dynamic": ((spot + 0.12) * 1.19, flat),
    }


def skill(home: Home, until: int) -> None:
    """Print the scores of every method over the 28 days before a slot."""
    for quantity, baselines in (("pv", PV_BASELINES), ("load", LOAD_BASELINES)):
        known = series(home, quantity, until)
        issues = trial_issues(known, days=28)
        candidate = train(known, int(issues[0]))
        assert candidate is not None
        trial = rolling(known, {**baselines, NAME: candidate}, issues)
        serves = trial.winner(NAME)
        base = trial.overall["yesterday"].mae_w
        for name, found in trial.overall.items():
            mark = "*" if name == serves else ""
            leads = " ".join(f"{trial.by_lead[name, h].mae_w:6.0f}" for h in (1, 6, 24))
            print(
                f"| {home.name} | {quantity} | {name}{mark} | {found.mae_w:.0f} | {leads} | "
                f"{found.pinball_w:.0f} | {found.coverage:.2f} | {1 - found.mae_w / base:.2f} |",
                flush=True,
            )


class Recount:
    """Counts what a course cost by other means: meter readings, not the planner's bill.

    The grid's power is what load, PV and battery leave over; charge is followed from the powers at
    the battery's terminals. Neither reads the course's own grid powers or charge.
    """

    def __init__(self, stored_kwh: float) -> None:
        self.cost = 0.0
        self.stored_kwh = stored_kwh
        self.worst_kwh = 0.0

    def add(self, came: Outlook, course: Course) -> None:
        """Take in the slots until the next plan."""
        for n, battery in enumerate(course.battery_kw.tolist()):
            grid = float(came.load_kw[n]) - float(came.pv_kw[n]) + battery
            # Beyond the connection PV is spilled, and a load is not served.
            grid = min(max(grid, -BATTERY.export_kw), BATTERY.import_kw)
            price = float(came.buy[n]) if grid > 0 else float(came.sell[n])
            self.cost += 0.25 * grid * price
            self.cost += 0.25 * max(-battery, 0.0) * BATTERY.wear_per_kwh
            share = 0.95 if battery > 0 else 1 / 0.95
            self.stored_kwh += 0.25 * battery * share
            off = abs(self.stored_kwh - float(course.stored_kwh[n]))
            self.worst_kwh = max(self.worst_kwh, off)


@dataclass
class Played:
    """What a tariff has cost over the days played so far, by way."""

    buy: FloatArray
    sell: FloatArray
    totals: dict[str, float] = field(default_factory=lambda: dict.fromkeys(WAYS, 0.0))
    seconds: float = 0.0
    plans: int = 0
    rows: list[tuple[object, ...]] = field(default_factory=list)
    """Of each slot: way, number, load, PV, battery (kW) and prices."""

    def span(
        self, home: Home, begin: int, slots: int, forecasts: list[dict[str, FloatArray]]
    ) -> None:
        """Play some days, each way from half a charge on."""
        stored = dict.fromkeys(WAYS, 5.0)
        recounts = {way: Recount(5.0) for way in WAYS}
        own = dict.fromkeys(WAYS, 0.0)
        for turn, given in enumerate(forecasts):
            part = slice(begin + turn * slots, begin + turn * slots + HORIZON_SLOTS)
            prices = self.buy[part], self.sell[part]
            came = Outlook(0.25, home.load[part] / 1e3, home.pv[part] / 1e3, *prices)
            ahead = Outlook(0.25, given["load"] / 1e3, given["pv"] / 1e3, *prices)
            for way, outlook in (("floor", None), ("plan", ahead), ("ceiling", came)):
                course, seconds = _until_next(came, outlook, stored[way], slots)
                self.seconds += seconds
                bill = bill_of(BATTERY, _first(came, slots), course, stored[way])
                # What is left is valued once, at the end.
                own[way] += bill.energy + bill.wear
                recounts[way].add(came, course)
                used = _first(came, slots)
                columns = (used.load_kw, used.pv_kw, course.battery_kw, used.buy, used.sell)
                for n, values in enumerate(zip(*(c.tolist() for c in columns), strict=True)):
                    self.rows.append((way, begin + turn * slots + n, *values))
                stored[way] = float(course.stored_kwh[-1])
        self.plans += 2 * len(forecasts)
        for way, recount in recounts.items():
            assert abs(recount.cost - own[way]) < 1e-6 * max(abs(own[way]), 1), way
            assert recount.worst_kwh < 1e-6, way
        worth = value_of_stored(BATTERY, Outlook(0.25, self.buy, self.buy, self.buy, self.sell))
        for way, left in stored.items():
            self.totals[way] += own[way] - worth * (left - 5.0)


def forecasts_of(home: Home, begin: int, days: int, slots: int) -> list[dict[str, FloatArray]]:
    """Forecasts of each issue, by the methods that a trial before the first has chosen."""
    learned = {}
    found: list[dict[str, FloatArray]] = []
    for turn in range(days * DAY_SLOTS // slots):
        issue = begin + turn * slots
        found.append({})
        for quantity, methods in (("pv", PV_BASELINES), ("load", LOAD_BASELINES)):
            known = series(home, quantity, issue)
            if turn * slots % (14 * DAY_SLOTS) == 0:
                learned[quantity] = learn(known, quantity)
            chosen = learned[quantity]
            assert chosen is not None
            method = chosen.candidate or methods[chosen.serves]
            found[-1][quantity] = tidy(method(known, issue))[:, 1]
    return found


def savings(
    home: Home,
    begin: int,
    days: int,
    every_hours: int,
    only: Collection[str] = (),
    written: Writer | None = None,
) -> None:
    """Print what plans saved over some days, beside the floor and the ceiling."""
    slots = 4 * every_hours
    chosen = {name: both for name, both in tariffs(home).items() if not only or name in only}
    played = {name: Played(*both) for name, both in chosen.items()}
    forecasts = forecasts_of(home, begin, days, slots)
    for name, one in played.items():
        one.span(home, begin, slots, forecasts)
        totals = one.totals
        possible = totals["floor"] - totals["ceiling"]
        saved = totals["floor"] - totals["plan"]
        reached = f"{100 * saved / possible:.0f} %" if possible > 0.05 else "–"
        print(
            f"| {home.name} | {name} | {totals['floor']:.2f} | {saved:.2f} | {possible:.2f} | "
            f"{reached} | {1000 * one.seconds / one.plans:.0f} |",
            flush=True,
        )
        if written is not None:
            written.writerows((home.name, name, *row) for row in one.rows)


def _first(came: Outlook, slots: int) -> Outlook:
    return Outlook(
        came.hours, *(v[:slots] for v in (came.load_kw, came.pv_kw, came.buy, came.sell))
    )


def _until_next(
    came: Outlook, outlook: Outlook | None, stored: float, slots: int
) -> tuple[Course, float]:
    """What happens until the next plan, and the processor seconds of this one."""
    if outlook is None:
        return run(BATTERY, _first(came, slots), stored), 0.0
    begun = time.process_time()
    plan = make_plan(BATTERY, outlook, stored, Goal(), LABELS)
    used = time.process_time() - begun
    modes, power = plan.modes[:slots], plan.power_kw[:slots]
    return run(BATTERY, _first(came, slots), stored, modes, power), used


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.outlook", description=__doc__)
    parser.add_argument("--days", type=int, default=28, help="of each season that is planned for")
    parser.add_argument("--every-hours", type=int, default=3, help="between two plans")
    parser.add_argument("--only", choices=("skill", "savings"))
    parser.add_argument("--year", action="store_true", help="plan for every day of a year instead")
    parser.add_argument("--climate", default="", help="only those that begin with this")
    parser.add_argument("--tariffs", nargs="*", default=(), help="flat, night, dynamic; all")
    parser.add_argument("--home", type=Path, help="a measured home instead")
    parser.add_argument("--site", type=json.loads, help="of it, as in the fleet file, as JSON")
    parser.add_argument("--slots", type=Path, help="write each slot there")
    chosen = parser.parse_args()
    played = list(homes())
    if chosen.home is not None:
        played = [measured_home(chosen.home, Site.model_validate({"id": "home"} | chosen.site))]
    seasons = [100 * DAY_SLOTS + 28 * DAY_SLOTS, 290 * DAY_SLOTS]
    if chosen.only != "savings":
        print("| climate | of | method | MAE, W | 1 h, 6 h, 24 h | pinball, W | in band | skill |")
        print("| --- | --- | --- | --- | --- | --- | --- | --- |")
        for home in played:
            skill(home, min(seasons[1], len(home.load) - DAY_SLOTS))
    if chosen.only != "skill":
        print("\n| climate | tariff | floor | saved | possible | reached | ms a plan |")
        print("| --- | --- | --- | --- | --- | --- | --- |")
        with contextlib.ExitStack() as stack:
            written = None
            if chosen.slots is not None:
                file = stack.enter_context(chosen.slots.open("w", encoding="utf-8", newline=""))
                written = csv.writer(file)
                written.writerow(COLUMNS)
            for home in played:
                if not home.name.startswith(chosen.climate):
                    continue
                spans = [(begin, chosen.days) for begin in seasons]
                if chosen.year:
                    ahead = BEFORE + HORIZON_SLOTS
                    spans = [(BEFORE, (len(home.load) - ahead) // DAY_SLOTS)]
                for begin, days in spans:
                    savings(home, begin, days, chosen.every_hours, chosen.tariffs, written)


if __name__ == "__main__":
    main()
