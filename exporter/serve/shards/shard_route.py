"""``GET /api/v1/shard``: what this shard knows of its sites, for the other shards alone."""

from __future__ import annotations

import hmac
import math
import time
from collections.abc import Callable
from typing import Annotated

from fastapi import APIRouter, Header, HTTPException, Query, Response

from exporter.assess.assessment import FleetAssessment
from exporter.assess.merged_fleet import part_of
from exporter.serve.shards.part_format import MEDIA_TYPE, encode

_SCHEME = "bearer "


def router(
    latest: Callable[[], FleetAssessment],
    stalled: Callable[[], str | None],
    shard: str,
    token: str,
) -> APIRouter:
    """The route.

    Parameters
    ----------
    latest : callable
        The latest Assessment of this shard, made with its inputs.
    stalled : callable
        Why it is not renewed any more, None while it is.
    shard : str
        As it is written, ``1/4``.
    token : str
        What other shards sign in with.
    """
    routes = APIRouter(prefix="/api/v1", include_in_schema=False)

    @routes.get("/shard")
    def part(
        authorization: Annotated[str, Header()] = "",
        cells_after: Annotated[float, Query()] = -math.inf,
    ) -> Response:
        """The part of the fleet that this shard is."""
        is_bearer = authorization.lower().startswith(_SCHEME)
        given = authorization[len(_SCHEME) :].strip() if is_bearer else ""
        if not hmac.compare_digest(given.encode(), token.encode()):
            raise HTTPException(
                401, "the token is not that of the shards", {"WWW-Authenticate": "Bearer"}
            )
        if why := stalled():
            raise HTTPException(503, why)
        # The clock goes on after the Assessment, and ages in it are of its moment.
        assessment = latest()
        body = encode(part_of(assessment, shard), time.monotonic(), cells_after)
        return Response(body, media_type=MEDIA_TYPE)

    return routes
