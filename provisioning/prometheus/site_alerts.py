"""Alerts on the state of a site and on its grid."""

from __future__ import annotations

from provisioning.prometheus.alert import (
    EACH_SITE,
    NOT_IN_MAINTENANCE,
    Alert,
    limit_sentence,
    queried,
    shown,
    value_of,
    while_issue,
    worst_of_series,
)
from provisioning.prometheus.site_records import BEYOND, UNWELL
from scoring.outliers import THRESHOLD
from scoring.rule import Rule
from scoring.rules import (
    DEVICE_ALARM,
    GRID_FREQUENCY,
    GRID_LOST,
    GRID_VOLTAGE,
    SCRAPES_FAILING,
    SITE_OFFLINE,
)

_SITE = "{{ $labels.name }} ({{ $labels.site }})"
_SCORE = "fleetscope_site_health_score"
_MOST_FAIL = f'fleetscope_site_issue{{code="{SCRAPES_FAILING.code}",severity="warning"}}'
_WORST_SCORE = worst_of_series(_SCORE, "min", 'printf "score %.0f"')
_LIMIT = queried("fleetscope_site_issue_threshold{}", ("instance", "site", "code"))


def _worst_of_band(rule: Rule) -> str:
    """The farthest value of the last hour, on the side of the band that the alert is on."""
    series = queried(
        "%s_over_time(fleetscope_site_issue_value{}[1h])", ("instance", "site", "code")
    ).replace("$labels.instance", "$far $labels.instance")
    return (
        f'{{{{ $far := "max" }}}}{{{{ {_LIMIT} }}}}{{{{ if lt $value (. | first | value) }}}}'
        f'{{{{ $far = "min" }}}}{{{{ end }}}}{{{{ end }}}}{{{{ {series} }}}}'
        f"{{{{ . | first | value | {shown(rule)} }}}} in the last hour{{{{ end }}}}"
    )


def _issues(each: str) -> str:
    """The issues of the site but those for information, by a template for each."""
    return (
        '{{- with printf "fleetscope_site_issue{instance=%q,site=%q,severity!=%q}" '
        '$labels.instance $labels.site "info" | query | sortByLabel "code" }} Issues:'
        "{{- range $i, $issue := . }}{{ if $i }},{{ end }} " + each + "{{ end }}.{{- end }}"
    )


REMARK = """\
Alerts on the state of a site and on its grid.
`keep_firing_for` outlasts a restart of the exporter and a site that flaps;
tests/rules/test_rules.py has the order in which alerts that hold each other back must begin and
end."""

