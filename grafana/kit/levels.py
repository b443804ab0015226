"""Level of detail by the time range: a hidden variable, and fields that exist at every level.

The variable's value is the retention policy to read, its text the least interval that makes sense
there. A panel that follows it has :data:`LEAST_INTERVAL` and asks with what this module makes.
There are four such variables: readings, single cells and meters come at cadences of their own, the
same levels with other least intervals; what is compared with forecasts, which are of quarter hours,
is read from the roll-up of quarter hours at the finest. Single cells that were imported come at the
cadence of their files, which one more variable measures: full detail of it would leave gaps between
columns.
"""

# ruff: noqa: S608  (templates that Grafana fills in; no SQL is run here)

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from grafana_foundation_sdk.builders.dashboard import QueryVariable
from grafana_foundation_sdk.models.dashboard import VariableHide, VariableRefresh

from exporter.history.rollups.plot_level import MEASUREMENT, PLACE
from exporter.model.levels import METER_SECONDS, RAW, RAW_CELL_BUCKET
from grafana.kit.queries import INFLUXDB

CADENCE = "cell_cadence"
CADENCE_ROWS = 500
WITHIN_CADENCE = 0.8
"""Share of the cadence that a level's window needs: clocks of loggers run a little off."""


def choice_query(cadence: str = "", least_seconds: int = 0) -> str:
    """InfluxQL: the finest level that is meant for the range and reaches back to its beginning.

    Parameters
    ----------
    cadence : str
        Name of a variable of seconds, or of nothing, that a window needs at least.
    least_seconds : int
        Length that a window has at least.
    """
    # A variable without a value leaves 0, which every level has.
    coarse = f' AND "s" >= 0${{{cadence}}}' if cadence else ""
    if least_seconds:
        coarse += f' AND "s" >= {least_seconds}'
    return (
        'SELECT "choice" FROM (SELECT bottom("s", 1) AS "b", "choice" FROM (SELECT last("seconds") '
        f'AS "s", "range_ms", "kept_from_ms", "choice" FROM "{PLACE}"."{MEASUREMENT}" GROUP BY '
        f'"level") WHERE "range_ms" >= $__to - $__from AND "kept_from_ms" <= $__from{coarse})'
    )


def cadence_query() -> str:
    """InfluxQL: the usual seconds between rows of one cell, where they exceed the least interval
    of full detail; nothing else."""
    least = 60 * int(RAW_CELL_BUCKET.removesuffix("m"))
    apart = (
        f'SELECT elapsed("voltage_v", 1s) AS "apart" FROM "{RAW}"."cell" WHERE {SITE} AND '
        'time >= ${__from}ms AND time <= ${__to}ms GROUP BY "pack", "cell" '
        f"LIMIT {CADENCE_ROWS} SLIMIT 1"
    )
    usual = f'SELECT median("apart") * {WITHIN_CADENCE} AS "usual" FROM ({apart})'
    return f'SELECT "usual" FROM ({usual}) WHERE "usual" > {least}'


def cadence_variable() -> QueryVariable:
    """The hidden variable that :func:`choice_query` needs for cells; it stands before it."""
    return (
        QueryVariable(CADENCE)
        .description("Seconds between recorded rows of a cell, where they are far apart")
        .datasource(INFLUXDB)
        .query(cadence_query())
        .regex(r"/^(\d+)/")
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        .hide(VariableHide.HIDE_VARIABLE)
    )


@dataclass(frozen=True, slots=True)
class Detail:
    """One variable: its name, which of the least intervals of a level it takes, the name of the
    variable that holds the cadence of its rows, if there is one, and the length that a window has
    at least."""

    name: str
    place: int
    cadence: str = ""
    least_seconds: int = 0

    @property
    def interval(self) -> str:
        """A panel's least interval."""
        return f"${{{self.name}:text}}"

    @property
    def regex(self) -> str:
        """What the variable makes of the answer."""
        return f"/(?<value>[^ ]+){' [^ ]+' * self.place} (?<text>[^ ]+)/"

    @property
    def query(self) -> str:
        """InfluxQL that answers with the level and its least intervals."""
        return choice_query(self.cadence, self.least_seconds)

    def variable(self) -> QueryVariable:
        """The hidden variable."""
        return (
            QueryVariable(self.name)
            .description("Level of detail, by the time range")
            .datasource(INFLUXDB)
            .query(self.query)
            .regex(self.regex)
            .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
            .hide(VariableHide.HIDE_VARIABLE)
        )

    def of(self, measurement: str) -> str:
        """What stands behind FROM."""
        return f'"${self.name}"."{measurement}"'


