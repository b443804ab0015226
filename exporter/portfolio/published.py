"""The portfolio in one InfluxDB: read, and brought up to date with figures."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

from exporter.history.importing.ordered_sender import Sender
from exporter.portfolio.figure import Figure
from exporter.portfolio.measurements import KEPT_AT, MEASUREMENTS, TELEMETRY, Measurement
from exporter.portfolio.site_month import NO_TELEMETRY, Telemetry
from exporter.store.influx import InfluxClient, between, name, quoted
from exporter.store.line_protocol import milliseconds, tag
from exporter.store.queue import compress

Place = tuple[str, tuple[str, ...], int]
LINES_AT_ONCE = 5000


@dataclass(frozen=True, slots=True)
class Scope:
    """Rows that a publication answers for: of a measurement, with a value of its first tag (None is
    any), from ``start`` until before ``end``. What it does not give of them is no more."""

    measurement: str
    value: str | None
    start: float
    end: float


@dataclass(slots=True)
class Changes:
    """What a publication changed."""

    written: int = 0
    same: int = 0
    removed: int = 0

    def add(self, other: Changes) -> None:
        """Add the counts of another."""
        self.written += other.written
        self.same += other.same
        self.removed += other.removed


class PublishedPortfolio:
    """What one InfluxDB holds of the portfolio.

    Parameters
    ----------
    client : InfluxClient
        For reading and removing.
    sender : Sender
        Writes to the portfolio's policy.
    """

    def __init__(self, client: InfluxClient, sender: Sender) -> None:
        self._client = client
        self._sender = sender

    def telemetry(self, site: str, start: float, end: float) -> Telemetry:
        """Readings of a site.

        Raises
        ------
        exporter.store.influx.NoAnswerError
        """
        fields = list(TELEMETRY.fields)
        columns = ", ".join(name(field) for field in fields)
        times: list[np.ndarray] = []
        values: list[np.ndarray] = []
        statement = (
            f'SELECT {columns} FROM "{KEPT_AT}"."{TELEMETRY.name}" '  # noqa: S608 - our own names
            f'WHERE "site" = {quoted(site)} AND {between(start, end)}'
        )
        for part in self._client.stream(statement):
            rows = np.array(part.rows, dtype=np.float64)
            times.append(rows[:, 0] / 1000)
            values.append(rows[:, 1:].astype(np.float32))
        if not times:
            return NO_TELEMETRY
        table = np.concatenate(values)
        known = {
            field: table[:, n].astype(np.float64)
            for n, field in enumerate(fields)
            if not np.isnan(table[:, n]).all()
        }
        return Telemetry(np.concatenate(times), known)

    def daily_soh(
        self, site: str, start: float, end: float, zone: ZoneInfo
    ) -> list[tuple[float, float]]:
        """Medians of the state of health of each local day: Unix seconds and percent.

        Of telemetry, so that they do not depend on which months are published already.

        Raises
        ------
        exporter.store.influx.NoAnswerError
        """
        found = self._client.select(
            f'SELECT median("soh_percent") FROM "{KEPT_AT}"."{TELEMETRY.name}" '  # noqa: S608 - the same
            f'WHERE "site" = {quoted(site)} AND {between(start, end)} '
            f"GROUP BY time(1d) fill(none) tz({quoted(zone.key)})"
        )
        return [(row[0] / 1000, float(row[1])) for one in found for row in one.rows]

    def basis(self, start: float, end: float) -> dict[str, dict[str, Any]]:
        """Rows ``publication`` of a month, by site; with ``stored``, the readings there are now.

        Raises
        ------
        exporter.store.influx.NoAnswerError
        """
        where = between(start, end)
        found: dict[str, dict[str, Any]] = {}
        statement = f'SELECT * FROM "{KEPT_AT}"."publication" WHERE {where} GROUP BY "site"'  # noqa: S608 - the same
        for one in self._client.select(statement):
            for row in one.rows:
                found[one.tags["site"]] = dict(zip(one.columns, row, strict=True))
        counts = 'count("power_kw"), count("soc_percent")'
        counted = self._client.select(
            f'SELECT {counts} FROM "{KEPT_AT}"."{TELEMETRY.name}" WHERE {where} GROUP BY "site"'  # noqa: S608 - the same
        )
        for one in counted:
            known = found.setdefault(one.tags["site"], {})
            known["stored"] = sum(value or 0 for value in one.rows[0][1:])
        return found

    def is_published_after(self, site: str, time: float) -> bool:
        """Whether a later month of a site is published."""
        return bool(
            self._client.select(
                f'SELECT last("soh_percent") FROM "{KEPT_AT}"."lifecycle" '  # noqa: S608 - the same
                f'WHERE "site" = {quoted(site)} AND time > {milliseconds(time)}ms'
            )
        )

    async def bring_up_to_date(
        self, scopes: Iterable[Scope], figures: Iterable[Figure | None]
    ) -> Changes:
        """Write what differs from what is stored, and remove rows that are no more.

        A row that loses a field is removed and written again. Broken off, the next run ends it.

        Raises
        ------
        exporter.store.influx.NoAnswerError, exporter.history.importing.ordered_sender.GaveUpError
        """
        wanted: dict[Place, Figure] = {one.place: one for one in figures if one is not None}
        stored: dict[Place, Mapping[str, Any]] = {}
        for scope in scopes:
            stored |= dict(self._stored(scope))
        changes, lines = Changes(), list[str]()
        for place, fields in stored.items():
            figure = wanted.get(place)
            if figure is None or fields.keys() - figure.fields.keys():
                self._remove(place)
                changes.removed += figure is None
                if figure is not None:
                    lines.append(figure.line())
        for place, figure in wanted.items():
            before = stored.get(place)
            if before is None or any(before.get(k) != v for k, v in figure.fields.items()):
                if before is None or not before.keys() - figure.fields.keys():
                    lines.append(figure.line())
            else:
                changes.same += not before.keys() - figure.fields.keys()
        changes.written = len(lines)
        for first in range(0, len(lines), LINES_AT_ONCE):
            part = lines[first : first + LINES_AT_ONCE]
            await self._sender.send(compress(part, 0.0).body, len(part))
        await self._sender.drain()
        return changes

    def _stored(self, scope: Scope) -> Iterator[tuple[Place, Mapping[str, Any]]]:
        about = MEASUREMENTS[scope.measurement]
        where = between(scope.start, scope.end)
        if scope.value is not None:
            where = f"{name(about.tags[0])} = {quoted(scope.value)} AND {where}"
        tags = ", ".join(name(key) for key in about.tags)
        statement = f'SELECT * FROM "{KEPT_AT}"."{about.name}" WHERE {where} GROUP BY {tags}'  # noqa: S608 - the same
        for part in self._client.stream(statement):
            of_it = dict(part.tags)
            values = tuple(of_it.get(key, "") for key in about.tags)
            for row in part.rows:
                fields = {
                    column: value
                    for column, value in zip(part.columns[1:], row[1:], strict=True)
                    if value is not None
                }
                yield (about.name, _escaped(values), int(row[0])), fields

    def _remove(self, place: Place) -> None:
        measurement, values, stamp = place
        about = MEASUREMENTS[measurement]
        if self._client.connection.api == "v2":
            self._remove_v2(about, values, stamp)
            return
        # 1.x deletes in every policy: no measurement of another one has these tags.
        tags = " AND ".join(
            f"{name(key)} = {quoted(_plain(value))}"
            for key, value in zip(about.tags, values, strict=True)
        )
        self._client.select(f'DELETE FROM "{measurement}" WHERE {tags} AND time = {stamp}ms')  # noqa: S608 - the same

    def _remove_v2(self, about: Measurement, values: tuple[str, ...], stamp: int) -> None:
        parts = [f'_measurement="{about.name}"']
        for key, value in zip(about.tags, values, strict=True):
            text = _plain(value).replace("\\", "\\\\").replace('"', '\\"')
            parts.append(f'{key}="{text}"')
        moment = datetime.fromtimestamp(stamp / 1000, UTC).isoformat(timespec="milliseconds")
        connection = self._client.connection
        self._client.send(
            "/api/v2/delete",
            params={"org": connection.organisation, "bucket": f"{connection.database}/{KEPT_AT}"},
            json={"start": moment, "stop": moment, "predicate": " AND ".join(parts)},
        )


def _escaped(values: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(tag(value) for value in values)


def _plain(value: str) -> str:
    """A tag's value without the escapes of the line protocol."""
    return value.replace("\\,", ",").replace("\\=", "=").replace("\\ ", " ")
