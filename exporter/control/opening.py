"""Opens the dispatcher that the settings ask for."""

from __future__ import annotations

import time
from collections.abc import Callable

from exporter.config.settings import Settings
from exporter.control.dispatcher import Dispatcher
from exporter.control.gate import DispatchMode
from exporter.control.journal import JournalError
from exporter.control.order_log import OrderLog
from exporter.control.records import OnRow
from exporter.control.site_inputs import InputReader
from exporter.drivers.base import Driver
from exporter.model.audit_file import AuditFile, AuditLogError
from exporter.model.orders import OrderEvent, OrderStatus


def open_dispatcher(
    settings: Settings,
    inputs: InputReader,
    driver_of: Callable[[str], Driver | None],
    add_lines: Callable[[str, list[str]], None],
    stamps: Callable[[], float],
    also: OnRow,
) -> Dispatcher | None:
    """The dispatcher; None without a journal.

    Parameters
    ----------
    settings : Settings
    inputs : InputReader
    driver_of : callable
        The driver of a site, by its id.
    add_lines : callable
        Stores lines of a site.
    stamps : callable
        Unix seconds for stored points.
    also : callable
        Called for each row that took effect, after it was logged.

    Raises
    ------
    SystemExit
        Where the audit log or the journal cannot be used.
    """
    if settings.dispatch_journal is None:
        return None
    try:
        orders = OrderLog(AuditFile(settings.audit_log), add_lines, stamps)

        def took_effect(status: OrderStatus, event: OrderEvent) -> None:
            orders.took_effect(status, event)
            also(status, event)

        mode = DispatchMode(settings.dispatch)
        return Dispatcher(
            settings.dispatch_journal, mode, inputs, driver_of, took_effect, time.time
        )
    except AuditLogError as error:
        raise SystemExit(f"fleetscope: FLEETSCOPE_AUDIT_LOG: {error}") from error
    except JournalError as error:
        raise SystemExit(f"fleetscope: FLEETSCOPE_DISPATCH_JOURNAL: {error}") from error
