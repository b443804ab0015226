"""``/dispatch`` and ``/orders``: orders to sites, their journal, and what changes in them."""

from __future__ import annotations

import asyncio
import hashlib
import math
import time
from collections import Counter
from collections.abc import AsyncIterable, AsyncIterator, Callable, Sequence
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Depends, Header, HTTPException, Query, Request, Response
from fastapi.sse import EventSourceResponse, ServerSentEvent

from exporter.assess.assessment import FleetAssessment
from exporter.config.fleet import Site
from exporter.control.journal import JournalError
from exporter.control.order_views import SiteOrders
from exporter.control.requests import (
    ApproveRequest,
    CancelRequest,
    DispatchRequest,
    ReleaseRequest,
)
from exporter.model.orders import OrderAction, OrderSource, OrderStatus
from exporter.serve.access.guard import authorise, caller_of
from exporter.serve.access.roles import Action, Visibility
from exporter.serve.access.usage import ACCOUNTS, Stream, Streams, accounts_of
from exporter.serve.api import dispatch_schemas as models
from exporter.serve.api import schemas
from exporter.serve.api.events import MOST_STREAMS, MOST_STREAMS_OF_A_CALLER
from exporter.serve.api.replies import reply
from exporter.serve.order_channel import OrderChannel

MOST_ROWS = 1000
LOOK_SECONDS = 0.5
Limit = Annotated[int, Query(ge=1, le=MOST_ROWS, description="At most so many")]
Before = Annotated[
    int | None, Query(ge=1, le=2**62, description="`next` of the part before this one")
]
SiteId = Annotated[str | None, Query(max_length=64, description="Only of this site")]


class Orders:
    """Orders as a caller sees them.

    Parameters
    ----------
    latest : callable
        The latest Assessment, as the caller of the request under way sees it.
    channel : OrderChannel
    seen : callable
        What the caller of the request under way sees.
    """

    def __init__(
        self,
        latest: Callable[[], FleetAssessment],
        channel: OrderChannel,
        seen: Callable[[], Visibility],
    ) -> None:
        self._latest = latest
        self._channel = channel
        self._seen = seen

    def visible(self, site: str | None = None) -> list[str] | None:
        """Ids of sites whose orders the caller sees; None for all, those of the past included."""
        if site is None and self._seen().projects is None:
            return None
        ids = [one.id for one in self._latest().fleet.sites]
        return ids if site is None else [one for one in ids if one == site]

    def targets(self, request: Request, wanted: models.DispatchBody) -> tuple[str, ...]:
        """Ids of the sites that are meant, in all of which the caller may order."""
        sites = {site.id: site for site in self._latest().fleet.sites}
        if isinstance(wanted.targets, list):
            unknown = [name for name in wanted.targets if name not in sites]
            if unknown:
                raise HTTPException(404, f"there is no site with the id {unknown[0][:80]!r}")
            for name in wanted.targets:
                authorise(request, Action.ORDER, sites[name].project)
            return tuple(dict.fromkeys(wanted.targets))
        caller = caller_of(request)
        chosen = [site for site in sites.values() if caller.may(Action.ORDER, site.project)]
        if isinstance(wanted.targets, models.TargetFilter):
            chosen = [site for site in chosen if _matches(site, wanted.targets)]
        if not chosen:
            raise HTTPException(422, "targets: no site that the caller may order matches")
        return tuple(site.id for site in chosen)

    def may_order(self, request: Request, site: str | None) -> bool:
        """Whether the caller may order a site, or any of those that take orders."""
        caller = caller_of(request)
        return any(
            caller.may(Action.ORDER, one.project)
            for one in self._latest().fleet.sites
            if one.dispatch.enabled and site in (None, one.id)
        )

    def about(self, request: Request, orders: Sequence[OrderStatus]) -> None:
        """Refuse orders of sites that the caller does not see, or may not order."""
        projects = {site.id: site.project for site in self._latest().fleet.sites}
        for status in orders:
            if status.order.site not in projects:
                raise HTTPException(404, "there is no such order")
            authorise(request, Action.ORDER, projects[status.order.site])

    async def find(self, **given: Any) -> list[OrderStatus]:
        """Orders of the journal that the caller sees."""
        try:
            return await asyncio.to_thread(self._channel.reader.orders, **given)
        except JournalError as error:
            raise HTTPException(503, str(error)) from error

    async def one(self, name: str) -> OrderStatus:
        """An order that the caller sees."""
        try:
            found = await asyncio.to_thread(self._channel.reader.order, name)
        except JournalError as error:
            raise HTTPException(503, str(error)) from error
        visible = self.visible()
        if found is None or not (visible is None or found.order.site in visible):
            raise HTTPException(404, "there is no such order")
        return found

    async def of_dispatch(self, name: str) -> list[OrderStatus]:
        """The orders of a dispatch that the caller sees, in the order of its sites."""
        found = await self.find(dispatch=name, sites=self.visible(), limit=models.MOST_TARGETS)
        if not found:
            raise HTTPException(404, "there is no such dispatch")
        return found[::-1]

    async def log(self, **given: Any) -> list[dict[str, Any]]:
        """Rows of the journal."""
        try:
            return await asyncio.to_thread(self._channel.reader.log, **given)
        except JournalError as error:
            raise HTTPException(503, str(error)) from error

    async def history(self, name: str) -> list[dict[str, Any]]:
        """All rows of an order."""
        try:
            events = await asyncio.to_thread(self._channel.reader.history, name)
        except JournalError as error:
            raise HTTPException(503, str(error)) from error
        return [
            {
                "time": event.time,
                "state": event.state.value,
                "actor": event.actor,
                "evidence": dict(event.evidence),
            }
            for event in events
        ]

    def shown(self, status: OrderStatus) -> dict[str, Any]:
        """An order as the API shows it, with what is measured now while it is in force."""
        live = {one.site: one for one in self._channel.book().sites}
        return order_dict(status, live.get(status.order.site))


