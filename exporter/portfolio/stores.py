"""The InfluxDBs that a portfolio is published to and read from, by site."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Self

from exporter.config.settings import Settings, SettingsError
from exporter.history.databases import Databases
from exporter.history.importing.ordered_sender import Sender
from exporter.portfolio.measurements import KEPT_AT
from exporter.portfolio.published import PublishedPortfolio
from exporter.store.connection import connection_of
from exporter.store.influx import InfluxClient, target_of

if TYPE_CHECKING:
    from exporter.portfolio.telemetry_import import TelemetryBatch

COMPRESSION = 1


class PortfolioStores:
    """One store for each database of the settings; an asynchronous context.

    Raises
    ------
    SettingsError
    """

    def __init__(self, settings: Settings) -> None:
        self._databases = Databases(settings)
        if not self._databases.by_project:
            raise SettingsError("no InfluxDB is named; set FLEETSCOPE_INFLUXDB_URL")
        self.notes: list[str] = []
        self._senders: dict[str | None, Sender] = {}
        self._stores: dict[str | None, PublishedPortfolio] = {}
        self._clients: list[InfluxClient] = []
        for key, own in self._databases.by_project.items():
            connection = connection_of(own)
            assert connection is not None  # every database has an address
            client = InfluxClient(connection)
            self._clients.append(client)
            self._senders[key] = Sender(target_of(own), self.notes.append, KEPT_AT)
            self._stores[key] = PublishedPortfolio(client, self._senders[key])

    async def __aenter__(self) -> Self:
        for sender in self._senders.values():
            await sender.prepare()
        return self

    async def __aexit__(self, *_: object) -> None:
        for sender in self._senders.values():
            await sender.close()
        for client in self._clients:
            client.close()

    def of(self, site: str | None) -> PublishedPortfolio | None:
        """The store of a site; of None, that of what belongs to no site."""
        return self._stores.get(None if site is None else self._databases.of(site))

    def basis(self, start: float, end: float) -> dict[str, dict[str, Any]]:
        """See :meth:`exporter.portfolio.published.PublishedPortfolio.basis`, of all databases.

        Raises
        ------
        exporter.store.influx.NoAnswerError
        """
        found: dict[str, dict[str, Any]] = {}
        for store in self._stores.values():
            found |= store.basis(start, end)
        return found

    @property
    def refusals(self) -> list[str]:
        """What InfluxDB said of points that it refused."""
        return [text for sender in self._senders.values() for text in sender.refusals]

    async def write(self, batches: Iterable[TelemetryBatch]) -> None:
        """Write telemetry to the databases of its sites.

        Raises
        ------
        SettingsError
            Nothing is stored of a site.
        exporter.history.importing.ordered_sender.GaveUpError
        """
        import gzip

        for batch in batches:
            sender = self._senders.get(self._databases.of(batch.site))
            if sender is None:
                raise SettingsError(f"nothing is stored of {batch.site}")
            body = gzip.compress(batch.lines, compresslevel=COMPRESSION)
            await sender.send(body, batch.points)
        for sender in self._senders.values():
            await sender.drain()
