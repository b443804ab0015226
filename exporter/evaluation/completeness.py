"""What a recording lacks: time without readings, silent sites, labels that lie elsewhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import numpy as np

from exporter.evaluation.labels import Label
from exporter.evaluation.table import duration

GAP_INTERVALS = 3
MOST_NAMED = 5


def notes(
    times: Sequence[float],
    interval_seconds: float,
    rows_of: Mapping[str, int],
    last_of: Mapping[str, float],
    sites: Sequence[str],
    labels: Sequence[Label],
) -> list[str]:
    """Sentences about what the figures do not rest on; none for a recording without holes.

    Parameters
    ----------
    times : sequence of float
        Moments with readings, Unix seconds, ascending.
    interval_seconds : float
        Usual time from one reading of a site to its next.
    rows_of : mapping of site id to int
        Readings of each site.
    last_of : mapping of site id to float
        Time of each site's last reading, Unix seconds.
    sites : sequence of str
        All sites of the fleet file.
    labels : sequence of Label
    """
    found = [*_gaps(np.array(times), interval_seconds), *_silent(sites, rows_of)]
    found += _ended(times[-1] - GAP_INTERVALS * interval_seconds, last_of)
    outside = [x for x in labels if x.end < times[0] or x.begin > times[-1]]
    if outside:
        found.append(
            f"The recording lasts from {_moment(times[0])} to {_moment(times[-1])}; outside of it "
            f"lie {len(outside)} of {len(labels)} labels: "
            + _listed([f"{x.fault} of {x.site} from {_moment(x.begin)}" for x in outside])
        )
    vague = [x for x in labels if not x.claimed and not x.innocent]
    if vague:
        found.append(
            f"{len(vague)} of {len(labels)} labels name no codes, so that nothing can count as "
            "found: " + _listed([f"{x.fault} of {x.site}" for x in vague])
        )
    return found


def _gaps(
    times: np.ndarray[tuple[int], np.dtype[np.float64]], interval_seconds: float
) -> list[str]:
    steps = np.diff(times)
    gaps = np.flatnonzero(steps > GAP_INTERVALS * interval_seconds)
    if not gaps.size:
        return []
    missing = float(steps[gaps].sum() - gaps.size * interval_seconds)
    longest = int(gaps[np.argmax(steps[gaps])])
    plural = "s" * (gaps.size > 1)
    return [
        f"No site has a reading for {duration(missing)} of {duration(float(times[-1] - times[0]))},"
        f" in {gaps.size} gap{plural}, the longest of {duration(float(steps[longest]))} from "
        f"{_moment(float(times[longest]))}; nothing is said of that time"
    ]


def _silent(sites: Sequence[str], rows_of: Mapping[str, int]) -> list[str]:
    silent = [site for site in sites if not rows_of.get(site)]
    if not silent:
        return []
    return [f"{len(silent)} of {len(sites)} sites have no readings: {_listed(silent)}"]


def _ended(latest: float, last_of: Mapping[str, float]) -> list[str]:
    ended = [f"{site} at {_moment(time)}" for site, time in last_of.items() if time < latest]
    if not ended:
        return []
    return [
        f"The readings of {len(ended)} of {len(last_of)} sites end before the recording does; what "
        f"was said of them afterwards counts only under a label: {_listed(ended)}"
    ]


def _listed(names: Sequence[str]) -> str:
    more = ", …" if len(names) > MOST_NAMED else ""
    return ", ".join(names[:MOST_NAMED]) + more


def _moment(time: float) -> str:
    return f"{datetime.fromtimestamp(time, UTC):%Y-%m-%d %H:%M} UTC"
