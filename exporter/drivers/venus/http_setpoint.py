"""The set-point of a Venus device over its HTTP bridge: persistent, since null cannot be written.

Source: the bridge's ``POST /value``. ``/Settings/CGwacs/AcPowerSetPoint`` outlives a restart, wears
flash memory, and nothing at the device ends it. So it is written only where a site allows that
(``dispatch.allow_persistent``), on change alone, for some hours at most, and what it was before is
written back. The bridge's own switch (``ai_write``) refuses with its reason, which is quoted.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import orjson

from exporter.drivers.base import Capability
from exporter.drivers.transport.http.site_client import SiteHttp
from exporter.drivers.venus.setpoint import GRID_SETPOINT
from exporter.model.snapshot import Outcome, ScrapeError

SERVICE = "com.victronenergy.settings"
PATH = "/Settings/CGwacs/AcPowerSetPoint"
_MOST_W = 32_767.0

PERSISTENT: Mapping[str, Capability] = MappingProxyType(
    {GRID_SETPOINT: Capability("W", -_MOST_W, _MOST_W, False, None)}
)


@dataclass(frozen=True, slots=True)
class HttpSetpoint:
    """Writes and reads the set-point of one site.

    Attributes
    ----------
    http : SiteHttp
    """

    http: SiteHttp

    async def write(self, value: float) -> None:
        """Set the power at the AC input, W, positive when importing.

        Raises
        ------
        ScrapeError
            Its detail quotes the bridge.
        """
        body = {"service": SERVICE, "path": PATH, "value": round(value)}
        answer = await self.http.send_json("POST", "/value", body)
        try:
            found = orjson.loads(answer)
        except orjson.JSONDecodeError as error:
            raise ScrapeError(Outcome.MALFORMED, "POST /value: the answer is not JSON") from error
        if not isinstance(found, dict) or found.get("success") is False:
            raise ScrapeError(Outcome.MALFORMED, "POST /value: the bridge did not set it")

    async def release(self, before: float) -> None:
        """Write back what was there before any order. Raises as :meth:`write` does."""
        if math.isnan(before):
            # The journal names it for each order that was sent; there is nothing to go back to.
            detail = f"{PATH}: what it was before is not known"
            raise ScrapeError(Outcome.MALFORMED, detail)
        await self.write(before)

    async def read(self) -> float:
        """The set-point, W. Raises as :meth:`write` does."""
        found: Any = await self.http.get_json("/value", {"service": SERVICE, "path": PATH})
        value = found.get("value") if isinstance(found, dict) else None
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ScrapeError(Outcome.MALFORMED, f"{PATH} has no value: the device may have no ESS")
        return float(value)
