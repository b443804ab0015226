"""Full detail and roll-ups read back from InfluxDB, by InfluxQL, which 1.x and 2.x answer alike.

Answers are streamed in chunks, so that neither side holds more than one of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import orjson
import urllib3

from exporter.config.settings import Settings
from exporter.history.rollups.aggregate import Before, FloatArray, IntArray, Samples
from exporter.model.levels import LEVELS, RAW, duration_seconds

ANSWER_SECONDS = 120.0
ROWS_IN_A_CHUNK = 20_000
DAY_MS = 86_400_000

Tags = tuple[tuple[str, str], ...]


class NoAnswerError(Exception):
    """InfluxDB did not answer, or refused; the text says what and where, and holds no secret."""


@dataclass(frozen=True, slots=True)
class Connection:
    """Where to read, and with which headers.

    ``kept`` is for 2.x, which does not say it in InfluxQL: how long each level is kept by the
    settings, in seconds, None for ever.
    """

    url: str
    database: str
    headers: Mapping[str, str]
    kept: Mapping[str, int | None] = field(default_factory=dict)


def connection_of(settings: Settings) -> Connection | None:
    """The connection that the settings name, None where they name none."""
    if settings.influxdb_url is None:
        return None
    headers: dict[str, str] = {}
    if settings.influxdb_api == "v2":
        token = settings.influxdb_token
        headers["Authorization"] = f"Token {token.get_secret_value() if token else ''}"
    elif settings.influxdb_username:
        password = settings.influxdb_password
        words = password.get_secret_value() if password else ""
        headers = urllib3.make_headers(basic_auth=f"{settings.influxdb_username}:{words}")
    if settings.influxdb_api == "v1":
        return Connection(settings.influxdb_url, settings.influxdb_database, headers)
    durations = {RAW: settings.influxdb_retention, **settings.rollup_retention}
    kept = {name: duration_seconds(duration) for name, duration in durations.items()}
    return Connection(settings.influxdb_url, settings.influxdb_database, headers, kept)


def quoted(value: str) -> str:
    """A text as InfluxQL writes it in a condition."""
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n") + "'"


def name(value: str) -> str:
    """A measurement, field or tag as InfluxQL writes it."""
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def any_of(tag: str, values: Iterable[str]) -> str:
    """A condition that a tag has one of the values."""
    return "(" + " OR ".join(f"{name(tag)} = {quoted(value)}" for value in values) + ")"


def between(start_ms: int, stop_ms: int) -> str:
    """A condition on the time, with its end left out."""
    return f"time >= {start_ms}ms AND time < {stop_ms}ms"


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a series: its tags, and rows of a time in Unix milliseconds and values."""

    statement: int
    tags: Tags
    columns: list[str]
    rows: list[list[Any]]


