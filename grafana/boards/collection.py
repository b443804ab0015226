"""System · Collection: the exporter itself, from scraping to storing."""

from __future__ import annotations

from grafana_foundation_sdk.builders import stat, statetimeline, table, timeseries
from grafana_foundation_sdk.builders.dashboard import Dashboard

from exporter.store.queue import Fate
from grafana.boards.energy_home import kept_accounts
from grafana.boards.shared import all_well
from grafana.kit import look
from grafana.kit.dashboard import collapsed, dashboard
from grafana.kit.panels import AnyPanel, Spec, colour, lines, tiles, timeline
from grafana.kit.queries import ON_SITE, Target, never_empty, prom, prom_now, prom_table
from grafana.kit.tables import Column, listing, ordered, site_column
from scoring.status import Status

RATE = "[$__rate_interval]"
DOWN = "No exporter answers Prometheus"
JOB = '{job="fleetscope"}'
_GOOD, _BAD = look.STATUS_COLOURS[Status.HEALTHY], look.SEVERITY_COLOURS["critical"]
FATE_COLOURS = {
    Fate.PRODUCED: look.SECOND,
    Fate.WRITTEN: _GOOD,
    Fate.SPOOLED: look.ACCENT,
    Fate.REJECTED: look.SEVERITY_COLOURS["warning"],
    Fate.DROPPED: _BAD,
}


def build() -> Dashboard:
    """The dashboard."""
    made = dashboard("fleetscope-collection")
    for panel in _tiles():
        made.with_panel(panel)
    made.with_panel(_outcomes()).with_panel(_points())
    made.with_panel(_failing()).with_panel(_slowest())
    collapsed(made, "Asking the sites", [_durations(), _lag()])
    storing: list[AnyPanel] = [
        *(_spool(), _writes(), _lost(), _room()),
        *(_projects(), _durable(), _rollups()),
    ]
    collapsed(made, "Storing the points", storing)
    process: list[AnyPanel] = [_cpu(), _memory(), _judging(), _reloads(), _clock(), _scraped()]
    process.append(kept_accounts())
    collapsed(made, "The process", process)
    return made


def _tiles() -> list[stat.Panel]:
    def one(
        title: str, description: str, expr: str, unit: str = look.NUMBER, **more: object
    ) -> stat.Panel:
        spec = Spec(
            title=title,
            description=description,
            unit=unit,
            targets=[prom_now(expr, title)],
            **{"size": (6, 3), "empty": DOWN, "low": 0, "colour": look.by_threshold()} | more,  # type: ignore[arg-type]
        )
        return tiles(spec, background=True, small=True)

    neutral = look.limits(look.FINE)
    bad = look.limits(look.FINE, (1, _BAD))
    return [
        one(
            "Down",
            "Exporters that Prometheus has as a target and cannot scrape.",
            f"count(up{JOB}) - sum(up{JOB})",
            thresholds=bad,
        ),
        one(
            "Answering",
            "Share of all sites whose latest scrape gave readings.",
            "sum(fleetscope_site_up) / sum(fleetscope_fleet_sites)",
            look.RATIO,
            high=1,
            decimals=1,
            thresholds=neutral,
        ),
        one(
            "Loop lag",
            "Longest delay of a scrape behind its time in the last minute or two; some seconds "
            "mean that the exporter cannot keep up.",
            "max(fleetscope_scrape_loop_lag_seconds)",
            look.SECONDS,
            decimals=2,
            thresholds=look.limits(look.FINE, (2, look.SEVERITY_COLOURS["warning"]), (10, _BAD)),
        ),
        one(
            "Figures",
            "Age of the figures that the site metrics show.",
            "time() - min(fleetscope_assessment_timestamp_seconds)",
            look.SECONDS,
            decimals=0,
            thresholds=look.limits(look.FINE, (60, look.SEVERITY_COLOURS["warning"]), (300, _BAD)),
        ),
        one(
            "Backlog",
            "Age of the oldest batch that waits for InfluxDB.",
            "time() - min(fleetscope_spool_oldest_timestamp_seconds)",
            look.SECONDS,
            decimals=0,
            empty="None waits",
            thresholds=look.limits(look.FINE, (60, look.SEVERITY_COLOURS["warning"]), (600, _BAD)),
        ),
        one(
            "Points lost",
            "Points that InfluxDB rejected or that were dropped in the time range.",
            'sum(increase(fleetscope_points_total{fate=~"rejected|dropped"}[$__range]))',
            decimals=0,
            thresholds=bad,
        ),
        one(
            "Fleet file",
            "Whether the fleet file on disk is in force at every exporter, or was refused.",
            "min(fleetscope_config_last_reload_successful)",
            mappings=look.yes_no("In force", "Refused"),
            thresholds=neutral,
        ),
        _versions(),
    ]