def order_dict(status: OrderStatus, live: SiteOrders | None) -> dict[str, Any]:
    """An order; ``live`` is what is known of its site now."""
    order = status.order
    here = live is not None and live.order == order.id
    releasing = order.action is OrderAction.RELEASE and status.end is None
    failed = here or releasing or status.owes_release
    return {
        "id": order.id,
        "dispatch": order.dispatch,
        "sequence": order.sequence,
        "site": order.site,
        "action": order.action.value,
        "wanted_w": order.power_w,
        "allowed_w": _number(live.allowed_w if here and live else status.allowed_w),
        "measured_w": _number(live.measured_w) if here and live else None,
        "setpoint_w": _number(live.setpoint_w) if here and live else None,
        "start": order.start,
        "expires": order.expires,
        "ramp_w_per_s": order.ramp_w_per_s,
        "source": order.source.value,
        "issuer": order.issuer,
        "role": order.role,
        "address": order.address,
        "reason": order.reason,
        "dry_run": order.dry_run,
        "state": status.state.value,
        "end": status.end.value if status.end else None,
        "since": status.since,
        "owes_release": status.owes_release,
        "failure": (live.failure or None) if live and failed else None,
        "unattended": status.unattended or None,
        "end_reason": status.end_reason or None,
        "evidence": dict(status.evidence),
    }


def _number(value: float) -> float | None:
    return None if math.isnan(value) else value


def _matches(site: Site, wanted: models.TargetFilter) -> bool:
    def has(listed: Sequence[str], *values: str | None) -> bool:
        folded = {text.casefold() for text in listed}
        return not folded or any((value or "").casefold() in folded for value in values)

    return (
        has(wanted.region, site.region)
        and has(wanted.project, site.project)
        and has(wanted.vendor, site.vendor)
        and has(wanted.battery_type, site.battery_type)
        and has(wanted.tag, *site.tags)
    )


def router(
    latest: Callable[[], FleetAssessment],
    channel: OrderChannel,
    era: Callable[[], int | None],
    seen: Callable[[], Visibility],
) -> APIRouter:
    """All routes."""
    routes = APIRouter(prefix="/api/v1", tags=["orders"])
    orders = Orders(latest, channel, seen)
    _add_changes(routes, orders, latest, channel)
    _add_reads(routes, orders, channel, era)
    return routes


