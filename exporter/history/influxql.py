"""The reader of the past, for the event loop: InfluxQL, which 1.x and 2.x answer alike."""

from __future__ import annotations

from exporter.config.settings import Settings
from exporter.model.levels import RAW
from exporter.model.workers import BlockingCalls
from exporter.store.connection import Connection, connection_of
from exporter.store.influx import InfluxClient, NoAnswerError, Series, any_of, between, name, quoted

__all__ = ["InfluxQL", "NoAnswerError", "Series", "any_of", "between", "name", "quoted"]

AT_ONCE = 8


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

    async def select(self, statement: str, retention: str = RAW) -> list[Series]:
        """The series that a statement gives, in the server's order.

        Raises
        ------
        NoAnswerError
        """
        return await self._calls.run(self._client.select, statement, retention)

    async def close(self) -> None:
        """Close connections."""
        self._client.close()
