"""What of a period was observed: the time in which sites were polled, answered or not."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from exporter.history.influxql import InfluxQL, between, name
from exporter.history.level_choice import table
from exporter.history.observed import FloatArray, IntArray, detail, of_sites, samples, split
from exporter.model.text import duration_words

LEAST_SHARE = 0.5
"""Below this share of observed time no availability, count or trend is given for a period, and no
"nothing happened"."""
HOLD_SECONDS = 600.0
"""A poll observes a site until the next one, for ten minutes at most: a site that fails is tried
again within five."""
_FIELD = "online"


@dataclass(frozen=True, slots=True)
class Coverage:
    """Observed time of a period, by site.

    Attributes
    ----------
    start, end : float
        The period that was asked for, Unix seconds; what lies in the future was not observed.
    seconds : dict of site id to float
        Observed seconds, 0 to ``end - start``; every site that was asked about is there.
    statements : tuple of str
        What was asked of InfluxDB.
    online : dict of site id to float
        Of the observed seconds those in which the site answered.
    """

    start: float
    end: float
    seconds: dict[str, float]
    statements: tuple[str, ...] = ()
    online: dict[str, float] = field(default_factory=dict)

    @property
    def asked_seconds(self) -> float:
        """Length of the period."""
        return self.end - self.start

    @property
    def share(self) -> float:
        """Observed share of the time of all sites together, 0 to 1; 0 without sites."""
        if not self.seconds or self.asked_seconds <= 0:
            return 0.0
        return sum(self.seconds.values()) / (len(self.seconds) * self.asked_seconds)

    @property
    def enough(self) -> bool:
        """Whether so much was observed that something may be said about the whole period."""
        return self.share >= LEAST_SHARE

    def of(self, site: str) -> float:
        """Observed share of one site's time, 0 to 1."""
        if self.asked_seconds <= 0:
            return 0.0
        return self.seconds.get(site, 0.0) / self.asked_seconds

    def availability(self, site: str) -> float:
        """Answered share of the observed time of one site in percent; NaN without any."""
        observed = self.seconds.get(site, 0.0)
        return 100.0 * self.online.get(site, 0.0) / observed if observed > 0 else math.nan

    def below(self, share: float = LEAST_SHARE) -> list[str]:
        """Sites of which less than this share was observed, by id."""
        return sorted(site for site in self.seconds if self.of(site) < share)

    def sentence(self) -> str:
        """What was observed, in words: ``Observed 31 % of the time asked (6 h of 20 h), …``."""
        asked = duration_words(self.asked_seconds)
        if not self.seconds:
            return "No site was asked about."
        if self.share == 0:
            return f"Nothing was observed in the {asked} asked about."
        if self.share > 0.9995:
            return f"Observed all of the {asked} asked about."
        mean = duration_words(self.share * self.asked_seconds)
        each = " a site" if len(self.seconds) > 1 else ""
        text = f"Observed {percent_words(self.share)} of the time asked ({mean} of {asked}{each})"
        thin = len(self.below())
        if len(self.seconds) > 1 and 0 < thin < len(self.seconds):
            text += (
                f"; less than {percent_words(LEAST_SHARE)} at {thin} of {len(self.seconds)} sites"
            )
        return f"{text}."


def percent_words(share: float) -> str:
    """A share that is neither rounded to all nor to nothing: ``0.06 %``, ``31 %``, ``99.9 %``."""
    percent = 100 * share
    if percent in (0, 100):
        return f"{percent:.0f} %"
    if 0 < percent < 0.01:
        return "less than 0.01 %"
    digits = 2 if percent < 1 or percent > 99.9 else 1 if percent < 10 or percent > 99 else 0
    text = f"{percent:.{digits}f}"
    return f"{'99.99' if percent < 100 and float(text) == 100 else text} %"


async def coverage(stored: InfluxQL, sites: Sequence[str], start: float, end: float) -> Coverage:
    """How long each site was observed within a period.

    A site is observed from one poll to the next, for ten minutes at most, whether it answered or
    not. What is stored of polls is read from the roll-up that holds the period, and from full
    detail at its edges, so that the seconds are those of exactly this period.

    Parameters
    ----------
    stored : InfluxQL
    sites : sequence of str
        Site ids.
    start, end : float
        Unix seconds, the latter not included.

    Raises
    ------
    exporter.history.influxql.NoAnswerError
    """
    if not sites or end <= start:
        return Coverage(start, end, dict.fromkeys(sites, 0.0))
    where = of_sites(sites)
    found = dict.fromkeys(sites, 0.0)
    online = dict.fromkeys(sites, 0.0)
    plan = await split(stored, "site", _FIELD, f"{_FIELD}_max", start, end, where, sites=sites)
    asked: list[str] = []
    if plan.level is not None and plan.rolled_start < plan.rolled_end:
        also = f" AND {where}" if where else ""
        states = ", ".join(f"sum({name(f'{_FIELD}_{n}_s')}) AS s{n}" for n in (0, 1))
        statement = (
            f"SELECT {states} FROM {table(plan.level, 'site')} "  # noqa: S608
            f'WHERE {between(plan.rolled_start, plan.rolled_end)}{also} GROUP BY "site"'
        )
        asked.append(statement)
        for series in await stored.select(statement):
            if series.tags["site"] in found:
                off, on = (value or 0.0 for value in series.rows[0][1:])
                found[series.tags["site"]] += off + on
                online[series.tags["site"]] += on
    for edge in plan.edges:
        read = await detail(
            stored, "site", _FIELD, edge, HOLD_SECONDS, where, len(sites), statements=asked
        )
        for series in read:
            if series.tags["site"] in found:
                observed, answered = _held(*samples(series), *edge)
                found[series.tags["site"]] += observed
                online[series.tags["site"]] += answered
    longest = end - start
    observed_seconds = {site: min(n, longest) for site, n in found.items()}
    return Coverage(start, end, observed_seconds, tuple(asked), online)


def _held(times_ms: IntArray, states: FloatArray, start: float, end: float) -> tuple[float, float]:
    """Seconds within a range in which the newest sample is at most ten minutes old, and those of
    them in which it says that the site answered."""
    if not len(times_ms):
        return 0.0, 0.0
    times = times_ms / 1000.0
    until = np.minimum(times + HOLD_SECONDS, np.append(times[1:], np.inf))
    lasting = np.minimum(until, end) - np.maximum(times, start)
    lasting = np.maximum(lasting, 0.0)
    return float(lasting.sum()), float((lasting * states).sum())
