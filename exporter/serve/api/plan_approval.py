"""Approving a plan, and withdrawing one: from then on the dispatcher has its orders, or has not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Request, Response
from pydantic import Field

from exporter.assess.assessment import FleetAssessment
from exporter.control.requests import PlanRequest
from exporter.serve.access.guard import authorise, caller_of
from exporter.serve.access.roles import Action
from exporter.serve.api import schemas
from exporter.serve.api.dispatch_schemas import ReasonBody
from exporter.serve.api.energy_schemas import PlanStandingReply
from exporter.serve.api.replies import reply
from exporter.serve.order_channel import OrderChannel

_RESPONSES = schemas.of(PlanStandingReply, 403, 404, 409, 503, 504)


class PlanBody(ReasonBody):
    """Whose plan, and why."""

    site: Annotated[str, Field(max_length=64, description="Id of the site")]


def router(latest: Callable[[], FleetAssessment], channel: OrderChannel) -> APIRouter:
    """``/plan/approve`` and ``/plan/withdraw``."""
    routes = APIRouter(prefix="/api/v1", tags=["energy"])

    @routes.post("/plan/approve", responses=_RESPONSES)
    async def approve(request: Request, wanted: PlanBody) -> Response:
        """Follow the newest plan of a site: its orders go to the dispatcher, whose switches decide.

        It is for this plan alone, 36 h at most; a mandate in the tariff file is for all that come.
        """
        return reply(request, await asked(request, wanted, withdraw=False))

    @routes.post("/plan/withdraw", responses=_RESPONSES)
    async def withdraw(request: Request, wanted: PlanBody) -> Response:
        """End the orders of a plan that is followed; the site is given back to its own control."""
        return reply(request, await asked(request, wanted, withdraw=True))

    async def asked(request: Request, wanted: PlanBody, *, withdraw: bool) -> dict[str, Any]:
        found = next((one for one in latest().fleet.sites if one.id == wanted.site), None)
        if found is None:
            raise HTTPException(404, f"there is no site with the id {wanted.site[:80]!r}")
        authorise(request, Action.ORDER, found.project)
        caller = caller_of(request)
        role = caller.role_in(found.project)
        answer = await channel.ask(
            PlanRequest(
                issuer=caller.name,
                role=role.name.lower() if role is not None else "",
                address=request.client.host if request.client else "",
                reason=wanted.reason,
                sites=(wanted.site,),
                withdraw=withdraw,
            )
        )
        return {"mode": answer["mode"], **answer["plans"][0]}

    return routes
