"""What becomes of orders, as points for InfluxDB and events of the audit log."""

from __future__ import annotations

from collections.abc import Callable

from exporter.model.audit_file import AuditFile
from exporter.model.orders import LIVE, OrderEvent, OrderState, OrderStatus
from exporter.store.line_protocol import order_line

_AUDITED = frozenset(OrderState) - LIVE - {OrderState.DRAFTED} | {
    OrderState.ACCEPTED,
    OrderState.AWAITING_APPROVAL,
}


class OrderLog:
    """Takes each row of the journal once it is in effect.

    Parameters
    ----------
    audit : AuditFile
    store : callable
        Takes the id of a site and its lines for InfluxDB.
    stamp : callable
        Unix seconds for the next point.
    """

    def __init__(
        self, audit: AuditFile, store: Callable[[str, list[str]], None], stamp: Callable[[], float]
    ) -> None:
        self._audit = audit
        self._store = store
        self._stamp = stamp

    def took_effect(self, status: OrderStatus, event: OrderEvent) -> None:
        """Take a row."""
        order = status.order
        reason = str(event.evidence.get("reason", "") or order.reason)
        figures = {"wanted_w": order.power_w}
        for name in ("allowed_w", "measured_w", "written_w"):
            if isinstance(value := event.evidence.get(name), int | float):
                figures[name] = float(value)
        self._store(
            order.site,
            [
                order_line(
                    order.site,
                    order.source.value,
                    event.state.value,
                    figures,
                    {
                        "order": order.id,
                        "dispatch": order.dispatch,
                        "action": order.action.value,
                        "issuer": order.issuer,
                        "actor": event.actor,
                        "reason": reason,
                    },
                    self._stamp(),
                )
            ],
        )
        if event.state in _AUDITED:
            self._audit.record(
                "order",
                name=order.issuer,
                address=order.address,
                role=order.role,
                site=order.site,
                order=order.id,
                dispatch=order.dispatch,
                action=order.action.value,
                power_w=order.power_w,
                state=event.state.value,
                reason=reason,
            )