READINGS = Detail("level", 0)
CELLS = Detail("cell_level", 1, CADENCE)
METERS = Detail("meter_level", 2)
QUARTERS = Detail("quarter_level", 0, least_seconds=METER_SECONDS)
"""Of what is compared with quarter hours: forecasts, plans, and totals of a period."""
DETAILS = (READINGS, CELLS, METERS, QUARTERS)


def field(name: str, kept: str) -> str:
    """A field as a regular expression that finds it in full detail and in every roll-up.

    Parameters
    ----------
    name : str
        As in full detail.
    kept : str
        What to read of a roll-up: one of ``exporter.model.quantities.KEPT`` for the field's kind.
    """
    return f"/^{name}(_{kept})?$/"


SITE = "\"site\" = '$site'"


def over_time(
    how: str,
    name: str,
    kept: str,
    measurement: str,
    *,
    where: str = SITE,
    by: str = "",
    detail: Detail = READINGS,
) -> str:
    """InfluxQL: one field over the time range in buckets of the panel's interval.

    Parameters
    ----------
    how : str
        The aggregate.
    name, kept : str
        See :func:`field`.
    measurement : str
    where : str
        Condition on tags.
    by : str
        Tags to group by, besides time.
    detail : Detail
    """
    tags = f", {by}" if by else ""
    return (
        f"SELECT {how}({field(name, kept)}) FROM {detail.of(measurement)} WHERE {where} "
        f"AND $timeFilter GROUP BY time($__interval){tags} fill(null)"
    )


def either(
    fields: Mapping[str, tuple[str, str]],
    measurement: str,
    *,
    where: str = SITE,
    by: str = "",
    detail: Detail = READINGS,
) -> str:
    """What stands behind FROM to have fields under one name at every level.

    InfluxQL takes a regular expression for a field neither in a condition nor in arithmetic, and
    names the answer after what it found. Of the two sources here one has no such field.

    Parameters
    ----------
    fields : mapping
        Name in the answer to the expression in full detail and in a roll-up.
    measurement : str
    where : str
        Condition on tags.
    by : str
        What to group by, with the time if need be.
    detail : Detail
    """
    group = f" GROUP BY {by}" if by else ""
    sources = []
    for side in (0, 1):
        chosen = ", ".join(f'{pair[side]} AS "{name}"' for name, pair in fields.items())
        sources.append(
            f"(SELECT {chosen} FROM {detail.of(measurement)} WHERE {where} AND $timeFilter{group})"
        )
    return ", ".join(sources)


def last_and_median(name: str, kept: str, where: str) -> tuple[str, str]:
    """InfluxQL: the last of each cell in the range, and the median of those of each pack."""
    cells = either(
        {"last": (f'last("{name}")', f'last("{name}_{kept}")')},
        "cell",
        where=where,
        by='"pack", "cell"',
        detail=CELLS,
    )
    return (
        f'SELECT last("last") AS "value" FROM {cells} WHERE $timeFilter GROUP BY "pack", "cell"',
        f'SELECT median("last") AS "median" FROM {cells} WHERE $timeFilter GROUP BY "pack"',
    )


def of_packs(how: str, name: str, where: str) -> str:
    """InfluxQL: lowest, highest or median single cell of each pack over time.

    Full detail has cells only; in roll-ups the row of the pack has it, which is far less to read.
    """
    cells = f'SELECT "{name}" AS "v" FROM {CELLS.of("cell")} WHERE {where} AND $timeFilter'
    packs = f'SELECT "{name}_{how}" AS "v" FROM {CELLS.of("pack")} WHERE {where} AND $timeFilter'
    return (
        f'SELECT {how}("v") FROM ({cells} GROUP BY "pack"), ({packs} GROUP BY "pack") '
        'WHERE $timeFilter GROUP BY time($__interval), "pack" fill(null)'
    )


def grown(name: str) -> tuple[str, str]:
    """By how much a counter grew, for :func:`either`; a roll-up knows it across resets."""
    return f'spread("{name}")', f'sum("{name}_increase")'