def _versions() -> stat.Panel:
    spec = Spec(
        title="Version",
        description="Versions of the exporter that run; more than one means that they differ.",
        size=(6, 3),
        unit=look.NUMBER,
        empty=DOWN,
        colour=look.fixed("text"),
        targets=[prom_now("count by (version) (fleetscope_build_info)", "{{version}}")],
    )
    return tiles(spec, names=True, small=True)


def _outcomes() -> timeseries.Panel:
    spec = Spec(
        title="Scrapes by outcome",
        description="Scrapes a second of all sites by how they ended.",
        size=(12, 8),
        unit=look.PER_SECOND,
        empty=DOWN,
        low=0,
        colour=look.by_series(),
        targets=[
            prom(f"sum by (outcome) (rate(fleetscope_site_scrapes_total{RATE}))", "{{outcome}}")
        ],
        overrides={o.value: colour(c) for o, c in look.OUTCOME_COLOURS.items()},
    )
    return lines(spec, stacked=True, fill=60)


def _durations() -> timeseries.Panel:
    metric = "fleetscope_site_scrape_duration_seconds"
    spec = Spec(
        title="Scrape durations",
        description="Of the latest scrape of every site: median, the slowest twentieth, slowest.",
        size=(12, 8),
        unit=look.SECONDS,
        empty=DOWN,
        low=0,
        targets=[
            prom(f"quantile(0.5, {metric})", "Median", "A"),
            prom(f"quantile(0.95, {metric})", "95 of 100 are below", "B"),
            prom(f"max({metric})", "Slowest", "C"),
        ],
        overrides={
            "Median": colour(look.ACCENT),
            "95 of 100 are below": colour(look.FLOWS["Load"]),
            "Slowest": colour(look.SECOND),
        },
    )
    return lines(spec)


def _lag() -> timeseries.Panel:
    spec = Spec(
        title="Lag and turns left out",
        description="Delay of the scrape loop in seconds, and on the right the turns a second that "
        "were left out because the scrape before had not ended.",
        size=(12, 8),
        unit=look.SECONDS,
        empty=DOWN,
        low=0,
        targets=[
            prom("max(fleetscope_scrape_loop_lag_seconds)", "Lag", "A"),
            prom(f"sum(rate(fleetscope_scrapes_skipped_total{RATE}))", "Left out", "B"),
        ],
        overrides={
            "Lag": colour(look.ACCENT),
            "Left out": colour(look.SEVERITY_COLOURS["warning"])
            | {"unit": look.PER_SECOND, "custom.axisPlacement": "right"},
        },
    )
    return lines(spec)


def _named(expr: str) -> str:
    return f"({expr}) * {ON_SITE} group_left (name) fleetscope_site_info"


def _slowest() -> table.Panel:
    query = _named("topk(12, fleetscope_site_scrape_duration_seconds)")
    spec = Spec(
        title="Slowest sites",
        description="The sites whose latest scrape took longest.",
        size=(12, 8),
        unit=look.NUMBER,
        empty=DOWN,
        targets=[
            prom_table(never_empty(f"max by (site, name) ({query})", {"name": DOWN, "site": "-"}))
        ],
        transformations=[ordered("Value", descending=True)],
    )
    took = Column("Value", "Took", 90, look.SECONDS, 2)
    return listing(spec, [*site_column(), took], drop=["Time"])


def _failing() -> table.Panel:
    failed = (
        "topk(15, sum by (job, instance, site, outcome) "
        '(increase(fleetscope_site_scrapes_total{outcome!="ok"}[$__range])) > 0)'
    )
    implausible = "topk(15, increase(fleetscope_site_implausible_readings_total[$__range]) > 0)"
    named = _named(failed)
    strange = f'label_replace({_named(implausible)}, "outcome", "implausible", "", "")'
    changed = "topk(15, increase(fleetscope_site_way_changes_total[$__range]) > 0)"
    now_over = f"{changed} * {ON_SITE} group_left (way) fleetscope_site_way_in"
    moved = '"outcome", "way in changed, now $1", "way", "(.*)"'
    other_way = f"label_replace({_named(now_over)}, {moved})"
    found = f"{named} or {strange} or {other_way} or on () {all_well('Every scrape went well')}"
    nothing = {"name": DOWN, "site": "-", "outcome": "-"}
    spec = Spec(
        title="Sites that fail",
        description="Scrapes in the time range that did not end well, by site and outcome, and "
        "values outside physics that were kept out. A site with several ways in that was read over "
        "another one stands here with the one in use.",
        size=(12, 8),
        unit=look.NUMBER,
        empty=DOWN,
        targets=[prom_table(never_empty(f"max by (site, name, outcome) ({found})", nothing))],
        transformations=[ordered("Value", descending=True)],
    )
    return listing(
        spec,
        [
            *site_column(),
            Column("outcome", "Outcome"),
            Column("Value", "Times", 72, decimals=0),
        ],
        drop=["Time"],
    )


