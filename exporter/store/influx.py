"""The one InfluxDB client: sign-in, InfluxQL (1.x and 2.x answer it alike) and the writing target.

Reads go through ``requests``. Writes of the sender go through ``aiohttp``, on which
``influxdb-client`` builds its asynchronous face for the v2 API: a batch needs one limit for its
whole time, and must be cancellable within the three seconds of a stop. With ``requests`` the
connect timeout also bounds the sending of the body, so that a batch over a slow line would never
arrive; and a write costs 1.4 ms of CPU instead of 0.7.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson

from exporter.model.http import HttpClient, Reply, RequestError
from exporter.model.levels import RAW
from exporter.store.connection import Connection, connection_of
from exporter.store.target import Target

if TYPE_CHECKING:
    from exporter.config.settings import Settings

ANSWER_SECONDS = 60.0
CONNECT_SECONDS = 2.0
LARGEST_ANSWER = 256 * 1024 * 1024
ROWS_IN_A_CHUNK = 20_000
PLAIN = {"Accept-Encoding": "identity"}
"""For answers of many rows: InfluxDB takes longer to compress them than that saves on the way."""
_REFUSED = "InfluxDB refused the query"
_NOT_MADE_YET = ("retention policy not found: rollup_", "retention policy not found: portfolio")
_SILENT = "InfluxDB does not answer"

Tags = tuple[tuple[str, str], ...]


class NoAnswerError(Exception):
    """InfluxDB did not answer, or refused; the text says what and where, and holds no secret.

    Attributes
    ----------
    reason : str
        The same without any address, for callers who need not know it.
    status : int
        What HTTP says of it: the server's fault, as a rule.
    """

    status = 503

    def __init__(self, message: str, reason: str = _SILENT) -> None:
        super().__init__(message)
        self.reason = reason

    @property
    def is_silence(self) -> bool:
        """Whether nothing answered, rather than InfluxDB refused."""
        return self.reason == _SILENT


def target_of(settings: Settings) -> Target:
    """Where the settings have points written; libraries are loaded only for the API in use.

    Raises
    ------
    ValueError
        If no InfluxDB is set.
    """
    connection = connection_of(settings)
    if connection is None:
        raise ValueError("FLEETSCOPE_INFLUXDB_URL is not set")
    if connection.api == "v1":
        from exporter.store.influx_v1 import InfluxV1

        return InfluxV1(connection, settings.influxdb_retention, settings.rollup_retention)
    from exporter.store.influx_v2 import InfluxV2

    return InfluxV2(connection, settings.influxdb_retention, settings.rollup_retention)


def quoted(value: str) -> str:
    """A text as InfluxQL writes it in a condition."""
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n") + "'"


def name(value: str) -> str:
    """A measurement, field or tag as InfluxQL writes it."""
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def any_of(tag: str, values: Iterable[str]) -> str:
    """A condition that a tag has one of the values."""
    return "(" + " OR ".join(f"{name(tag)} = {quoted(value)}" for value in values) + ")"


def between_ms(start_ms: int, stop_ms: int) -> str:
    """A condition on the time, Unix milliseconds, with its end left out."""
    return f"time >= {start_ms}ms AND time < {stop_ms}ms"


def between(start: float, end: float) -> str:
    """A condition on the time, Unix seconds, with its end left out."""
    return between_ms(round(start * 1000), round(end * 1000))


@dataclass(frozen=True, slots=True)
class Series:
    """One series of an answer: its tags, and rows under its columns; times in milliseconds."""

    tags: dict[str, str]
    columns: list[str]
    rows: list[list[Any]]


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a series, of the statement of that number; times in milliseconds."""

    statement: int
    tags: Tags
    columns: list[str]
    rows: list[list[Any]]