ALERTS = (
    Alert(
        name="FleetscopeSiteOffline",
        why="A site whose link lets few scrapes through comes and goes all day: that has an alert "
        "of its own, until the site stays away.",
        expr=f'{UNWELL}{{status="OFFLINE"}}\nunless {EACH_SITE} {_MOST_FAIL}',
        wait="1m",
        keep="5m",
        severity="page",
        scope="site",
        level="critical",
        cause="offline",
        issue=SITE_OFFLINE.code,
        labels={"status": ""},
        summary="{{ $labels.name }} is offline",
        description=f"{_SITE} has been offline for at least 1 minute.{{{{- "
        f"{queried('time() - fleetscope_site_last_success_timestamp_seconds{}')} }}}} It last "
        "answered {{ . | first | value | humanizeDuration }} ago.{{ else }} It has not answered "
        "since the exporter started.{{ end }}",
        action=SITE_OFFLINE.action,
    ),
    Alert(
        name="FleetscopeLinkFailing",
        expr=while_issue(value_of(SCRAPES_FAILING), SCRAPES_FAILING, "warning"),
        wait="1h",
        keep="15m",
        severity="ticket",
        scope="site",
        level="warning",
        cause=SCRAPES_FAILING.code,
        summary="The link of {{ $labels.name }} comes and goes: "
        "{{ $value | humanizePercentage }} of the scrapes worked",
        description=f"For an hour about half of the scrapes of {_SITE} or more have failed; "
        "{{ $value | humanizePercentage }} of those of the last hour worked. While that lasts, its "
        "being away pages nobody before it is half an hour, or 24 intervals.",
        action=SCRAPES_FAILING.action,
    ),
    Alert(
        name="FleetscopeSiteCritical",
        why="Held back where an alert on the critical issue itself is there, which comes before "
        "this one and stays longer.",
        expr=f'{_SCORE}\nand {EACH_SITE} {UNWELL}{{status="CRITICAL"}}',
        wait="5m",
        keep="2m",
        severity="page",
        scope="site",
        level="critical",
        cause="score",
        summary='{{ $labels.name }} is critical, score {{ $value | printf "%.0f" }} of 100',
        description=f'{_SITE} has scored {{{{ $value | printf "%.0f" }}}} of 100 and has been '
        "CRITICAL for at least 5 minutes."
        + _issues("{{ $issue.Labels.code }} ({{ $issue.Labels.severity }})"),
        action="Open the site's dashboard and follow the action of its worst issue.",
        worst=_WORST_SCORE,
    ),
    Alert(
        name="FleetscopeSiteWarning",
        why="Held back where the issue behind it, or the score being critical, has an alert of its "
        "own.",
        expr=f'{_SCORE}\nand {EACH_SITE} {UNWELL}{{status=~"WARNING|CRITICAL"}}',
        wait="4h",
        keep="2m",
        severity="ticket",
        scope="site",
        level="warning",
        cause="score",
        summary="{{ $labels.name }} has been in WARNING for 4 hours, score "
        '{{ $value | printf "%.0f" }} of 100',
        description=f'{_SITE} has scored {{{{ $value | printf "%.0f" }}}} of 100 and has not been '
        "better than WARNING for 4 hours." + _issues("{{ $issue.Labels.code }}"),
        action="Open the site's dashboard and follow the action of its worst issue.",
        worst=_WORST_SCORE,
    ),
    Alert(
        name="FleetscopeGridLost",
        expr=f'fleetscope_site_issue{{code="{GRID_LOST.code}"}}',
        wait="2m",
        keep="5m",
        severity="page",
        scope="site",
        level="critical",
        cause=GRID_LOST.code,
        summary="{{ $labels.name }} has lost the grid",
        description=f"{_SITE} has had no grid at its AC input for 2 minutes and lives on its "
        f"battery.{{{{- {queried('fleetscope_battery_soc_ratio{}')} }}}} Its charge is "
        "{{ . | first | value | humanizePercentage }}.{{ end }}",
        action=GRID_LOST.action,
    ),
    Alert(
        name="FleetscopeGridFrequencyOutOfBand",
        expr=value_of(GRID_FREQUENCY),
        wait="5m",
        keep="5m",
        severity="ticket",
        scope="site",
        level="warning",
        cause=GRID_FREQUENCY.code,
        summary='Grid frequency at {{ $labels.name }} is {{ $value | printf "%.2f" }} Hz',
        description=f'Grid frequency at {_SITE} is {{{{ $value | printf "%.2f" }}}} Hz; it left '
        "its band at least 5 minutes ago and has not come back to stay."
        f"{limit_sentence(GRID_FREQUENCY)}",
        action=GRID_FREQUENCY.action,
        worst=_worst_of_band(GRID_FREQUENCY),
    ),
    Alert(
        name="FleetscopeGridVoltageOutOfBand",
        expr=value_of(GRID_VOLTAGE),
        wait="10m",
        keep="10m",
        severity="ticket",
        scope="site",
        level="warning",
        cause=GRID_VOLTAGE.code,
        summary='Grid voltage at {{ $labels.name }} is {{ $value | printf "%.0f" }} V',
        description=f'A phase of the grid at {_SITE} is at {{{{ $value | printf "%.0f" }}}} V; it '
        "left its band at least 10 minutes ago and has not come back to stay."
        f"{limit_sentence(GRID_VOLTAGE)}",
        action=GRID_VOLTAGE.action,
        worst=_worst_of_band(GRID_VOLTAGE),
    ),
    Alert(
        name="FleetscopeDeviceAlarm",
        expr=f'fleetscope_site_issue{{code="{DEVICE_ALARM.code}"}}',
        wait="4m",
        keep="4m",
        severity="page",
        scope="site",
        level="critical",
        cause=DEVICE_ALARM.code,
        summary="{{ $labels.name }}: {{ "
        + queried("fleetscope_device_alarm_level{} == 2")
        + ' | sortByLabel "alarm" }}{{ range $i, $a := . }}{{ if $i }}, {{ end }}'
        "{{ $a.Labels.device }} reports {{ $a.Labels.alarm }}{{ end }}{{ else }}a device reports "
        "an alarm{{ end }}",
        description=f"A device at {_SITE} has reported an alarm (level 2) for 4 minutes.{{{{- "
        f"{queried(_SCORE + '{}')} }}}} The site scores "
        '{{ . | first | value | printf "%.0f" }} of 100.{{ end }}',
        action=DEVICE_ALARM.action,
    ),
    Alert(
        name="FleetscopeSiteOutlier",
        why="In the bad direction only: hotter, wider apart, more aged, less PV.",
        expr=BEYOND,
        # A healthy site can be one.
        info=NOT_IN_MAINTENANCE,
        wait="6h",
        keep="1h",
        severity="info",
        scope="site",
        level="info",
        cause="outlier",
        summary="{{ $labels.name }} has been out of line with its peers for 6 hours "
        "({{ $labels.metric }})",
        description="The {{ $labels.metric }} of "
        f"{_SITE} has been worse than that of comparable sites for 6 hours: robust z score "
        f'{{{{ $value | printf "%.1f" }}}}, where beyond {THRESHOLD:g} either way is an outlier.',
        action="Compare it with its peers; what sets it apart is often a fault in the making.",
        dashboard="compare",
    ),
)
