"""Reads the weather of all places as it is published, and stores it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable

from exporter.config.fleet import Site
from exporter.energy.fetching import FetchError, fetched, file_stamp
from exporter.energy.weather import (
    AHEAD_KEPT_AT,
    KEPT_AT,
    Weather,
    WeatherError,
    ahead_lines,
    parse_weather,
    weather_lines,
)
from exporter.energy.weather_file import WeatherFile, address_of, source_name
from exporter.model.http import HttpClient
from exporter.model.workers import BlockingCalls
from exporter.store.queue import compress
from exporter.store.writer import Writer

log = logging.getLogger(__name__)

LINES_PER_BATCH = 5000
AT_ONCE = 2
MOST_PLACES = 2000


class WeatherFeed:
    """Keeps the stored weather up to date; a place that cannot be read stays as it is stored.

    Parameters
    ----------
    weather : WeatherFile
    writer : Writer
    sites : callable
        The sites of the fleet.
    wall_clock : callable
        Unix seconds.
    """

    def __init__(
        self,
        weather: WeatherFile,
        writer: Writer,
        sites: Callable[[], Iterable[Site]],
        wall_clock: Callable[[], float],
    ) -> None:
        self._file = weather
        self._writer = writer
        self._sites = sites
        self._wall_clock = wall_clock
        self._http = HttpClient()
        self._calls = BlockingCalls(AT_ONCE, "weather")
        self._read: dict[str, float] = {}
        self._changed: dict[str, int] = {}
        self._stored: dict[str, set[tuple[float, ...]]] = {}
        self._complaints: dict[str, str] = {}

    async def turn(self) -> bool:
        """Read what is due; returns whether anything of it is new."""
        places = dict.fromkeys(
            place for site in self._sites() if (place := self._file.place_of(site)) is not None
        )
        due = [place for place in list(places)[:MOST_PLACES] if self._due(place)]
        return any(await asyncio.gather(*(self._renew(place) for place in due)))

    def _due(self, place: str) -> bool:
        source = self._file.sources[source_name(place)]
        if source.file is not None:
            return self._changed.get(place) != file_stamp(source.file)
        since = self._wall_clock() - self._read.get(place, 0.0)
        return since >= 60 * source.refresh_minutes

    async def _renew(self, place: str) -> bool:
        source = self._file.sources[source_name(place)]
        self._read[place] = self._wall_clock()
        if source.file is not None:
            self._changed[place] = file_stamp(source.file)
        try:
            weather = await self._calls.run(self._parsed, place)
        except (WeatherError, FetchError) as error:
            self._complain(place, str(error))
            return False
        if weather.refused:
            self._complain(place, f"{weather.refused} values are outside physics and left out")
        else:
            self._complaints.pop(place, None)
        lines = weather_lines(place, weather, self._stored.setdefault(place, set()))
        for start in range(0, len(lines), LINES_PER_BATCH):
            part = lines[start : start + LINES_PER_BATCH]
            self._writer.put(compress(part, self._wall_clock(), KEPT_AT))
        # Two hours at least, so that a reading that comes a little late leaves no hole.
        hours = 1 + -(-source.refresh_minutes // 60)
        if ahead := ahead_lines(place, weather, self._wall_clock(), hours):
            self._writer.put(compress(ahead, self._wall_clock(), AHEAD_KEPT_AT))
        return bool(lines)

    def _complain(self, place: str, words: str) -> None:
        if self._complaints.get(place) != words:
            self._complaints[place] = words
            log.error("weather of %s: %s", place, words)

    def _parsed(self, place: str) -> Weather:
        """Blocks.

        Raises
        ------
        WeatherError, FetchError
        """
        source = self._file.sources[source_name(place)]
        url = None if source.url is None else address_of(source, place)
        return parse_weather(fetched(self._http, source.file, url), source.stamps)

    def close(self) -> None:
        """Close connections."""
        self._http.close()
