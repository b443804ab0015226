"""Alerts of a site as Alertmanager has them, and silences by whoever may operate it."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from exporter.assess.assessment import FleetAssessment
from exporter.config.fleet import Site
from exporter.deliver.alertmanager import Alert, Alertmanager, AlertmanagerError
from exporter.model.silences import ACKNOWLEDGED, Silence
from exporter.serve.access.guard import authorise, caller_of
from exporter.serve.access.roles import Action
from exporter.serve.access.visible_silences import without_words
from exporter.serve.api import schemas
from exporter.serve.api.replies import reply
from exporter.serve.api.selection import row_of

log = logging.getLogger(__name__)

LONGEST_HOURS = 30 * 24
NOT_SET = "alerts are not read: FLEETSCOPE_ALERTMANAGER_URL is not set"
Line = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=500)]


class SilenceRequest(BaseModel):
    """What is to be silenced, for how long and why."""

    model_config = ConfigDict(extra="forbid")

    site: str = Field(max_length=64, description="Id of the site")
    alert: str | None = Field(
        None, max_length=200, description="Name of the alert; all alerts of the site without it"
    )
    hours: float = Field(gt=0, le=LONGEST_HOURS, description="When it ends, from now")
    comment: Line = Field(description="Why; whoever looks at the alert reads it")
    acknowledge: bool = Field(
        False, description="Somebody is at it: the comment says so; needs the name of an alert"
    )


class ExpireRequest(BaseModel):
    """Which silence ends."""

    model_config = ConfigDict(extra="forbid")

    site: str = Field(max_length=64, description="Id of the site that it silences")
    silence: str = Field(pattern=r"^[0-9a-f-]{8,64}$", description="Its id")


class SiteAlerts:
    """Alerts and silences of the sites that a caller sees.

    Parameters
    ----------
    latest : callable
        The latest Assessment, as the caller of the request under way sees it.
    alertmanager : Alertmanager or None
    """

    def __init__(
        self, latest: Callable[[], FleetAssessment], alertmanager: Alertmanager | None
    ) -> None:
        self._latest = latest
        self._alertmanager = alertmanager

    def place(self, site: str) -> Site:
        """A site, by its id."""
        assessment = self._latest()
        return assessment.fleet.sites[row_of(assessment, site)]

    async def state(self, request: Request, site: str) -> dict[str, Any]:
        """What Alertmanager has of a site now."""
        place = self.place(site)
        caller = caller_of(request)
        with _refused():
            alerts, silences = await self._source().alerts(site)
        whole = caller.visibility.projects is None
        return {
            "site": site,
            "may_silence": caller.may(Action.SILENCE, place.project),
            "alerts": [_alert(one, site, whole=whole) for one in alerts],
            "silences": [_silence(one) for one in silences if one.site == site],
        }

    async def silence(self, author: str, wanted: SilenceRequest) -> None:
        """Silence what is wanted."""
        if wanted.acknowledge and wanted.alert is None:
            raise HTTPException(422, "acknowledge needs the name of an alert")
        comment = f"{ACKNOWLEDGED if wanted.acknowledge else ''}{wanted.comment}"
        with _refused():
            made = await self._source().silence(
                wanted.site, wanted.alert, wanted.hours, author, comment
            )
        what = wanted.alert or "all alerts"
        log.info(
            "%s silenced %s of %s for %g h (%s)", author, what, wanted.site, wanted.hours, made
        )

    async def expire(self, author: str, wanted: ExpireRequest) -> None:
        """End a silence of one site."""
        source = self._source()
        with _refused():
            _, silences = await source.alerts(wanted.site)
            if wanted.silence not in {one.id for one in silences if one.site == wanted.site}:
                raise HTTPException(404, "no silence of this site alone has that id")
            await source.expire(wanted.silence)
        log.info("%s ended silence %s of %s", author, wanted.silence, wanted.site)

    def _source(self) -> Alertmanager:
        if self._alertmanager is None:
            raise HTTPException(503, NOT_SET)
        return self._alertmanager


@contextlib.contextmanager
def _refused() -> Iterator[None]:
    try:
        yield
    except AlertmanagerError as error:
        raise HTTPException(503, str(error)) from error


def router(latest: Callable[[], FleetAssessment], alertmanager: Alertmanager | None) -> APIRouter:
    """``/alerts``."""
    routes = APIRouter(prefix="/api/v1", tags=["alerts"])
    of_sites = SiteAlerts(latest, alertmanager)

    @routes.get("/alerts", responses=schemas.of(schemas.AlertsReply, 404, 503))
    async def alerts(
        request: Request,
        site: Annotated[str, Query(max_length=64, description="Id of the site")],
    ) -> Response:
        """The alerts of a site that fire, pages first, and who silenced what until when."""
        return reply(request, await of_sites.state(request, site))

    @routes.post("/alerts/silence", responses=schemas.of(schemas.AlertsReply, 403, 404, 503))
    async def silence(request: Request, wanted: SilenceRequest) -> Response:
        """Silence an alert of a site, or all of them, and answer what Alertmanager then says.

        It needs the role operator in the project of the site. The author is who signed in.
        """
        authorise(request, Action.SILENCE, of_sites.place(wanted.site).project)
        await of_sites.silence(caller_of(request).name, wanted)
        return reply(request, await of_sites.state(request, wanted.site))

    @routes.post("/alerts/expire", responses=schemas.of(schemas.AlertsReply, 403, 404, 503))
    async def expire(request: Request, wanted: ExpireRequest) -> Response:
        """End a silence of one site before its time, and answer what Alertmanager then says."""
        authorise(request, Action.SILENCE, of_sites.place(wanted.site).project)
        await of_sites.expire(caller_of(request).name, wanted)
        return reply(request, await of_sites.state(request, wanted.site))

    return routes


def _silence(found: Silence) -> dict[str, Any]:
    return asdict(found) | {"acknowledges": found.acknowledges}


def _alert(found: Alert, site: str, *, whole: bool) -> dict[str, Any]:
    """An alert; who sees some projects alone is not shown the words of a wider silence."""
    silences = [one if whole or one.site == site else without_words(one) for one in found.silences]
    return asdict(found) | {"silences": [_silence(one) for one in silences]}