def _points() -> timeseries.Panel:
    fates = (Fate.PRODUCED, Fate.WRITTEN, Fate.REJECTED, Fate.DROPPED)
    targets: list[Target] = [
        prom(
            f'sum(rate(fleetscope_points_total{{fate="{fate.value}"}}{RATE}))',
            fate.value.capitalize(),
            ref,
        )
        for ref, fate in zip("ABCD", fates, strict=True)
    ]
    spec = Spec(
        title="Points by fate",
        description="Points a second: made for InfluxDB, accepted by it, rejected by it, dropped "
        "for want of room. Written follows produced unless InfluxDB is away.",
        size=(12, 8),
        unit=look.PER_SECOND,
        empty=DOWN,
        low=0,
        targets=targets,
        overrides={f.value.capitalize(): colour(FATE_COLOURS[f]) for f in fates},
    )
    return lines(spec)


def _spool() -> timeseries.Panel:
    spec = Spec(
        title="Waiting for InfluxDB",
        description="Points that wait now, and on the right their compressed bytes. They are "
        "written as soon as InfluxDB accepts them.",
        size=(12, 8),
        unit=look.NUMBER,
        empty=DOWN,
        low=0,
        targets=[
            prom('sum(fleetscope_points_total{fate="spooled"})', "Points", "A"),
            prom("sum(fleetscope_spool_bytes)", "Bytes", "B"),
        ],
        overrides={
            "Points": colour(FATE_COLOURS[Fate.SPOOLED]),
            "Bytes": colour(look.SECOND)
            | {"unit": look.BYTES, "custom.axisPlacement": "right", "min": 0},
        },
    )
    return lines(spec, fill=10)


def _writes() -> timeseries.Panel:
    spec = Spec(
        title="Writes and errors",
        description="Batches a second that were sent to InfluxDB, and batches or requests that it "
        "did not accept.",
        size=(12, 8),
        unit=look.PER_SECOND,
        empty=DOWN,
        low=0,
        targets=[
            prom(f"sum(rate(fleetscope_influxdb_writes_total{RATE}))", "Sent", "A"),
            prom(f"sum(rate(fleetscope_influxdb_errors_total{RATE}))", "Not accepted", "B"),
        ],
        overrides={"Sent": colour(look.ACCENT), "Not accepted": colour(_BAD)},
    )
    return lines(spec)


def _lost() -> timeseries.Panel:
    settled = 'fleetscope_points_total{fate=~"written|rejected|dropped|spooled"}'
    spec = Spec(
        title="Points unaccounted for",
        description="Produced less written, waiting, rejected and dropped. It is 0 at any moment; "
        "anything else is a bug in the exporter.",
        size=(12, 8),
        unit=look.NUMBER,
        empty=DOWN,
        targets=[
            prom(
                f'sum(fleetscope_points_total{{fate="produced"}}) - sum({settled})',
                "Unaccounted for",
            )
        ],
        overrides={"Unaccounted for": colour(_BAD)},
    )
    return lines(spec, soft=(-1, 1), legend_shown=False)


def _room() -> timeseries.Panel:
    age = "time() - fleetscope_spool_oldest_timestamp_seconds"
    spec = Spec(
        title="Room in the queue",
        description="Share of the bytes that may wait for InfluxDB, and the age of the oldest "
        "batch as a share of the longest that it is kept on disk. At either end points are "
        "dropped.",
        size=(12, 8),
        unit=look.RATIO,
        empty=DOWN,
        low=0,
        targets=[
            prom("max(fleetscope_spool_bytes / fleetscope_spool_limit_bytes)", "Bytes", "A"),
            prom(f"max(({age}) / fleetscope_spool_longest_seconds)", "Age", "B"),
        ],
        overrides={"Bytes": colour(FATE_COLOURS[Fate.SPOOLED]), "Age": colour(look.SECOND)},
    )
    return lines(spec, soft=(0, 0.1))


