"""Alerts on the exporter itself."""

from __future__ import annotations

from provisioning.prometheus.alert import Alert

REMARK = """\
Alerts on the exporter itself. Labels that Alertmanager works with: `severity` decides who hears
of it, `scope`, `cause` and `level` what hides what."""

ALERTS = (
    Alert(
        name="FleetscopeExporterDown",
        why="The absent half fires when the target itself has gone from targets/.",
        expr='up{job="fleetscope"} == 0 or absent(up{job="fleetscope"})',
        wait="2m",
        severity="page",
        scope="exporter",
        level="critical",
        cause="exporter_down",
        summary="{{ if $labels.instance }}Exporter {{ $labels.instance }} does not answer "
        "Prometheus{{ else }}Prometheus knows no Fleetscope exporter{{ end }}",
        description="{{ if $labels.instance }}Prometheus could not scrape the exporter {{ "
        "$labels.instance }} for 2 minutes (up = {{ $value }}).{{ else }}Prometheus has had "
        "no target in job {{ $labels.job }} for 2 minutes.{{ end }} Its sites are not being "
        "watched, and no other alert can fire for them until it is back.",
        action="Start the exporter again and read the last lines of its log.",
    ),
    Alert(
        name="FleetscopeShardMissing",
        why="Every shard gives the size of the whole fleet file. A shard that Prometheus does not "
        "even know as a target is missed by this alone.",
        expr="max(fleetscope_fleet_file_sites) - sum(fleetscope_fleet_sites) > 0",
        wait="5m",
        severity="page",
        scope="exporter",
        level="critical",
        cause="shard_missing",
        summary="{{ $value }} sites of the fleet file are polled by no exporter",
        description="The exporters that Prometheus reads poll {{ $value }} sites fewer than the "
        "fleet file has, for 5 minutes. Those sites are not being watched: a shard is down, is no "
        "target of Prometheus, or was given another count of shards than the others.",
        action="Start the shard again, or give every exporter the same count of shards.",
    ),
    Alert(
        name="FleetscopeAssessmentStale",
        expr="time() - fleetscope_assessment_timestamp_seconds > 60",
        wait="1m",
        severity="page",
        scope="exporter",
        level="critical",
        cause="assessment_stale",
        summary="Exporter {{ $labels.instance }} answers with old scores",
        description="What {{ $labels.instance }} exposes is {{ $value | humanizeDuration }} "
        "old. It answers Prometheus but has stopped judging its sites, so that nothing new "
        "would be noticed.",
        action="Read the exporter's log for an error that repeats, then restart it.",
    ),
    Alert(
        name="FleetscopeScrapeLoopLate",
        expr="fleetscope_scrape_loop_lag_seconds > 5",
        wait="5m",
        keep="5m",
        severity="ticket",
        scope="exporter",
        level="warning",
        cause="scrape_loop_late",
        summary="Exporter {{ $labels.instance }} polls its sites late",
        description="Scrapes of {{ $labels.instance }} have started up to {{ $value | "
        "humanizeDuration }} behind their time for 5 minutes. Readings are older than they "
        "look, and sites may be called offline that are not.",
        action="Check CPU and memory of its machine; share the fleet out over more exporters.",
    ),
    Alert(
        name="FleetscopePointsRejected",
        why="The window is longer than `for`, so that one rejected batch is reported once and then "
        "ends.",
        expr='increase(fleetscope_points_total{fate="rejected"}[15m]) > 0',
        wait="1m",
        severity="ticket",
        scope="exporter",
        level="warning",
        cause="points_rejected",
        summary="InfluxDB refuses points of {{ $labels.instance }}",
        description='InfluxDB has rejected about {{ $value | printf "%.0f" }} points of {{ '
        "$labels.instance }} in the last 15 minutes. They are lost to the history; scores "
        "and alerts are not touched.",
        action="Read the reason that InfluxDB gives in the exporter's log; a change of a "
        "field's type is the usual one.",
    ),
    Alert(
        name="FleetscopePointsDropped",
        expr='increase(fleetscope_points_total{fate="dropped"}[15m]) > 0',
        wait="1m",
        severity="page",
        scope="exporter",
        level="critical",
        cause="influxdb",
        summary="Exporter {{ $labels.instance }} drops points",
        description="The queue of {{ $labels.instance }} is full and has dropped about {{ "
        '$value | printf "%.0f" }} points in the last 15 minutes. They are lost to the '
        "history, and more will be until InfluxDB accepts points again.",
        action="Get InfluxDB to accept points again; raise FLEETSCOPE_QUEUE_DISK_MEGABYTES if "
        "that takes long.",
    ),
    Alert(
        name="FleetscopeSpoolFilling",
        why="Half of what may wait, or half of the time that it may, before points are dropped.",
        expr="fleetscope_spool_bytes\n"
        "and (\n"
        "  fleetscope_spool_bytes > 0.5 * fleetscope_spool_limit_bytes\n"
        "  or time() - fleetscope_spool_oldest_timestamp_seconds\n"
        "    > 0.5 * fleetscope_spool_longest_seconds\n"
        "  or max by (job, instance) (fleetscope_database_spool_ratio) > 0.5\n"
        ")",
        wait="5m",
        keep="5m",
        severity="page",
        scope="exporter",
        level="critical",
        cause="influxdb",
        summary="Points of {{ $labels.instance }} pile up",
        description="{{ $value | humanize1024 }}B of points wait on {{ $labels.instance }} for "
        'InfluxDB.{{- with printf "time() - '
        'fleetscope_spool_oldest_timestamp_seconds{instance=%q}" $labels.instance | query }} '
        "The oldest has waited {{ . | first | value | humanizeDuration }}.{{ end }} That is "
        "more than half of the bytes or of the time that may wait; beyond them points are "
        "dropped.",
        action="Check that InfluxDB runs, has disk space and answers in good time.",
    ),
    Alert(
        name="FleetscopeSpoolDiskFailing",
        expr="fleetscope_spool_durable == 0",
        wait="1m",
        keep="2m",
        severity="ticket",
        scope="exporter",
        level="warning",
        cause="spool_disk",
        summary="Exporter {{ $labels.instance }} cannot write its queue to disk",
        description="The disk of {{ $labels.instance }}'s queue is full, read-only or broken "
        "(durable = {{ $value }}). Polling, scores and alerts go on, and points are sent "
        "from memory; those that wait there are lost if the exporter ends.",
        action="Free space in FLEETSCOPE_QUEUE_DIR or mend its disk; do not restart the exporter.",
    ),
    Alert(
        name="FleetscopeWriteFailing",
        why="Failed attempts come at least once a minute, so that a lasting failure is in "
        "every 2 minutes.",
        expr="increase(fleetscope_influxdb_errors_total[2m]) > 0",
        wait="5m",
        keep="2m",
        severity="ticket",
        scope="exporter",
        level="warning",
        cause="influxdb",
        summary="Writing of {{ $labels.instance }} to InfluxDB fails",
        description='InfluxDB has not accepted about {{ $value | printf "%.0f" }} batches or '
        "requests of {{ $labels.instance }} in the last 2 minutes, and so it has gone for 5. "
        "Points wait in its queue and nothing is lost yet; dashboards show a gap meanwhile.",
        action="Read the reason in the exporter's log: InfluxDB away, credentials refused, or "
        "too slow.",
    ),
    Alert(
        name="FleetscopeRollupsBehind",
        why="A database that does not accept anything has an alert of its own.",
        expr="time() - fleetscope_rollup_last_success_timestamp_seconds > 900\n"
        "and on (job, instance) increase(fleetscope_influxdb_errors_total[10m]) == 0",
        wait="5m",
        severity="ticket",
        scope="exporter",
        level="warning",
        cause="rollups",
        summary="Roll-ups of {{ $labels.instance }} stand still",
        description="{{ $labels.instance }} has not brought its roll-ups up to date for {{ "
        "$value | humanizeDuration }}. Readings, scores and alerts go on; plots of more than "
        "two days end there, and are filled in once it goes on.",
        action="Read the reason in the exporter's log, and see whether InfluxDB answers queries.",
    ),
    Alert(
        name="FleetscopeConfigReloadFailed",
        expr="fleetscope_config_last_reload_successful == 0",
        wait="2m",
        severity="ticket",
        scope="exporter",
        level="warning",
        cause="config_reload",
        summary="The fleet file of {{ $labels.instance }} was refused",
        description="The fleet file on disk has mistakes (reload successful = {{ $value }}), "
        'so that {{ $labels.instance }} goes on with the one before.{{- with printf "time() '
        '- fleetscope_config_last_reload_success_timestamp_seconds{instance=%q}" '
        "$labels.instance | query }} That was taken {{ . | first | value | humanizeDuration "
        "}} ago.{{ end }}",
        action="Run fleetscope check-config on the file; it names every mistake with its place.",
    ),
    Alert(
        name="FleetscopeAccessConfigRefused",
        expr="fleetscope_access_config_last_reload_successful == 0",
        wait="2m",
        severity="ticket",
        scope="exporter",
        level="warning",
        cause="access_config",
        summary="The {{ $labels.file }} file of {{ $labels.instance }} was refused",
        description="What is on disk as {{ $labels.file }} has mistakes (reload successful = "
        "{{ $value }}), so that {{ $labels.instance }} goes on with the one before. Users, "
        "passwords or certificates that were changed in it are not in force.",
        action="Read the exporter's log; it names every mistake once, without any secret.",
    ),
)
