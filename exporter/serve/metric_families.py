"""What each metric of ``/metrics`` is: kind, help text and labels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from exporter.model.quantities import ROWS

PREFIX = "fleetscope_"


@dataclass(frozen=True, slots=True)
class Description:
    """One metric: kind (``gauge`` or ``counter``), help text and labels."""

    kind: str
    help: str
    labels: tuple[str, ...] = ()


WITH_GAUGES = tuple(row for row in ROWS if row.gauge)


def _quantity_gauges() -> dict[str, Description]:
    return {
        row.gauge.name: Description(
            "gauge",
            row.gauge.help,
            ("site", "pack") if row.gauge.per_battery else ("site",),
        )
        for row in WITH_GAUGES
        if row.gauge
    }


FAMILIES: Mapping[str, Description] = MappingProxyType(
    {
        "site_info": Description(
            "gauge",
            "What the fleet file says of a site; always 1, to be joined on site",
            (
                "site",
                "name",
                "region",
                "vendor",
                "battery_type",
                "kind",
                "priority",
                "location",
                "latitude",
                "longitude",
                "timezone",
                "contact",
                "phone",
                "email",
            ),
        ),
        "site_up": Description(
            "gauge", "1 if the latest scrape of the site gave readings, 0 if it did not", ("site",)
        ),
        "site_health_score": Description(
            "gauge", "Overall health from 0 to 100; 0 while the site is offline", ("site",)
        ),
        "site_component_score": Description(
            "gauge",
            "Health of one component from 0 to 100; absent while nothing is known of it",
            ("site", "component"),
        ),
        "site_status": Description(
            "gauge",
            "State set: 1 for the status that the site has, 0 for the others",
            ("site", "status"),
        ),
        "site_issue": Description(
            "gauge",
            "1 while the site has this issue; absent otherwise",
            ("site", "code", "severity"),
        ),
        "site_issue_value": Description(
            "gauge",
            "Value that an active issue was judged by, in its unit, a percentage as a ratio; "
            "absent where the issue has none",
            ("site", "code"),
        ),
        "site_issue_threshold": Description(
            "gauge",
            "Limit that the value of an active issue has passed, in the same unit",
            ("site", "code"),
        ),
        "device_alarm_level": Description(
            "gauge",
            "Level of an alarm that a device reports: 1 warning, 2 alarm; absent otherwise, and "
            "at most 10 of a site",
            ("site", "device", "alarm"),
        ),
        "site_maintenance": Description(
            "gauge",
            "1 while the fleet file says that the site is being worked on; absent otherwise",
            ("site",),
        ),
        "common_issue_sites": Description(
            "gauge",
            "Sites of one region or battery type that share an issue beyond chance",
            ("code", "attribute", "value"),
        ),
        "common_issue_group_sites": Description(
            "gauge",
            "Assessed sites of a region or battery type that explains a shared issue",
            ("code", "attribute", "value"),
        ),
        "common_issue_rank": Description(
            "gauge",
            "Place of a shared issue, 1 first; `follows` is the issue that brings it about, which "
            "stands before it",
            ("code", "attribute", "value", "follows"),
        ),
        "site_coverage_ratio": Description(
            "gauge",
            "Share of the inputs that a full judgement needs which the site gave",
            ("site",),
        ),
        "site_rank": Description(
            "gauge", "Place in the order of attention; 1 needs it most", ("site",)
        ),
        "site_outlier_score": Description(
            "gauge",
            "Robust z score against comparable sites; beyond 3.5 either way is an outlier",
            ("site", "metric"),
        ),
        "site_scrape_duration_seconds": Description(
            "gauge", "Duration of the latest scrape of the site", ("site",)
        ),
        "site_scrapes_total": Description(
            "counter", "Scrapes of the site by how they ended", ("site", "outcome")
        ),
        "site_last_success_timestamp_seconds": Description(
            "gauge", "Unix time of the latest scrape that gave readings", ("site",)
        ),
        "site_implausible_readings_total": Description(
            "counter", "Values outside physics, kept out of scores and storage", ("site",)
        ),
        "site_way_in": Description(
            "gauge",
            "1 for the way in by which the site is read; only of sites with several",
            ("site", "way"),
        ),
        "site_way_changes_total": Description(
            "counter",
            "How often the site was read by another way in than before; of sites with several",
            ("site",),
        ),
        **_quantity_gauges(),
        "cell_finding": Description(
            "gauge",
            "1 while the history of a cell says this of it; of the worst cells of a site only",
            ("site", "pack", "cell", "reason", "severity"),
        ),
        "cell_deviation_volts": Description(
            "gauge",
            "Distance of such a cell from the median of its pack at rest",
            ("site", "pack", "cell"),
        ),
        "cell_forecast_seconds": Description(
            "gauge",
            "Time until such a cell is so many millivolts off its pack's median at rest, by its "
            "trend; 0 where it is, absent without a trend that leads there",
            ("site", "pack", "cell", "millivolts"),
        ),
        "cell_analysis_timestamp_seconds": Description(
            "gauge", "Unix time at which the stored cells of a site were analysed last"
        ),
        "cell_analysis_interval_seconds": Description(
            "gauge", "Time in which the stored cells of all sites are analysed once"
        ),
        "fleet_sites": Description("gauge", "Sites that this exporter polls"),
        "fleet_file_sites": Description(
            "gauge", "Sites in the fleet file, of which other shards may poll a part"
        ),
        "scrape_loop_lag_seconds": Description(
            "gauge", "Longest delay of a scrape behind its time in the last minute or two"
        ),
        "scrapes_skipped_total": Description(
            "counter", "Turns left out because the scrape before had not ended"
        ),
        "assessment_timestamp_seconds": Description(
            "gauge", "Unix time of the assessment that the site metrics show"
        ),
        "assessment_duration_seconds": Description(
            "gauge", "CPU seconds that the latest assessment of the fleet took"
        ),
        "points_total": Description(
            "counter",
            "Points for InfluxDB by fate: produced = written + spooled + rejected + dropped at "
            "any moment; spooled is what waits now and is the one fate that falls again",
            ("fate",),
        ),
        "spool_bytes": Description("gauge", "Compressed bytes that wait for InfluxDB"),
        "spool_oldest_timestamp_seconds": Description(
            "gauge", "Unix time of the oldest batch that waits; absent while none does"
        ),
        "spool_limit_bytes": Description(
            "gauge", "Compressed bytes that may wait; beyond them points are dropped"
        ),
        "spool_longest_seconds": Description(
            "gauge", "Age at which points on disk are dropped; absent without a queue on disk"
        ),
        "spool_durable": Description(
            "gauge",
            "1 while what waits is on disk, 0 while the disk cannot be written and it waits in "
            "memory; absent without a queue on disk",
        ),
        "database_spool_ratio": Description(
            "gauge",
            "Share of its queue's limit that waits for the database of a project; that of all "
            "other sites has no project. Absent where no project has a database of its own",
            ("project",),
        ),
        "database_spool_oldest_timestamp_seconds": Description(
            "gauge",
            "Unix time of the oldest batch that waits for that database; absent while none does",
            ("project",),
        ),
        "influxdb_writes_total": Description("counter", "Batches sent to InfluxDB"),
        "influxdb_errors_total": Description(
            "counter", "Batches or requests that InfluxDB did not accept"
        ),
        "rollup_last_success_timestamp_seconds": Description(
            "gauge",
            "Unix time at which the roll-ups were last brought up to date, at first that of the"
            " start; absent without roll-ups",
        ),
        "clock_steps_total": Description(
            "counter", "Steps of the system clock by a second or more"
        ),
        "config_last_reload_successful": Description(
            "gauge", "1 if the fleet file now on disk is in force, 0 if it was refused"
        ),
        "config_last_reload_success_timestamp_seconds": Description(
            "gauge", "Unix time at which the fleet file in force was taken"
        ),
        "access_config_last_reload_successful": Description(
            "gauge",
            "1 if the web_config or site_secrets file now on disk is in force, 0 if it was refused;"
            " absent where none is named",
            ("file",),
        ),
        "page_info": Description(
            "gauge", "Address of the page as a browser reaches it; always 1", ("url",)
        ),
        "plant_power_watts": Description(
            "gauge",
            "Of the sites of a project that take orders: battery power now (positive when "
            "charging), what they could give (up) and take (down) more than now within all "
            "limits, and the same as contracted",
            ("project", "kind"),
        ),
        "plant_energy_joules": Description(
            "gauge",
            "Of these sites: energy above the floor and below the ceiling of their state of "
            "charge, and usable between both",
            ("project", "kind"),
        ),
        "plant_soc_ratio": Description(
            "gauge", "Their state of charge, weighted by usable energy", ("project",)
        ),
        "plant_sites": Description(
            "gauge",
            "Sites of a project that take orders, and those that answer",
            ("project", "kind"),
        ),
        "orders_total": Description(
            "counter", "Rows of the journal of orders since the start, by state", ("state",)
        ),
        "order_limits_total": Description(
            "counter",
            "Orders since the start that a limit lowered or refused, by its code",
            ("reason",),
        ),
        "order_response_seconds_total": Description(
            "counter",
            "Seconds from a set-point sent to a battery that follows, summed over effective orders",
        ),
        "order_power_watts": Description(
            "gauge",
            "Battery power of the order at a site, positive when charging: wanted, allowed by "
            "limits, and measured; absent without one",
            ("site", "kind"),
        ),
        "order_info": Description(
            "gauge",
            "The order at a site: what it asks for, who thought of it, and its state; always 1",
            ("site", "action", "source", "state"),
        ),
        "order_expires_timestamp_seconds": Description(
            "gauge", "Unix time at which the order at a site ends", ("site",)
        ),
        "order_write_age_seconds": Description(
            "gauge", "Time since the set-point of the order at a site was written last", ("site",)
        ),
        "order_reversion_seconds": Description(
            "gauge",
            "Time after which the device falls back by itself; absent where it does not",
            ("site",),
        ),
        "order_release_owed_timestamp_seconds": Description(
            "gauge",
            "Unix time since which a site is to be released and is not known to be; absent "
            "otherwise",
            ("site",),
        ),
        "order_persistent_end_timestamp_seconds": Description(
            "gauge",
            "Unix time at which the order ends, or ended, whose set-point no lease of the device "
            "ends; 0 without one; only sites with dispatch.allow_persistent",
            ("site",),
        ),
        "orders_in_force": Description(
            "gauge", "Sites at which an order was sent and is not known to be released"
        ),
        "site_foreign_setpoint_watts": Description(
            "gauge",
            "Set-point in force at a site that takes orders, without an order of this exporter",
            ("site",),
        ),
        "dispatch_mode": Description(
            "gauge", "State set of FLEETSCOPE_DISPATCH: 1 for off, dry or on", ("mode",)
        ),
        "dispatch_journal_writable": Description(
            "gauge", "1 while the journal of orders can be written; absent without one"
        ),
        "dispatch_writes_total": Description(
            "counter", "Writes and releases that were sent to devices since the start"
        ),
        "energy_cache_hit_ratio": Description(
            "gauge",
            "Share of the energy accounts of the last 48 hours that were kept from an earlier "
            "request, since the start; absent before the first",
        ),
        "build_info": Description("gauge", "Version of the exporter; always 1", ("version",)),
    }
)
