"""Alerts on orders to sites."""

from __future__ import annotations

from provisioning.prometheus.alert import EACH_SITE, Alert

REMARK = """\
Alerts on orders to sites and on the dispatcher that carries them out. Those on a site are of the
exporter's scope: maintenance silences what a site suffers, never what this program did to it."""

ALERTS = (
    Alert(
        name="FleetscopeOrderNotReleased",
        why="An exporter that died with an order at a device without a lease releases nothing: the "
        "last end that it published counts. It publishes 0 while nothing is in force there.",
        expr="time() - fleetscope_order_release_owed_timestamp_seconds > 60\n"
        "or on (job, instance, site) (\n"
        "  time() - (last_over_time(fleetscope_order_persistent_end_timestamp_seconds[2d]) > 0)\n"
        "    > 60\n"
        '  and on (job, instance) up{job="fleetscope"} == 0\n'
        ")",
        wait="1m",
        severity="page",
        scope="exporter",
        level="critical",
        cause="order_not_released",
        summary="{{ $labels.site }} may still be forced by an order that has ended",
        description="An order at {{ $labels.site }} ended {{ $value | humanizeDuration }} ago, and "
        "its device is not known to be back under its own control. The exporter goes on trying, "
        "unless it is down itself.",
        dashboard="dispatch-orders",
        action="Start the exporter if it is down: it releases what is overdue first. Run "
        "fleetscope release --site {{ $labels.site }}; where it cannot be reached, have its "
        "set-point cleared on the spot.",
    ),
    Alert(
        name="FleetscopeOrderLeaseLost",
        expr="fleetscope_order_write_age_seconds\n"
        f"  > {EACH_SITE} fleetscope_order_reversion_seconds",
        wait="30s",
        severity="ticket",
        scope="exporter",
        level="warning",
        cause="order_lease_lost",
        summary="The set-point at {{ $labels.site }} is not kept up",
        description="The set-point of the order at {{ $labels.site }} was written {{ $value | "
        "humanizeDuration }} ago, longer than the device keeps it by itself. The site has most "
        "likely fallen back to its own control.",
        dashboard="dispatch-orders",
        action="Look at the site's connection; fleetscope orders --site {{ $labels.site }} says "
        "why writing fails.",
    ),
    Alert(
        name="FleetscopeForeignSetpoint",
        expr="abs(fleetscope_site_foreign_setpoint_watts) >= 0",
        wait="5m",
        keep="5m",
        severity="ticket",
        scope="exporter",
        level="warning",
        cause="foreign_setpoint",
        summary="{{ $labels.site }} has a set-point that nobody ordered here",
        description='A set-point of {{ $value | printf "%.0f" }} W (its size) has been in force '
        "at {{ $labels.site }} for 5 minutes without an order of this exporter.",
        dashboard="dispatch-orders",
        action="Find out what else controls the site; fleetscope release --site {{ $labels.site }} "
        "clears it.",
    ),
    Alert(
        name="FleetscopeOrderIneffective",
        why="The window is longer than `for`, so that one such order is reported once and ends.",
        expr='increase(fleetscope_orders_total{state=~"ineffective|failed"}[15m]) > 0',
        wait="1m",
        severity="ticket",
        scope="exporter",
        level="warning",
        cause="order_ineffective",
        summary="Orders of {{ $labels.instance }} end as {{ $labels.state }}",
        description='About {{ $value | printf "%.0f" }} orders of {{ $labels.instance }} ended as '
        "{{ $labels.state }} in the last 15 minutes: their sites were not written to, or did not "
        "do what was written.",
        dashboard="dispatch-orders",
        action="List them with fleetscope orders --all, and read fleetscope explain ORDER.",
    ),
    Alert(
        name="FleetscopeOrderJournalUnwritable",
        expr="fleetscope_dispatch_journal_writable == 0",
        wait="1m",
        severity="page",
        scope="exporter",
        level="critical",
        cause="order_journal",
        summary="{{ $labels.instance }} cannot write its journal of orders",
        description="The journal of orders of {{ $labels.instance }} could not be written for a "
        "minute (writable = {{ $value }}). Orders in force were ended and their sites released; "
        "new ones are refused.",
        dashboard="dispatch-orders",
        action="Free space on the disk of FLEETSCOPE_DISPATCH_JOURNAL, or mount it for writing.",
    ),
    Alert(
        name="FleetscopeDispatcherDown",
        why="What was in force is known from the last scrape that worked: it is 0 without any.",
        expr='up{job="fleetscope"} == 0\n'
        "and on (job, instance) last_over_time(fleetscope_orders_in_force[2d]) > 0",
        wait="1m",
        severity="page",
        scope="exporter",
        level="critical",
        cause="dispatcher_down",
        summary="Exporter {{ $labels.instance }} is down with orders in force",
        description="{{ $labels.instance }} does not answer (up = {{ $value }}), and had orders in "
        "force. Devices that "
        "fall back by themselves have done so or will within a minute; persistent set-points stay "
        "until the exporter is back.",
        dashboard="dispatch-orders",
        action="Start the exporter: it releases what is overdue before anything else.",
    ),
)
