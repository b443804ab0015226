"""The reader of the past, for the event loop: InfluxQL, which 1.x and 2.x answer alike."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator, Sequence
from contextvars import ContextVar

from exporter.config.settings import Settings
from exporter.model.levels import RAW
from exporter.model.workers import BlockingCalls
from exporter.store.connection import Connection, connection_of
from exporter.store.influx import InfluxClient, NoAnswerError, Series, any_of, between, name, quoted

__all__ = [
    "InfluxQL",
    "NoAnswerError",
    "Series",
    "any_of",
    "between",
    "limited_values",
    "name",
    "quoted",
]

AT_ONCE = 8
# What the request under way may still read; None where nothing limits it.
_left: ContextVar[list[int] | None] = ContextVar("values that may be read", default=None)


class TooManyValuesError(NoAnswerError):
    """A request that reads more than one may."""

    status = 422

    def __init__(self, most: int) -> None:
        text = f"this reads more than {most:,} values; ask about fewer sites or a shorter period"
        super().__init__(text, text)


@contextlib.contextmanager
def limited_values(most: int) -> Iterator[None]:
    """Limit what the request under way reads, in all its statements together.

    Parameters
    ----------
    most : int
        Values: rows times fields.
    """
    token = _left.set([most, most])
    try:
        yield
    finally:
        _left.reset(token)


class InfluxQL:
    """One database, read only."""

    def __init__(self, url: str, database: str, headers: dict[str, str]) -> None:
        self.connection = Connection(url, database, headers)
        self._client = InfluxClient(self.connection)
        self._calls = BlockingCalls(AT_ONCE, "influxql")

    @classmethod
    def from_settings(cls, settings: Settings) -> InfluxQL | None:
        """The reader for the InfluxDB of the settings; None where they name none."""
        connection = connection_of(settings)
        if connection is None:
            return None
        return cls(connection.url, connection.database, dict(connection.headers))

    def of_projects(self, projects: Collection[str | None]) -> InfluxQL:
        """The past of some projects; this database holds that of all, and limits nothing."""
        return self

    def each(self) -> Sequence[InfluxQL]:
        """Readers of which each asks one database."""
        return (self,)

    def connection_of(self, site: str) -> Connection | None:
        """Where a site is stored; None where it is not."""
        return self.connection

    async def select(self, statement: str, retention: str = RAW) -> list[Series]:
        """The series that a statement gives, in the server's order.

        Raises
        ------
        NoAnswerError
        """
        found = await self._calls.run(self._client.select, statement, retention)
        left = _left.get()
        if left is not None:
            left[0] -= sum(len(one.rows) * max(1, len(one.columns) - 1) for one in found)
            if left[0] < 0:
                raise TooManyValuesError(left[1])
        return found

    async def close(self) -> None:
        """Close connections."""
        self._client.close()