class Source:
    """One database, read only."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._http = urllib3.PoolManager(
            headers=dict(connection.headers),
            timeout=urllib3.Timeout(connect=5.0, read=ANSWER_SECONDS),
            retries=False,
        )

    def close(self) -> None:
        """Close connections."""
        self._http.clear()

    def ask(self, statement: str) -> Iterator[Part]:
        """Parts of series, in the order of the server: by statement, tags, then time.

        Raises
        ------
        NoAnswerError
        """
        url = f"{self._connection.url}/query"
        fields = {
            "db": self._connection.database,
            "epoch": "ms",
            "chunked": "true",
            "chunk_size": str(ROWS_IN_A_CHUNK),
            "q": statement,
        }
        try:
            reply = self._http.request(
                "POST",
                url,
                fields=fields,
                encode_multipart=False,
                preload_content=False,
                redirect=False,
            )
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise NoAnswerError(f"{url}: {type(error).__name__}: {error}") from error
        try:
            for line in _documents(reply):
                yield from _parts(line, url, reply.status)
        except (urllib3.exceptions.HTTPError, OSError, orjson.JSONDecodeError) as error:
            raise NoAnswerError(f"{url}: {type(error).__name__}: {error}") from error
        finally:
            reply.drain_conn()
            reply.release_conn()

    def samples(
        self, measurement: str, fields: Iterable[str], texts: Iterable[str], where: str
    ) -> tuple[list[Tags], Samples]:
        """Full detail of a measurement: the tags of every series, by number, and the samples."""
        numeric, worded = list(fields), list(texts)
        selected = ", ".join(name(field) for field in (*numeric, *worded))
        statement = f'SELECT {selected} FROM "raw".{name(measurement)} WHERE {where} GROUP BY *'  # noqa: S608
        tags: list[Tags] = []
        numbers: list[IntArray] = []
        blocks: list[FloatArray] = []
        words: list[list[Any]] = [[] for _ in worded]
        for part in self.ask(statement):
            if not tags or tags[-1] != part.tags:
                tags.append(part.tags)
            rows = part.rows
            if worded:
                for place, column in enumerate(words):
                    column += [row[1 + len(numeric) + place] for row in rows]
                rows = [row[: 1 + len(numeric)] for row in rows]
            block = np.array(rows, dtype=np.float64)
            blocks.append(block)
            numbers.append(np.full(len(block), len(tags) - 1, dtype=np.int64))
        table = np.concatenate(blocks) if blocks else np.empty((0, 1 + len(numeric)))
        values = {field: table[:, 1 + place] for place, field in enumerate(numeric)}
        told = {}
        for label, column in zip(worded, words, strict=True):
            told[label] = np.empty(len(column), dtype=object)
            told[label][:] = column
        series = np.concatenate(numbers) if numbers else np.empty(0, dtype=np.int64)
        return tags, Samples(series, table[:, 0].astype(np.int64), values, told)

    def before(
        self,
        measurement: str,
        lookback_ms: Mapping[str, int],
        counters: Iterable[str],
        where: str,
        start_ms: int,
    ) -> dict[str, dict[Tags, tuple[int, float]]]:
        """Time and value of the last sample of each field before the range, by tags.

        Of counters it is in the shortest roll-up still when full detail has expired.
        """
        asked = [(f, "raw", f) for f in lookback_ms]
        # Full detail comes last and wins.
        asked = [(f, LEVELS[0].name, f"{f}_last") for f in counters] + asked
        statements = [
            f"SELECT last({name(column)}) FROM {name(level)}.{name(measurement)} WHERE {where} "  # noqa: S608
            f"AND {between(start_ms - lookback_ms[field], start_ms)} GROUP BY *"
            for field, level, column in asked
        ]
        found: dict[str, dict[Tags, tuple[int, float]]] = {field: {} for field in lookback_ms}
        for part in self.ask("; ".join(statements)) if statements else ():
            time, value = part.rows[-1]
            found[asked[part.statement][0]][part.tags] = (int(time), float(value))
        return found

    def counts(
        self, measurement: str, fields: Iterable[str], start_ms: int, stop_ms: int, bucket: str
    ) -> dict[tuple[str, int], int]:
        """Number of values of full detail by site and beginning of the bucket; none is left out."""
        selected = ", ".join(f"count({name(field)})" for field in fields)
        return self._totals(selected, "raw", measurement, start_ms, stop_ms, bucket)

    def rolled(
        self, level: str, measurement: str, start_ms: int, stop_ms: int, bucket: str
    ) -> dict[tuple[str, int], int]:
        """Number of values that the rows of a roll-up were made of, in the same form."""
        return self._totals('sum("samples")', level, measurement, start_ms, stop_ms, bucket)

    def _totals(
        self, selected: str, level: str, measurement: str, start_ms: int, stop_ms: int, bucket: str
    ) -> dict[tuple[str, int], int]:
        statement = (
            f"SELECT {selected} FROM {name(level)}.{name(measurement)} "  # noqa: S608
            f'WHERE {between(start_ms, stop_ms)} GROUP BY time({bucket}), "site" fill(none)'
        )
        found = {}
        for part in self.ask(statement):
            site = dict(part.tags).get("site", "")
            for time, *numbers in part.rows:
                total = sum(int(n) for n in numbers if n is not None)
                if total:
                    found[site, int(time)] = total
        return found

    def next_time(self, measurement: str, site: str, after_ms: int, until_ms: int) -> int | None:
        """Unix milliseconds of the first row of a site at or after a moment, None without one."""
        statement = (
            f'SELECT * FROM "raw".{name(measurement)} WHERE {any_of("site", [site])} '  # noqa: S608
            f"AND {between(after_ms, until_ms)} ORDER BY time LIMIT 1"
        )
        for part in self.ask(statement):
            return int(part.rows[0][0])
        return None

    def span(self, measurement: str, field: str, site: str | None) -> tuple[int, int] | None:
        """Unix milliseconds of the first and last row of a field; None without one."""
        where = f" WHERE {any_of('site', [site])}" if site else ""
        source = f'FROM "raw".{name(measurement)}{where}'
        found = [
            int(part.rows[0][0])
            for part in self.ask(
                f"SELECT first({name(field)}) {source}; SELECT last({name(field)}) {source}"
            )
        ]
        return (found[0], found[1]) if len(found) == 2 else None

    def retention(self) -> dict[str, int | None]:
        """Seconds that each level is kept, None for ever.

        InfluxDB 1.x says it. 2.x calls every policy endless, and may not let this token see the
        rules of its buckets, so there the settings are taken at their word.
        """
        database = name(self._connection.database)
        found = dict(self._connection.kept)
        for part in self.ask(f"SHOW RETENTION POLICIES ON {database}"):
            policy, duration = part.columns.index("name"), part.columns.index("duration")
            for row in part.rows:
                seconds = _go_duration(row[duration])
                if seconds or row[policy] not in found:
                    found[row[policy]] = seconds or None
        return found


def _documents(reply: urllib3.BaseHTTPResponse) -> Iterator[bytes]:
    """The JSON documents of a reply, one a line."""
    begun: list[bytes] = []
    for block in reply.stream(256 * 1024):
        first, *more = block.split(b"\n")
        begun.append(first)
        for line in more:
            whole, begun = b"".join(begun), [line]
            if whole.strip():
                yield whole
    if (rest := b"".join(begun)).strip():
        yield rest


def _parts(line: bytes, url: str, status: int) -> Iterator[Part]:
    answer = orjson.loads(line)
    if not isinstance(answer, dict):
        raise NoAnswerError(f"{url} answers, but not as InfluxDB does")
    fault = answer.get("error") or answer.get("message")
    for result in answer.get("results") or ():
        fault = fault or result.get("error")
        for series in result.get("series") or ():
            tags = tuple(sorted((series.get("tags") or {}).items()))
            yield Part(result.get("statement_id", 0), tags, series["columns"], series["values"])
    if status != 200 or fault:
        raise NoAnswerError(f"{url} answered {status}: {str(fault)[:300]}")


def _go_duration(text: str) -> int:
    """Seconds of a duration such as ``2160h0m0s``, the only form that InfluxDB writes."""
    seconds, number = 0.0, ""
    units = {"h": 3600, "m": 60, "s": 1}
    for char in text:
        if char in units:
            seconds += float(number) * units[char]
            number = ""
        else:
            number += char
    return int(seconds)


def before_arrays(
    found: Mapping[Tags, tuple[int, float]], tags: list[Tags]
) -> tuple[Before, list[Tags]]:
    """``found`` by number of the series; series with nothing since get numbers at the end.

    Returns
    -------
    tuple of (Before, tags that were added)
    """
    number = {tag: place for place, tag in enumerate(tags)}
    added = [tag for tag in found if tag not in number]
    number.update({tag: len(tags) + place for place, tag in enumerate(added)})
    items = sorted((number[tag], time, value) for tag, (time, value) in found.items())
    table = np.array(items, dtype=np.float64).reshape(-1, 3)
    return (
        Before(table[:, 0].astype(np.int64), table[:, 1].astype(np.int64), table[:, 2]),
        added,
    )
