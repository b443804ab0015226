"""The template driver of one site, as the service opens it."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any

from exporter.drivers.base import DriverContext, Endpoint
from exporter.drivers.template.template_driver import TemplateDriver, TemplateOptions
from exporter.drivers.transport import Transports
from exporter.drivers.transport.http.json_client import HttpClient
from exporter.drivers.transport.http.site_client import HttpTransport
from tests.drivers.bridge import Clock


@contextlib.asynccontextmanager
async def driver_at(url: str, clock: Clock, **options: Any) -> AsyncIterator[TemplateDriver]:
    """The driver of one site at an address."""
    async with HttpClient() as http:
        transports = Transports(HttpTransport(http, lambda site, url: "Bearer secret"))
        context = DriverContext(transports, clock.wall, clock.monotonic)
        chosen = TemplateOptions.model_validate(options)
        driver = TemplateDriver.open(Endpoint("a", url, chosen), context)
        try:
            yield driver
        finally:
            await driver.close()
