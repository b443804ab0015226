"""The alerts of Prometheus as the caller of the request under way sees them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from exporter.assess.assessment import FleetAssessment
from exporter.history.alert_history import AlertHistory, Fired
from exporter.serve.access.visible import visibility


class VisibleAlerts(AlertHistory):
    """A Prometheus, of which a caller reads the alerts on the sites that it sees.

    Parameters
    ----------
    alerts : AlertHistory
    visible : callable
        The Assessment that the caller sees.
    """

    def __init__(self, alerts: AlertHistory, visible: Callable[[], FleetAssessment]) -> None:
        self.url = alerts.url
        self._alerts = alerts
        self._visible = visible

    async def firing(self, now: float) -> Fired:
        """As :meth:`AlertHistory.firing`; those on no site are about all projects."""
        return self._limited(await self._alerts.firing(now))

    async def fired(self, start: float, end: float) -> Fired:
        """As :meth:`AlertHistory.fired`; those on no site are about all projects."""
        return self._limited(await self._alerts.fired(start, end))

    def _limited(self, found: Fired) -> Fired:
        if visibility().projects is None:
            return found
        sites = {site.id for site in self._visible().fleet.sites}
        return replace(found, alerts=tuple(a for a in found.alerts if a.site in sites))