def _projects() -> timeseries.Panel:
    age = "time() - fleetscope_database_spool_oldest_timestamp_seconds"
    kept = "max(fleetscope_spool_longest_seconds)"
    spec = Spec(
        title="Queues of projects",
        description="Of each project's own database: share of its queue's limit that waits, and, "
        "dashed, the age of the oldest batch as a share of the longest that is kept.",
        size=(12, 8),
        unit=look.RATIO,
        empty="No project has a database of its own, or the exporter is down",
        low=0,
        targets=[
            prom("max by (project) (fleetscope_database_spool_ratio)", "{{project}}", "A"),
            prom(f"max by (project) ({age}) / on () group_left () {kept}", "Age {{project}}", "B"),
        ],
        overrides={"/^Age/": look.DASHED},
    )
    return lines(spec, soft=(0, 0.1))


def _durable() -> statetimeline.Panel:
    spec = Spec(
        title="Where the queue is",
        description="On disk what waits for InfluxDB survives a restart; in memory it does not, "
        "because the disk cannot be written. Blank is an exporter without a queue on disk.",
        size=(12, 8),
        unit=look.NUMBER,
        empty="No exporter has a queue on disk",
        mappings=look.yes_no("On disk", "In memory"),
        targets=[prom("fleetscope_spool_durable", "{{instance}}")],
    )
    return timeline(spec)


def _rollups() -> timeseries.Panel:
    spec = Spec(
        title="Age of the roll-ups",
        description="Time since each exporter last brought its roll-ups up to date; less than a "
        "minute is usual. Plots of more than two days are read from them.",
        size=(12, 8),
        unit=look.SECONDS,
        empty="No exporter makes roll-ups",
        low=0,
        colour=look.by_pack(),
        targets=[prom("time() - fleetscope_rollup_last_success_timestamp_seconds", "{{instance}}")],
    )
    return lines(spec, soft=(0, 120))


def _cpu() -> timeseries.Panel:
    spec = Spec(
        title="CPU",
        description="Share of one core that each exporter uses.",
        size=(8, 7),
        unit=look.RATIO,
        empty=DOWN,
        low=0,
        colour=look.by_pack(),
        targets=[prom(f"rate(process_cpu_seconds_total{JOB}{RATE})", "{{instance}}")],
    )
    return lines(spec, soft=(0, 0.1))


def _memory() -> timeseries.Panel:
    spec = Spec(
        title="Memory",
        description="Resident memory of each exporter.",
        size=(8, 7),
        unit=look.BYTES,
        empty=DOWN,
        low=0,
        colour=look.by_pack(),
        targets=[prom(f"process_resident_memory_bytes{JOB}", "{{instance}}")],
    )
    return lines(spec)


def _judging() -> timeseries.Panel:
    spec = Spec(
        title="Assessment",
        description="CPU seconds that the latest assessment of the fleet took.",
        size=(8, 7),
        unit=look.SECONDS,
        empty=DOWN,
        low=0,
        colour=look.by_pack(),
        targets=[prom("fleetscope_assessment_duration_seconds", "{{instance}}")],
    )
    return lines(spec)


def _reloads() -> timeseries.Panel:
    spec = Spec(
        title="Age of the fleet file in force",
        description="Time since each exporter took its fleet file. It falls to 0 at a reload.",
        size=(8, 7),
        unit=look.SECONDS,
        empty=DOWN,
        low=0,
        colour=look.by_pack(),
        targets=[
            prom("time() - fleetscope_config_last_reload_success_timestamp_seconds", "{{instance}}")
        ],
    )
    return lines(spec)


def _clock() -> timeseries.Panel:
    spec = Spec(
        title="Steps of the clock",
        description="Steps of the system clock that the schedule was corrected for.",
        size=(8, 7),
        unit=look.NUMBER,
        empty=DOWN,
        low=0,
        decimals=0,
        colour=look.by_pack(),
        targets=[prom("fleetscope_clock_steps_total", "{{instance}}")],
    )
    return lines(spec, soft=(0, 2), steps=True)


def _scraped() -> timeseries.Panel:
    spec = Spec(
        title="Scrapes by Prometheus",
        description="How long Prometheus took to read each exporter's metrics. A gap is a time "
        "when it could not.",
        size=(8, 7),
        unit=look.SECONDS,
        empty=DOWN,
        low=0,
        colour=look.by_pack(),
        targets=[
            prom(
                f"scrape_duration_seconds{JOB} and up{JOB} == 1",
                "{{instance}}",
            )
        ],
    )
    return lines(spec)