def _add_changes(
    routes: APIRouter,
    orders: Orders,
    latest: Callable[[], FleetAssessment],
    channel: OrderChannel,
) -> None:
    """Routes that order, approve and cancel."""

    @routes.post("/dispatch", responses=schemas.of(models.DispatchAnswer, 403, 404, 409, 503, 504))
    async def dispatch(
        request: Request,
        wanted: models.DispatchBody,
        idempotency_key: Annotated[
            str,
            Header(max_length=200, description="The same key and body get the same answer again"),
        ] = "",
    ) -> Response:
        """Order something of sites: one order for each, with the power that is allowed and why.

        It needs the role operator in the project of each site. What is answered was written to the
        journal; whether a device follows is in ``/dispatch/{id}`` some seconds later. ``release``
        gives sites back to their own control, whatever is in force there; it is never dry where
        something is in force.
        """
        sites = orders.targets(request, wanted)
        who = _issuer(request, wanted.reason, latest(), sites)
        if idempotency_key:
            who |= {"key": idempotency_key, "digest": _digest(wanted)}
        if wanted.action == "release":
            return reply(request, await channel.ask(ReleaseRequest(sites=sites, **who)))
        now = time.time()
        start = wanted.start if wanted.start and wanted.start > now else None
        kilowatts = wanted.kw or wanted.total_kw or 0.0
        ramp = wanted.ramp_kw_per_s
        asked = DispatchRequest(
            sites=sites,
            action=OrderAction(wanted.action),
            power_w=1000.0 * kilowatts,
            in_total=wanted.total_kw is not None,
            start=start,
            expires=(start or now) + wanted.seconds,
            ramp_w_per_s=None if ramp is None else 1000.0 * ramp,
            source=OrderSource(wanted.source),
            dry_run=wanted.dry_run,
            needs_approval=wanted.source == "plan",
            **who,
        )
        return reply(request, await channel.ask(asked))

    @routes.post(
        "/dispatch/{dispatch}/approve",
        responses=schemas.of(models.Approved, 403, 404, 503, 504),
    )
    async def approve(request: Request, dispatch: str, wanted: models.ReasonBody) -> Response:
        """Accept the orders of a plan that wait for approval."""
        found = await orders.of_dispatch(dispatch)
        orders.about(request, found)
        names = tuple(status.order.id for status in found)
        sites = tuple(status.order.site for status in found)
        who = _issuer(request, wanted.reason, latest(), sites)
        return reply(request, await channel.ask(ApproveRequest(orders=names, **who)))

    @routes.post(
        "/orders/{order}/cancel", responses=schemas.of(models.Cancelled, 403, 404, 503, 504)
    )
    async def cancel(request: Request, order: str, wanted: models.ReasonBody) -> Response:
        """End an order before its time; its site is released."""
        status = await orders.one(order)
        orders.about(request, [status])
        who = _issuer(request, wanted.reason, latest(), (status.order.site,))
        return reply(request, await channel.ask(CancelRequest(orders=(order,), **who)))


