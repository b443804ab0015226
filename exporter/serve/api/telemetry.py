"""``POST /api/v1/telemetry``: what nodes send by themselves, each with a token of its own."""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Annotated

from fastapi import APIRouter, Header, HTTPException, Request, Response
from pydantic import BaseModel

from exporter.config.fleet import Fleet, Site
from exporter.drivers.push.push_driver import PushOptions
from exporter.intake.telemetry import Batch, Point, TelemetryError, parse
from exporter.serve.access.rate_limits import Buckets
from exporter.serve.api.schemas import problems_of

MESSAGE_SECONDS = 0.5
MESSAGES_AT_ONCE = 60
_SCHEME = "bearer "


class Accepted(BaseModel):
    """How many points were taken; a point that was sent before is taken once."""

    accepted: int


class Intake:
    """Checks telemetry and hands it on.

    Parameters
    ----------
    fleet : callable
        The fleet in force, with all its sites.
    push : callable
        Takes a checked batch; False where too much waits already.
    """

    def __init__(self, fleet: Callable[[], Fleet], push: Callable[[Batch], bool]) -> None:
        self._fleet = fleet
        self._push = push
        self._rates = Buckets(MESSAGE_SECONDS, MESSAGES_AT_ONCE)
        self._known: tuple[Fleet, dict[str, Site]] | None = None

    def take(self, body: bytes, token: str) -> int:
        """Take a message; returns the number of its points.

        Raises
        ------
        HTTPException
        """
        if not token:
            raise _unauthorized()
        digest = hashlib.sha256(token.encode()).hexdigest()
        try:
            batch = parse(body)
        except TelemetryError as error:
            # Nobody learns anything from it but what they sent.
            raise HTTPException(422, str(error)) from None
        sites = self._sites()
        points: list[Point] = []
        for point in batch.points:
            site = sites.get(point.site)
            if site is None or not _is_signed_in(site, digest):
                raise _unauthorized()
            points.append(replace(point, site=site.id))
        now = time.monotonic()
        for name in {point.site for point in points}:
            if not self._rates.take(name, now):
                raise HTTPException(429, f"{name} sends too often", {"Retry-After": "1"})
        if not self._push(Batch(tuple(points), batch.sent)):
            raise HTTPException(503, "too much waits already; send it again", {"Retry-After": "5"})
        return len(points)

    def _sites(self) -> dict[str, Site]:
        """Sites that send by themselves, by id and by the id of their data centre."""
        fleet = self._fleet()
        if self._known is None or self._known[0] is not fleet:
            sites = [s for s in fleet.sites if s.options_of(PushOptions) is not None]
            by_name = {_dc_id(s): s for s in sites if _dc_id(s)}
            self._known = (fleet, by_name | {s.id: s for s in sites})
        return self._known[1]


def _dc_id(site: Site) -> str:
    options = site.options_of(PushOptions)
    block = site.datacentre.dc_id if site.datacentre is not None else None
    return (options and options.dc_id) or block or ""


def _is_signed_in(site: Site, digest: str) -> bool:
    options = site.options_of(PushOptions)
    expected = options.token_sha256 if options is not None else None
    return expected is not None and hmac.compare_digest(expected, digest)


def _unauthorized() -> HTTPException:
    # The same for a site that is not there, so that nobody can find out which are.
    return HTTPException(
        401,
        "the token is not that of every site in the message",
        {"WWW-Authenticate": 'Bearer realm="Fleetscope telemetry"'},
    )


def router(intake: Intake) -> APIRouter:
    """The route."""
    routes = APIRouter(prefix="/api/v1", tags=["telemetry"])

    @routes.post(
        "/telemetry",
        status_code=202,
        response_model=Accepted,
        responses=problems_of(401, 422, 429, 503),
        openapi_extra={
            "requestBody": {
                "required": True,
                "content": {"application/json": {"schema": {"type": ["object", "array"]}}},
            }
        },
    )
    async def telemetry(
        request: Request,
        response: Response,
        authorization: Annotated[str, Header(description="`Bearer`, and the node's token")] = "",
    ) -> Accepted:
        """Take a point of a node, a list of points, or points with the time of sending.

        See docs/push.md.
        """
        is_bearer = authorization.lower().startswith(_SCHEME)
        token = authorization[len(_SCHEME) :].strip() if is_bearer else ""
        return Accepted(accepted=intake.take(await request.body(), token))

    return routes
