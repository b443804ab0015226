"""Reads the series of the tariff file as they are published, and stores them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path

from exporter.energy.market_prices import KEPT_AT, PriceError, Prices, parse_prices, price_lines
from exporter.energy.tariff_file import TO_PER_KWH, Series, TariffFile
from exporter.model.http import HttpClient, RequestError
from exporter.model.workers import BlockingCalls
from exporter.store.queue import compress
from exporter.store.writer import Writer

log = logging.getLogger(__name__)

LONGEST_SECONDS = 30.0
LARGEST_BYTES = 16 * 1024 * 1024
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

    async def turn(self) -> None:
        """Read what is due. A series that cannot be read stays as it is stored."""
        due = [name for name, series in self._series.items() if self._due(name, series)]
        await asyncio.gather(*(self._renew(name) for name in due))

    def _due(self, name: str, series: Series) -> bool:
        if series.file is not None:
            return self._changed.get(name) != _stamp(series.file)
        return self._wall_clock() - self._read.get(name, 0.0) >= 60 * series.refresh_minutes

    async def _renew(self, name: str) -> None:
        series = self._series[name]
        self._read[name] = self._wall_clock()
        if series.file is not None:
            self._changed[name] = _stamp(series.file)
        try:
            prices = await self._calls.run(self._parsed, series)
        except PriceError as error:
            if self._complaints.get(name) != str(error):
                self._complaints[name] = str(error)
                log.error("prices of %s: %s", name, error)
            return
        self._complaints.pop(name, None)
        lines = price_lines(name, prices)
        for start in range(0, len(lines), LINES_PER_BATCH):
            part = lines[start : start + LINES_PER_BATCH]
            self._writer.put(compress(part, self._wall_clock(), KEPT_AT))

    def _parsed(self, series: Series) -> Prices:
        """Blocks.

        Raises
        ------
        PriceError
        """
        return parse_prices(self._body(series), TO_PER_KWH[series.unit])

    def _body(self, series: Series) -> bytes:
        if series.file is not None:
            try:
                if series.file.stat().st_size > LARGEST_BYTES:
                    raise PriceError("the file is larger than 16 MiB")
                return series.file.read_bytes()
            except OSError as error:
                raise PriceError(f"the file cannot be read: {error.strerror}") from error
        assert series.url is not None  # one of the two is given
        try:
            reply = self._http.request(
                "GET", series.url, seconds=LONGEST_SECONDS, largest=LARGEST_BYTES
            )
        except RequestError as error:
            raise PriceError(str(error)) from error
        if reply.status != 200:
            raise PriceError(f"{series.url} answered {reply.status}")
        return reply.body

    def close(self) -> None:
        """Close connections."""
        self._http.close()


def _stamp(path: Path) -> int:
    """What changes when a file does; 0 for an absent one."""
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0