class InfluxClient:
    """Reads one database, and asks the server's API; blocking and thread-safe."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._http = HttpClient(connection.headers)

    def select(self, statement: str, retention: str = RAW) -> list[Series]:
        """The series that a statement gives, in the server's order, at once.

        Raises
        ------
        NoAnswerError
        """
        reply = self._request(
            "POST",
            "/query",
            data={"db": self.connection.database, "rp": retention, "epoch": "ms", "q": statement},
            headers=PLAIN,
            seconds=ANSWER_SECONDS,
        )
        return [
            Series(dict(part.tags), part.columns, part.rows)
            for part in _parts(reply.body, f"{self.connection.url}/query", reply.status)
        ]

    def stream(self, statement: str, seconds: float = ANSWER_SECONDS) -> Iterator[Part]:
        """Parts of series as they arrive, by statement, tags, then time.

        Neither side holds more than one part.

        Parameters
        ----------
        statement : str
        seconds : float
            Longest wait for the next part of the answer.

        Raises
        ------
        NoAnswerError
        """
        url = f"{self.connection.url}/query"
        fields = {
            "db": self.connection.database,
            "epoch": "ms",
            "chunked": "true",
            "chunk_size": str(ROWS_IN_A_CHUNK),
            "q": statement,
        }
        blocks = None
        try:
            status, _, blocks = self._http.stream(
                "POST",
                url,
                data=fields,
                headers=PLAIN,
                seconds=seconds,
            )
            for line in _lines(blocks):
                yield from _parts(line, url, status)
        except RequestError as error:
            raise NoAnswerError(str(error)) from error
        finally:
            if blocks is not None:
                blocks.close()

    def request(self, method: str, path: str, **given: Any) -> dict[str, Any]:
        """The object that the server's API answers.

        Raises
        ------
        NoAnswerError
            Also for a status of 300 or more and for an error in the answer.
        """
        reply = self._request(method, path, seconds=ANSWER_SECONDS, **given)
        place = self.connection.url + path
        answer = _object(reply.body, place, reply.status)
        fault = answer.get("error") or answer.get("message")
        for result in answer.get("results") or ():
            fault = fault or result.get("error")
        if reply.status >= 300 or fault:
            raise NoAnswerError(f"{place} answered {reply.status}: {str(fault)[:300]}", _REFUSED)
        return answer

    def send(self, path: str, **given: Any) -> None:
        """Post to the server's API what it does not answer with anything.

        Raises
        ------
        NoAnswerError
        """
        reply = self._request("POST", path, seconds=ANSWER_SECONDS, **given)
        if reply.status >= 300:
            text = reply.body[:300].decode("utf-8", "replace")
            raise NoAnswerError(f"{self.connection.url}{path} answered {reply.status}: {text}")

    def close(self) -> None:
        """Close connections."""
        self._http.close()

    def _request(self, method: str, path: str, **given: Any) -> Reply:
        try:
            return self._http.request(
                method,
                self.connection.url + path,
                connect_seconds=CONNECT_SECONDS,
                largest=LARGEST_ANSWER,
                **given,
            )
        except RequestError as error:
            raise NoAnswerError(str(error)) from error


def retention_seconds(client: InfluxClient) -> dict[str, int | None]:
    """Seconds that each retention policy is kept, None for ever.

    InfluxDB 1.x says it. 2.x calls every policy endless, and may not let this token see the rules
    of its buckets, so there the settings are taken at their word.

    Raises
    ------
    NoAnswerError
    """
    database = name(client.connection.database)
    found = dict(client.connection.kept)
    for series in client.select(f"SHOW RETENTION POLICIES ON {database}"):
        policy, duration = series.columns.index("name"), series.columns.index("duration")
        for row in series.rows:
            seconds = _go_duration(row[duration])
            if seconds or row[policy] not in found:
                found[row[policy]] = seconds or None
    return found


def _go_duration(text: str) -> int:
    """Seconds of a duration such as ``2160h0m0s``, the only form that InfluxDB writes."""
    seconds, number = 0.0, ""
    for character in text:
        if character.isdigit() or character == ".":
            number += character
        else:
            seconds += float(number or 0) * {"h": 3600, "m": 60, "s": 1}.get(character, 0)
            number = ""
    return int(seconds)


def _lines(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """The JSON documents of an answer, one a line."""
    begun: list[bytes] = []
    for block in blocks:
        first, *more = block.split(b"\n")
        begun.append(first)
        for line in more:
            whole, begun = b"".join(begun), [line]
            if whole.strip():
                yield whole
    if (rest := b"".join(begun)).strip():
        yield rest


def _object(body: bytes, url: str, status: int) -> dict[str, Any]:
    try:
        answer = orjson.loads(body)
    except orjson.JSONDecodeError:
        answer = None
    if not isinstance(answer, dict):
        raise NoAnswerError(
            f"{url} answered {status}"
            if status >= 300
            else f"{url} answers, but not as InfluxDB does"
        )
    return answer


def _parts(body: bytes, url: str, status: int) -> Iterator[Part]:
    answer = _object(body, url, status)
    fault = answer.get("error") or answer.get("message")
    try:
        results = answer.get("results") or []
        fault = fault or next((r["error"] for r in results if "error" in r), None)
        for result in results:
            for series in result.get("series") or ():
                tags = tuple(sorted((series.get("tags") or {}).items()))
                columns, rows = series["columns"], series["values"]
                yield Part(result.get("statement_id", 0), tags, columns, rows)
    except (TypeError, AttributeError, KeyError) as error:
        raise NoAnswerError(f"{url} answers, but not as InfluxDB does") from error
    if status == 200 and str(fault).startswith(_NOT_MADE_YET):
        # The policy is made with the first write to it; until then nothing is kept there.
        return
    if status != 200 or fault:
        raise NoAnswerError(f"{url} answered {status}: {str(fault)[:300]}", _REFUSED)
