"""Alerts on single cells."""

from __future__ import annotations

from provisioning.prometheus.alert import Alert
from scoring.rules import CELL_FINDING

REMARK = """\
Alerts on single cells, from the hourly analysis of their stored history; docs/cells.md says what
it finds. The figures stay the same for an hour and are gone for some minutes after a restart of
the exporter, which keep_firing_for outlasts."""

ALERTS = (
    Alert(
        name="FleetscopeCellTrend",
        why="Only a trend that the analysis itself calls a warning: 0.5 % of the voltage a "
        "month, or the next limit within 30 days. At 0 days the limit is reached, and "
        "FleetscopeCellSpreadWarning and the findings on imbalance tell more.",
        expr='fleetscope_cell_forecast_seconds{millivolts="100"} / 86400 > 0\n'
        "and on (job, instance, site, pack, cell)\n"
        '  fleetscope_cell_finding{reason="trend",severity="warning"}',
        wait="30m",
        keep="2h",
        severity="ticket",
        scope="site",
        level="warning",
        cause="cell_trend",
        issue=CELL_FINDING.code,
        labels={"millivolts": ""},
        summary='{{ $labels.name }}: cell {{ reReplaceAll ".*/" "" $labels.pack }}/{{ '
        '$labels.cell }} reaches 100 mV in about {{ $value | printf "%.0f" }} days',
        description="Cell {{ $labels.cell }} of pack {{ $labels.pack }} at {{ $labels.name }} "
        "({{ $labels.site }}) leaves the median of its pack at rest steadily and is 100 mV "
        'off it in about {{ $value | printf "%.0f" }} days, if nothing changes.{{- with '
        'printf "fleetscope_cell_deviation_volts{instance=%q,site=%q,pack=%q,cell=%q} * '
        '1000" $labels.instance $labels.site $labels.pack $labels.cell | query }} It is {{ . '
        '| first | value | printf "%.0f" }} mV off now.{{ end }}',
        action="Let the battery balance at full charge; if the trend goes on, have the cell "
        "checked before then.",
        dashboard="cells",
    ),
    Alert(
        name="FleetscopeCellSuddenChange",
        expr="fleetscope_cell_deviation_volts * 1000\n"
        "and on (job, instance, site, pack, cell)\n"
        '  fleetscope_cell_finding{reason="sudden_change"}',
        wait="15m",
        keep="2h",
        severity="ticket",
        scope="site",
        level="warning",
        cause="cell_sudden_change",
        summary='{{ $labels.name }}: cell {{ reReplaceAll ".*/" "" $labels.pack }}/{{ '
        "$labels.cell }} changed from one rest to the next",
        description="Cell {{ $labels.cell }} of pack {{ $labels.pack }} at {{ $labels.name }} "
        "({{ $labels.site }}) jumped against its pack in the last seven days and stands {{ "
        '$value | printf "%+.0f" }} mV from the median at rest now.',
        action="Find out whether somebody worked on the pack; if not, have the cell, its "
        "connections and its sense wire checked this week.",
        dashboard="cells",
    ),
    Alert(
        name="FleetscopeCellAnalysisStale",
        expr="time() - fleetscope_cell_analysis_timestamp_seconds\n"
        "  > 3 * fleetscope_cell_analysis_interval_seconds",
        wait="15m",
        severity="ticket",
        scope="exporter",
        level="warning",
        cause="cell_analysis_stale",
        summary="Exporter {{ $labels.instance }} judges cells by old history",
        description="The last analysis of stored cells by {{ $labels.instance }} was {{ $value "
        "| humanizeDuration }} ago, three times as long as one takes. A cell that begins to "
        "drift would not be noticed.",
        action="Read the exporter's log for its analysis of cells; see whether InfluxDB answers.",
    ),
)
