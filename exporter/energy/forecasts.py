"""Forecasts of one site: which method serves, what it says, and how good all of them were."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from exporter.energy.site_past import SitePast, clear_sky
from exporter.model.extras import missing
from exporter.model.levels import LEVELS
from exporter.store.line_protocol import tag, text
from scoring.forecast import (
    DAY_SLOTS,
    HORIZON_SLOTS,
    LEADS_HOURS,
    SLOT_SECONDS,
    Forecast,
    Method,
    Score,
    Series,
    Trial,
    baselines,
    enough,
    rolling,
    tidy,
    trial_issues,
)
from scoring.forecast_candidate import NAME as CANDIDATE
from scoring.forecast_candidate import train

log = logging.getLogger(__name__)
FloatArray = NDArray[np.float64]

KEPT_AT = LEVELS[1].name
"""Kept as long as the roll-up of quarter hours: two years, unless the settings say otherwise."""
MEASUREMENT = "forecast"
SCORES = "forecast_score"
NEXT = "next"
"""In place of a lead: what is forecast of a slot now; a newer one takes its place."""
NEIGHBOURS = "neighbours"


@dataclass(frozen=True, slots=True)
class Learned:
    """What a trial over the past of one power has shown.

    Attributes
    ----------
    serves : str
        The method that serves.
    candidate : Method or None
        Trained on all of the past, where it serves.
    trial : Trial
    why : str
        In words.
    """

    serves: str
    candidate: Method | None
    trial: Trial
    why: str


@dataclass(frozen=True, slots=True)
class Issued:
    """A forecast of one power: slots from ``first`` on, W."""

    site: str
    quantity: str
    first: int
    watts: Forecast
    method: str


def learn(series: Series, quantity: str, *, with_candidate: bool = True) -> Learned | None:
    """Play all methods over the last 14 days and choose; None without enough history.

    The candidate of the trial was trained on what lies before it. The one that serves is trained
    on everything.
    """
    if not enough(series):
        return None
    methods = dict(baselines(series, quantity))
    issues = trial_issues(series)
    if not issues.size:
        return None
    tried = None
    if with_candidate and missing("forecast") is None:
        tried = train(series, int(issues[0]))
        if tried is not None:
            methods[CANDIDATE] = tried
    trial = rolling(series, methods, issues)
    serves = trial.winner(CANDIDATE if tried is not None else None)
    final = train(series, len(series.watts)) if serves == CANDIDATE else None
    return Learned(serves, final, trial, _why(trial, serves, tried is not None))


def _why(trial: Trial, serves: str, tried: bool) -> str:
    losses = {n: s.pinball_w for n, s in trial.overall.items() if n != CANDIDATE and s.slots}
    if not losses:
        return "nothing of the last 14 days can be compared"
    best = min(losses, key=lambda name: losses[name])
    if not tried:
        return f"{best} is the best of {len(losses)} simple methods; no candidate was tried"
    gain = 100 * (1 - trial.overall[CANDIDATE].pinball_w / losses[best])
    better = f"{CANDIDATE} is {abs(gain):.1f} % {'better' if gain >= 0 else 'worse'} than {best}"
    return f"{better} on the last 14 days; it serves from 3 % on"


def issue(past: SitePast, quantity: str, series: Series, learned: Learned | None) -> Issued | None:
    """The forecast from the end of the past on; None where nothing is known."""
    if learned is None:
        return None
    methods = baselines(series, quantity)
    method = learned.candidate if learned.candidate is not None else methods.get(learned.serves)
    if method is None:
        return None
    highest = np.inf
    if quantity == "pv" and past.site.solar_capacity_kw:
        highest = 1200.0 * past.site.solar_capacity_kw
    made = tidy(method(series, len(series.watts)), 0.0, highest)
    if quantity == "pv" and series.clear is not None:
        dark = series.clear[len(series.watts) :] <= 0
        made[dark[:HORIZON_SLOTS]] = 0.0
    first = past.first + len(series.watts)
    return Issued(past.site.id, quantity, first, made, learned.serves)


@dataclass(slots=True)
class Forecaster:
    """Forecasts of sites, with what was learned of each; learned again once a day.

    Attributes
    ----------
    learned : dict of (site id, quantity) to (day, Learned or None)
    """

    learned: dict[tuple[str, str], tuple[int, Learned | None]] = field(default_factory=dict)

    def forecast(
        self, past: SitePast, quantity: str, weather: FloatArray | None = None
    ) -> tuple[Issued | None, list[str]]:
        """The forecast, and lines of the scores where they are new.

        Parameters
        ----------
        past : SitePast
        quantity : "pv" or "load"
        weather : float array, optional
            For PV, see :class:`scoring.forecast.Series`.
        """
        count = len(past.watts[quantity])
        clear = None
        if quantity == "pv":
            clear = clear_sky(past.site, past.first, count + HORIZON_SLOTS)
        series = past.series(quantity, clear, weather)
        day = (past.first + count) // DAY_SLOTS
        key = past.site.id, quantity
        known = self.learned.get(key)
        lines: list[str] = []
        if known is None or known[0] != day:
            found = learn(series, quantity)
            self.learned[key] = day, found
            if found is not None:
                lines = score_lines(past.site.id, quantity, found, day * DAY_SLOTS)
        return issue(past, quantity, series, self.learned[key][1]), lines


def from_neighbours(
    site: str, quantity: str, size: float, others: Mapping[str, tuple[Issued, float]]
) -> Issued | None:
    """What neighbours teach of a new site: the median of theirs for its size; None without any."""
    known = [(one, their) for one, their in others.values() if their > 0]
    if not known or not size > 0:
        return None
    first = known[0][0].first
    parts = [one.watts / their for one, their in known if one.first == first]
    return Issued(site, quantity, first, size * np.median(np.stack(parts), axis=0), NEIGHBOURS)


def forecast_lines(made: Issued) -> list[str]:
    """Lines of a forecast: all of it as the newest, and of each lead the hour that it is kept for.

    The one of a lead is issued once for each slot and never written again.
    """
    lines = []
    for lead, part in (
        (NEXT, range(len(made.watts))),
        *((f"{h}h", range(4 * h, 4 * h + 4)) for h in LEADS_HOURS),
    ):
        series = f"{MEASUREMENT},site={tag(made.site)},quantity={made.quantity},lead={lead}"
        for place in part:
            p10, p50, p90 = (round(float(v), 2) for v in made.watts[place])
            stamp = (made.first + place) * SLOT_SECONDS * 1000
            lines.append(
                f"{series} p10_w={p10},p50_w={p50},p90_w={p90},method={text(made.method)} {stamp}"
            )
    return lines


def score_lines(site: str, quantity: str, learned: Learned, slot: int) -> list[str]:
    """Lines of a trial: each method over all leads, and by lead."""
    trial, stamp = learned.trial, slot * SLOT_SECONDS * 1000
    rows: list[tuple[str, str, Score]] = [(name, "all", s) for name, s in trial.overall.items()]
    rows += [(name, f"{hours}h", s) for (name, hours), s in trial.by_lead.items()]
    reference = trial.overall.get("yesterday")
    lines = []
    for name, lead, found in rows:
        if not found.slots:
            continue
        base = reference if lead == "all" else trial.by_lead.get(("yesterday", int(lead[:-1])))
        skill = 1 - found.mae_w / base.mae_w if base is not None and base.mae_w > 0 else 0.0
        lines.append(
            f"{SCORES},site={tag(site)},quantity={quantity},method={tag(name)},lead={lead} "
            f"mae_w={found.mae_w!r},pinball_w={found.pinball_w!r},coverage={found.coverage!r},"
            f"slots={float(found.slots)},skill={skill!r},serves={float(name == learned.serves)},"
            f"why={text(learned.why)} {stamp}"
        )
    return lines
