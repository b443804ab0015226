"""Reads one site as its template says."""

from __future__ import annotations

import asyncio
import math

from exporter.drivers.base import DriverContext, RawValue
from exporter.drivers.identity import Identity
from exporter.drivers.template.template_model import Template
from exporter.drivers.template.template_sources import RawSource
from exporter.drivers.template.template_values import NOT_READ, DeviceReadings, Raw
from exporter.drivers.venus.values import text
from exporter.model.snapshot import Outcome, ScrapeError, Snapshot
from exporter.model.text import plain_line

SITE_SECONDS = 10.0


class TemplateReader:
    """Reads one site, scrape after scrape.

    Parameters
    ----------
    site : str
    template : Template
    source : RawSource
    serial : str or None
        Serial number that the device must have.
    context : DriverContext
        Lends the clocks.
    """

    def __init__(
        self,
        site: str,
        template: Template,
        source: RawSource,
        serial: str | None,
        context: DriverContext,
    ) -> None:
        self.template = template
        self.source = source
        self._site = site
        self._context = context
        self._identity = Identity(serial)
        self._raw_of: Raw | None = None

    async def scrape(self) -> Snapshot:
        """Read the site once; see :meth:`exporter.drivers.base.Pollable.scrape`."""
        started = self._context.monotonic()
        try:
            async with asyncio.timeout(SITE_SECONDS):
                raw_of, failed = await self.source.read()
        except TimeoutError as error:
            detail = f"the site took longer than {SITE_SECONDS:.0f} s in all"
            raise ScrapeError(Outcome.TIMEOUT, detail) from error
        self._raw_of = raw_of
        serial = None
        if self.template.serial is not None:
            given = raw_of(self.template.serial)
            serial = text(f"{given:g}" if isinstance(given, float) else str(given or ""))
            self._identity.check(serial)
        found = DeviceReadings(self.template, raw_of)
        packs = [value for pack in found.batteries for value in pack.readings.values()]
        known = [*found.site.readings.values(), *packs]
        if all(map(math.isnan, known)) and not found.implausible:
            detail = f"answers, and has no value that the template {self.template.template} names"
            raise ScrapeError(Outcome.MALFORMED, detail)
        devices = {*(battery.device for battery in found.batteries), *found.alarms}
        return Snapshot(
            site=self._site,
            time=self._context.wall_clock(),
            duration=self._context.monotonic() - started,
            outcome=Outcome.PARTIAL if failed else Outcome.OK,
            detail="; ".join(error.detail for error in failed),
            readings=found.site.readings,
            batteries=tuple(found.batteries),
            alarms=found.alarms,
            devices=None if failed else frozenset(devices),
            implausible=tuple(found.implausible),
            properties={"serial": serial} if serial else {},
        )

    def raw_values(self) -> list[RawValue]:
        """See :class:`exporter.drivers.base.Explaining`."""
        if self._raw_of is None:
            return []
        found = []
        for reading in self.template.readings:
            raws = [self._raw_of(source) for source in reading.sources]
            places = " + ".join(self.source.place(source) for source in reading.sources)
            shown = " + ".join(_shown(raw) for raw in raws if raw is not None)
            found.append(RawValue(reading.battery or "site", reading.quantity, places, shown))
        return found


def _shown(raw: object) -> str:
    if raw is NOT_READ:
        return "not read"
    return f"{raw:g}" if isinstance(raw, float) else plain_line(str(raw)[:60])
