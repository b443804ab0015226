"""Requests and replies of the routes for orders, from which ``/openapi.json`` describes them."""

from __future__ import annotations

from typing import Annotated, Any, Literal, NotRequired, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator, with_config
from typing_extensions import TypedDict

from exporter.model.orders import LONGEST_SECONDS, SHORTEST_SECONDS, USUAL_SECONDS

_CLOSED = ConfigDict(extra="forbid")
MOST_TARGETS = 5000
MOST_MEGAWATTS = 1000.0
ActionName = Literal["charge", "discharge", "hold", "defer_load", "release"]
Line = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=500)]
Id = Annotated[str, StringConstraints(min_length=1, max_length=64)]


class TargetFilter(BaseModel):
    """Sites by what the fleet file says of them; several keys keep sites that match all."""

    model_config = _CLOSED

    region: list[Id] = Field([], max_length=100)
    project: list[Id] = Field([], max_length=100)
    vendor: list[Id] = Field([], max_length=100)
    battery_type: list[Id] = Field([], max_length=100)
    tag: list[Id] = Field([], max_length=100)


class DispatchBody(BaseModel):
    """An order for some sites. Without ``dry_run: false`` nothing is written to any device."""

    model_config = _CLOSED

    targets: Literal["all"] | list[Id] | TargetFilter = Field(
        description="Ids of sites, a filter, or `all`: every site in whose project the caller "
        "may order"
    )
    action: ActionName
    kw: float | None = Field(
        None, gt=0, le=MOST_MEGAWATTS * 1000, description="Power of each site, in the action's way"
    )
    total_kw: float | None = Field(
        None,
        gt=0,
        le=MOST_MEGAWATTS * 1000,
        description="Power of all sites together, shared out by what each may do and by the "
        "energy that it has room for",
    )
    seconds: float = Field(
        USUAL_SECONDS,
        ge=SHORTEST_SECONDS,
        le=LONGEST_SECONDS,
        description="How long it is in force; then the sites are released",
    )
    start: float | None = Field(
        None, ge=0, le=1e11, description="Unix seconds at which it begins; at once without it"
    )
    ramp_kw_per_s: float | None = Field(None, gt=0, le=1e6, description="Slowest of both counts")
    reason: Line = Field(description="Why; whoever reads the journal sees it")
    dry_run: bool = Field(True, strict=True, description="Whether nothing is written")
    source: Literal["manual", "plan"] = "manual"

    @model_validator(mode="after")
    def _whole(self) -> Self:
        given = [self.kw is not None, self.total_kw is not None]
        needs = self.action in ("charge", "discharge", "defer_load")
        if needs and sum(given) != 1:
            raise ValueError(f"{self.action} needs kw or total_kw, and not both")
        if not needs and any(given):
            raise ValueError(f"{self.action} takes neither kw nor total_kw")
        if isinstance(self.targets, list) and not 0 < len(self.targets) <= MOST_TARGETS:
            raise ValueError(f"expected 1 to {MOST_TARGETS} targets")
        return self


class ReasonBody(BaseModel):
    """Why something is done."""

    model_config = _CLOSED

    reason: Line


@with_config(_CLOSED)
class LimitReply(TypedDict):
    """Why an order was refused or lowered; ``limit_w`` is null for a refusal."""

    code: str
    sentence: str
    limit_w: float | None


@with_config(_CLOSED)
class AdmittedOrder(TypedDict):
    """What becomes of a request at one site. Power is positive when charging.

    ``unattended`` says what becomes of the set-point if the exporter dies, where no lease of the
    device ends it; null where the device falls back by itself.
    """

    id: str
    site: str
    state: str
    wanted_w: NotRequired[float]
    allowed_w: NotRequired[float]
    limits: NotRequired[list[LimitReply]]
    unchecked: NotRequired[list[str]]
    unattended: NotRequired[str | None]


@with_config(_CLOSED)
class DispatchAnswer(TypedDict):
    """A dispatch: one order for each site."""

    dispatch: str
    mode: str
    orders: list[AdmittedOrder]
    time: NotRequired[float]
    dry_run: NotRequired[bool]
    wanted_w: NotRequired[float]
    allowed_w: NotRequired[float]
    nothing_to_release: NotRequired[list[str]]


@with_config(_CLOSED)
class OrderReply(TypedDict):
    """An order and where it is; times are Unix seconds, powers are watts.

    ``unattended`` is as in AdmittedOrder; ``end_reason`` says why it ended, and is null while it
    has not and where its time was over.
    """

    id: str
    dispatch: str
    sequence: int
    site: str
    action: str
    wanted_w: float
    allowed_w: float | None
    measured_w: float | None
    setpoint_w: float | None
    start: float
    expires: float
    ramp_w_per_s: float | None
    source: str
    issuer: str
    role: str
    address: str
    reason: str
    dry_run: bool
    state: str
    end: str | None
    since: float
    owes_release: bool
    failure: str | None
    unattended: str | None
    end_reason: str | None
    evidence: dict[str, Any]


@with_config(_CLOSED)
class DispatchReply(TypedDict):
    """The orders of a dispatch now."""

    dispatch: str
    mode: str
    counts: dict[str, int]
    wanted_w: float
    allowed_w: float
    measured_w: float | None
    orders: list[OrderReply]


@with_config(_CLOSED)
class OrdersReply(TypedDict):
    """Orders, the latest first; ``next`` is ``before`` of the next part, null at the end.

    ``may_order`` says whether the caller may order the site that was asked for, or any; above
    ``second_look_w`` the page asks for a confirmation.
    """

    mode: str
    may_order: bool
    second_look_w: float | None
    journal_failure: str | None
    orders: list[OrderReply]
    next: int | None


@with_config(_CLOSED)
class JournalRow(TypedDict):
    """One row of the journal."""

    number: int
    time: float
    order: str
    site: str
    dispatch: str
    state: str
    actor: str
    evidence: dict[str, Any]
    document: NotRequired[dict[str, Any]]
    chain: str


@with_config(_CLOSED)
class LogReply(TypedDict):
    """Rows of the journal, the latest first; ``next`` as in OrdersReply."""

    rows: list[JournalRow]
    next: int | None


@with_config(_CLOSED)
class OrderHistory(TypedDict):
    """An order with all its rows, oldest first."""

    order: OrderReply
    rows: list[dict[str, Any]]


@with_config(_CLOSED)
class Cancelled(TypedDict):
    """Ids of the orders that are being ended."""

    cancelled: list[str]


@with_config(_CLOSED)
class Approved(TypedDict):
    """Ids of the orders that were accepted."""

    approved: list[str]
