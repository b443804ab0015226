"""What InfluxDB holds of a metric over the period of a question, and what it does not."""

from __future__ import annotations

from dataclasses import replace

from exporter.ask import metric_history as histories
from exporter.ask import promql
from exporter.ask.answer import CannotAnswerError
from exporter.ask.builder import Builder
from exporter.ask.catalogue import Metric
from exporter.ask.extremes import HOUR_SECONDS, ORDERS
from exporter.ask.metric_history import History
from exporter.ask.view import View
from exporter.history.influxql import InfluxQL
from exporter.model.text import sites_word


async def fetch_metric(
    b: Builder, stored: InfluxQL, metric: Metric, longest_step: int | None = None
) -> dict[str, History]:
    """History of every chosen site that has any, with its evidence in the Builder.

    Parameters
    ----------
    b : Builder
        Its query has a period, and its coverage is known.
    stored : InfluxQL
    metric : Metric
    longest_step : int, optional
        Seconds that a bucket lasts at most.

    Raises
    ------
    CannotAnswerError
    """
    if not metric.measurement:
        raise CannotAnswerError(f"{metric.label} is not stored; it is known for now only")
    period = b.period
    found, asked, _ = await histories.fetch(
        stored,
        metric,
        period,
        b.asked_sites,
        len(b.chosen),
        active_batteries(b.view),
        _longest_step(b, metric) if longest_step is None else longest_step,
    )
    if metric.over_time == "share" and b.coverage is not None:
        # Of exactly this period; the course is of whole windows.
        found = {
            site: replace(history, mean=b.coverage.availability(site), covered=b.coverage.of(site))
            for site, history in found.items()
        }
    b.evidence.influxql.extend(asked)
    show = promql.metric(metric.name, period.seconds)
    b.show(show)
    silent = [site for site in b.chosen if site not in found]
    if silent:
        named = ", ".join(silent[:5]) + (", …" if len(silent) > 5 else "")
        b.evidence.missing.append(f"{metric.label} of {sites_word(len(silent))}: {named}")
    gaps = [site for site, h in found.items() if h.covered < 0.95]
    if gaps:
        b.evidence.missing.append(
            f"{sites_word(len(gaps))} without readings in more than 5 % of the period: "
            + ", ".join(f"{s} ({100 * found[s].covered:.0f} % covered)" for s in gaps[:5])
            + (", …" if len(gaps) > 5 else "")
        )
    resets = sum(h.resets for h in found.values())
    if resets:
        b.evidence.notes.append(f"Counters were reset {resets} times and counted from zero again")
    glitches = sum(h.glitches for h in found.values())
    if glitches:
        b.evidence.notes.append(f"{glitches} bad readings of counters add nothing")
    if metric.over_time == "energy":
        b.evidence.notes.append("Energy is power over the observed time; a gap adds nothing")
    return found


def _longest_step(b: Builder, metric: Metric) -> int:
    """Seconds of a bucket at most: the hour, where the energies of days are compared."""
    days = metric.sums_up and b.query.order in ORDERS
    return HOUR_SECONDS if days and len(b.chosen) == 1 else histories.STEPS[-1]


def active_batteries(view: View) -> dict[str, str]:
    """The active battery of each site that has one."""
    return {
        site.id: record.active_battery
        for site, record in zip(view.sites, view.assessment.records, strict=True)
        if record.active_battery
    }
