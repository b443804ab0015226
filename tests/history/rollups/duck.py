"""Roll-ups by other means: SQL in DuckDB over the rows that were written, not read back."""

from __future__ import annotations

import math
from collections.abc import Iterable

import duckdb

Row = tuple[str, str, str, str, int, float]
"""Measurement, site, the other tags as text, field, Unix milliseconds, value."""
Key = tuple[str, str, str, int]
"""Measurement, site, the other tags, beginning of the window."""

HOLD_MS = 600_000


class Duck:
    """The rows of a test, and what they become."""

    def __init__(self, rows: Iterable[Row]) -> None:
        self._db = duckdb.connect()
        self._db.execute(
            "CREATE TABLE raw (m TEXT, site TEXT, tags TEXT, f TEXT, t BIGINT, v DOUBLE)"
        )
        self.add(rows)

    def add(self, rows: Iterable[Row]) -> None:
        """More rows, each at a time of its own."""
        columns = list(zip(*rows, strict=True))
        self._db.execute(
            "INSERT INTO raw SELECT unnest(?), unnest(?), unnest(?), unnest(?), unnest(?), "
            "unnest(?)",
            [list(column) for column in columns],
        )

    def windows(
        self, kinds: dict[tuple[str, str], str], window_ms: int, now_ms: int
    ) -> dict[Key, dict[str, float]]:
        """Rows of a level; ``kinds`` by measurement and field."""
        found: dict[Key, dict[str, float]] = {}
        for (measurement, field), kind in kinds.items():
            self._basic(found, measurement, field, kind, window_ms)
            if kind == "counter":
                self._counter(found, measurement, field, window_ms)
            if kind == "state":
                self._state(found, measurement, field, window_ms, now_ms)
            if field.endswith("power_w"):
                self._energy(found, measurement, field, window_ms, now_ms)
        return found

    def last(self, measurement: str, field: str, before_ms: int) -> float:
        """The last value of a field before a time."""
        row = self._db.execute(
            "SELECT arg_max(v, t) FROM raw WHERE m = ? AND f = ? AND t < ?",
            [measurement, field, before_ms],
        ).fetchone()
        assert row is not None
        return float(row[0])

    def _basic(
        self,
        found: dict[Key, dict[str, float]],
        measurement: str,
        field: str,
        kind: str,
        window_ms: int,
    ) -> None:
        rows = self._db.execute(
            "SELECT site, tags, (t - ?) // ? * ? AS w, min(v), max(v), avg(v), "
            "quantile_cont(v, 0.01), quantile_cont(v, 0.99), arg_max(v, t), count(*), sum(v) "
            "FROM raw WHERE m = ? AND f = ? GROUP BY ALL",
            [int(kind == "counter"), window_ms, window_ms, measurement, field],
        ).fetchall()
        for site, tags, window, low, high, mean, p1, p99, last, count, total in rows:
            row = found.setdefault((measurement, site, tags, window), {"samples": 0.0})
            row["samples"] += count
            if kind == "counter":
                row[f"{field}_last"] = last
                continue
            if kind == "amount":
                row[f"{field}_sum"] = total
                continue
            row[f"{field}_max"] = high
            if kind != "flag":
                row[f"{field}_min"] = low
            if kind in ("measured", "voltage"):
                row[f"{field}_mean"] = mean
            if kind == "voltage":
                row[f"{field}_p1"], row[f"{field}_p99"] = p1, p99

    def _counter(
        self, found: dict[Key, dict[str, float]], measurement: str, field: str, window_ms: int
    ) -> None:
        rows = self._db.execute(
            "WITH steps AS (SELECT site, tags, t, v, lag(v) OVER (PARTITION BY site, tags "
            "ORDER BY t) AS b FROM raw WHERE m = ? AND f = ?) "
            "SELECT site, tags, (t - 1) // ? * ? AS w, "
            "sum(CASE WHEN v < b * 0.99 THEN v ELSE v - b END) FROM steps WHERE b IS NOT NULL "
            "GROUP BY ALL",
            [measurement, field, window_ms, window_ms],
        ).fetchall()
        for site, tags, window, grown in rows:
            found[measurement, site, tags, window][f"{field}_increase"] = grown

    def _state(
        self,
        found: dict[Key, dict[str, float]],
        measurement: str,
        field: str,
        window_ms: int,
        now_ms: int,
    ) -> None:
        rows = self._db.execute(
            "WITH s AS (SELECT site, tags, t, v, least(coalesce(lead(t) OVER (PARTITION BY site, "
            "tags ORDER BY t), ?), t + ?, ?) AS e FROM raw WHERE m = ? AND f = ?), "
            "p AS (SELECT *, unnest(range(t // ? * ?, e, ?)) AS w FROM s) "
            "SELECT site, tags, w, v, sum(least(e, w + ?) - greatest(t, w)) / 1000.0 FROM p "
            "GROUP BY ALL",
            [
                *(now_ms, HOLD_MS, now_ms, measurement, field),
                *(window_ms, window_ms, window_ms, window_ms),
            ],
        ).fetchall()
        for site, tags, window, state, seconds in rows:
            row = found.setdefault((measurement, site, tags, window), {"samples": 0.0})
            if seconds > 0:
                row[f"{field}_{state:g}_s"] = seconds

    def _energy(
        self,
        found: dict[Key, dict[str, float]],
        measurement: str,
        field: str,
        window_ms: int,
        now_ms: int,
    ) -> None:
        """As scoring/energy.py says: until the next sample if it is in time, else one interval."""
        rows = self._db.execute(
            "WITH n AS (SELECT site, tags, t, v, t - lag(t) OVER w AS b, lead(t) OVER w - t AS a "
            "FROM raw WHERE m = ? AND f = ? WINDOW w AS (PARTITION BY site, tags ORDER BY t)), "
            "u AS (SELECT *, CASE WHEN b IS NULL OR b > 3600000 THEN 10000 ELSE b END AS usual, "
            "CASE WHEN b IS NULL OR b > 3600000 THEN 900000 ELSE "
            "least(greatest(CAST(floor(2.5 * b) AS BIGINT), 30000), 3600000) END AS most FROM n), "
            "s AS (SELECT site, tags, t, v, least(t + CASE WHEN a <= most THEN a ELSE "
            "least(usual, most) END, ?) AS e FROM u), "
            "p AS (SELECT *, unnest(range(t // ? * ?, e, ?)) AS w FROM s) "
            "SELECT site, tags, w, sum((least(e, w + ?) - greatest(t, w)) / 1000.0) AS held, "
            "sum((least(e, w + ?) - greatest(t, w)) / 1000.0 * v) / 3600 FROM p GROUP BY ALL",
            [measurement, field, now_ms, *([window_ms] * 5)],
        ).fetchall()
        for site, tags, window, seconds, energy in rows:
            row = found.setdefault((measurement, site, tags, window), {"samples": 0.0})
            if seconds > 0:
                row[f"{field}_seconds"], row[f"{field}_wh"] = seconds, energy


def same(found: dict[str, float], wanted: dict[str, float]) -> str:
    """What differs between two rows beyond rounding; empty where nothing does."""
    wrong = [
        f"{name}: {found.get(name)} for {wanted.get(name)}"
        for name in sorted(set(found) | set(wanted))
        if not math.isclose(
            found.get(name, math.inf), wanted.get(name, -math.inf), rel_tol=1e-9, abs_tol=1e-9
        )
    ]
    return ", ".join(wrong)
