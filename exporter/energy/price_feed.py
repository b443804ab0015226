"""Reads the series of the tariff file as they are published, and stores them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from exporter.energy.fetching import FetchError, fetched, file_stamp
from exporter.energy.market_prices import KEPT_AT, PriceError, Prices, parse_prices, price_lines
from exporter.energy.tariff_file import TO_PER_KWH, Series, TariffFile
from exporter.model.http import HttpClient
from exporter.model.workers import BlockingCalls
from exporter.store.queue import compress
from exporter.store.writer import Writer

log = logging.getLogger(__name__)

LINES_PER_BATCH = 5000
AT_ONCE = 2


class PriceFeed:
    """Keeps the stored series up to date.

    Parameters
    ----------
    tariffs : TariffFile
    writer : Writer
    wall_clock : callable
        Unix seconds.
    """

    def __init__(
        self, tariffs: TariffFile, writer: Writer, wall_clock: Callable[[], float]
    ) -> None:
        self._series = tariffs.series
        self._writer = writer
        self._wall_clock = wall_clock
        self._http = HttpClient()
        self._calls = BlockingCalls(AT_ONCE, "prices")
        self._read: dict[str, float] = {}
        self._changed: dict[str, int] = {}
        self._complaints: dict[str, str] = {}

    async def turn(self) -> bool:
        """Read what is due; returns whether anything was. A series that cannot be read stays as it
        is stored."""
        due = [name for name, series in self._series.items() if self._due(name, series)]
        return any(await asyncio.gather(*(self._renew(name) for name in due)))

    def _due(self, name: str, series: Series) -> bool:
        if series.file is not None:
            return self._changed.get(name) != file_stamp(series.file)
        return self._wall_clock() - self._read.get(name, 0.0) >= 60 * series.refresh_minutes

    async def _renew(self, name: str) -> bool:
        series = self._series[name]
        self._read[name] = self._wall_clock()
        if series.file is not None:
            self._changed[name] = file_stamp(series.file)
        try:
            prices = await self._calls.run(self._parsed, series)
        except (PriceError, FetchError) as error:
            if self._complaints.get(name) != str(error):
                self._complaints[name] = str(error)
                log.error("prices of %s: %s", name, error)
            return False
        self._complaints.pop(name, None)
        lines = price_lines(name, prices)
        for start in range(0, len(lines), LINES_PER_BATCH):
            part = lines[start : start + LINES_PER_BATCH]
            self._writer.put(compress(part, self._wall_clock(), KEPT_AT))
        return True

    def _parsed(self, series: Series) -> Prices:
        """Blocks.

        Raises
        ------
        PriceError, FetchError
        """
        body = fetched(self._http, series.file, series.url)
        return parse_prices(body, TO_PER_KWH[series.unit])

    def close(self) -> None:
        """Close connections."""
        self._http.close()