def _add_reads(
    routes: APIRouter, orders: Orders, channel: OrderChannel, era: Callable[[], int | None]
) -> None:
    """Routes that read the journal and what is in force."""

    @routes.get("/dispatch/logs", responses=schemas.of(models.LogReply, 404, 503))
    async def logs(
        request: Request, site: SiteId = None, limit: Limit = 100, before: Before = None
    ) -> Response:
        """Rows of the journal, the latest first: each order's way from state to state."""
        rows = await orders.log(sites=orders.visible(site), before=before, limit=limit)
        following = rows[-1]["number"] if len(rows) == limit else None
        return reply(request, {"rows": rows, "next": following})

    streams = Streams(MOST_STREAMS, MOST_STREAMS_OF_A_CALLER)

    async def opened(request: Request) -> AsyncIterator[None]:
        # Without a journal there is nothing to stream, which is said before the stream begins.
        request.state.journal = channel.reader
        address = request.client.host if request.client else ""
        stream = streams.open(request.scope.get(ACCOUNTS) or accounts_of(address, None))
        request.state.stream = stream
        try:
            yield
        finally:
            streams.close(stream)

    @routes.get(
        "/dispatch/events",
        response_class=EventSourceResponse,
        dependencies=[Depends(opened)],
        responses=schemas.problems_of(404, 503),
    )
    async def events(request: Request) -> AsyncIterable[ServerSentEvent]:
        """Rows of the journal as they are written, as events named ``order``. ``Last-Event-ID``
        is the number of the last one that is known."""
        known = request.headers.get("last-event-id", "")
        last = int(known) if known.isdecimal() and len(known) < 19 else None
        if last is None:
            last = await asyncio.to_thread(channel.reader.last_number)
        expires = caller_of(request).expires or math.inf
        stream: Stream = request.state.stream
        begun = era()
        while era() == begun is not None and not stream.evicted and time.time() < expires:
            rows = await orders.log(sites=orders.visible(), after=last, limit=MOST_ROWS)
            for row in rows:
                last = row["number"]
                yield ServerSentEvent(event="order", id=str(last), raw_data=_json(row))
            await asyncio.sleep(LOOK_SECONDS)

    @routes.get("/dispatch/{dispatch}", responses=schemas.of(models.DispatchReply, 404, 503))
    async def one_dispatch(request: Request, dispatch: str) -> Response:
        """A dispatch now: which sites follow, which were limited and why."""
        shown = [orders.shown(status) for status in await orders.of_dispatch(dispatch)]
        measured = [one["measured_w"] for one in shown if one["measured_w"] is not None]
        body = {
            "dispatch": dispatch,
            "mode": channel.book().mode,
            "counts": dict(Counter(one["state"] for one in shown)),
            "wanted_w": sum(one["wanted_w"] for one in shown),
            "allowed_w": sum(one["allowed_w"] or 0.0 for one in shown),
            "measured_w": sum(measured) if measured else None,
            "orders": shown,
        }
        return reply(request, body)

    @routes.get("/orders", responses=schemas.of(models.OrdersReply, 404, 503))
    async def list_orders(
        request: Request,
        site: SiteId = None,
        open_only: Annotated[
            bool, Query(alias="open", description="Only those that have not ended or owe a release")
        ] = False,
        dry: Annotated[
            bool | None, Query(description="Only dry ones, or only those that are not")
        ] = None,
        limit: Limit = 100,
        before: Before = None,
    ) -> Response:
        """Orders, the latest first."""
        found = await orders.find(
            sites=orders.visible(site), live=open_only or None, dry=dry, before=before, limit=limit
        )
        second_look_w = channel.second_look_w
        body = {
            "mode": channel.book().mode,
            "may_order": channel.book().mode != "off" and orders.may_order(request, site),
            "second_look_w": second_look_w if math.isfinite(second_look_w) else None,
            "journal_failure": channel.book().journal_failure,
            "orders": [orders.shown(status) for status in found],
            "next": found[-1].order.sequence if len(found) == limit else None,
        }
        return reply(request, body)

    @routes.get("/orders/{order}", responses=schemas.of(models.OrderHistory, 404, 503))
    async def one_order(request: Request, order: str) -> Response:
        """An order with everything that became of it."""
        status = await orders.one(order)
        rows = await orders.history(order)
        return reply(request, {"order": orders.shown(status), "rows": rows})


def _issuer(
    request: Request, reason: str, assessment: FleetAssessment, sites: Sequence[str]
) -> dict[str, Any]:
    """Who asks, with the least of its roles in the projects of the sites."""
    caller = caller_of(request)
    wanted = set(sites)
    projects = {site.project for site in assessment.fleet.sites if site.id in wanted}
    held = [role for project in projects if (role := caller.role_in(project)) is not None]
    return {
        "issuer": caller.name,
        "role": min(held).name.lower() if held else "",
        "address": request.client.host if request.client else "",
        "reason": reason,
    }


def _digest(wanted: models.DispatchBody) -> str:
    return hashlib.sha256(wanted.model_dump_json().encode()).hexdigest()


def _json(row: dict[str, Any]) -> str:
    return orjson.dumps(row).decode()
