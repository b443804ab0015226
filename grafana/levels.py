"""Level of detail by the time range: a hidden variable, and fields that exist at every level.

The variable ``level`` is the retention policy to read, its text the least interval that makes
sense there. A panel that follows it has ``interval="${level:text}"``, reads
``FROM "$level"."measurement"`` and names its fields by :func:`field`.
"""

# ruff: noqa: S608  (templates that Grafana fills in; no SQL is run here)

from __future__ import annotations

from exporter.levels import RAW
from exporter.rollups.choice import MEASUREMENT, PLACE

VARIABLE = "level"
LEAST_INTERVAL = "${level:text}"
CHOICE_QUERY = (
    'SELECT "choice" FROM (SELECT bottom("s", 1) AS "b", "choice" FROM (SELECT last("seconds") '
    f'AS "s", "range_ms", "kept_from_ms", "choice" FROM "{PLACE}"."{MEASUREMENT}" GROUP BY '
    '"level") WHERE "range_ms" >= $__to - $__from AND "kept_from_ms" <= $__from)'
)
"""The finest level that is meant for the range and reaches back to its beginning; refresh it when
the time range changes."""
CHOICE_REGEX = "/(?<value>[^ ]+) (?<text>.+)/"
DEFAULT = RAW


def field(name: str, kept: str) -> str:
    """A field as a regular expression that finds it in full detail and in every roll-up.

    Parameters
    ----------
    name : str
        As in full detail.
    kept : str
        What to read of a roll-up: one of ``exporter.quantities.KEPT`` for the field's kind.
    """
    return f"/^{name}(_{kept})?$/"
