"""Colours, units and limits of all dashboards, each in one place and each with one meaning.

Limits come from the defaults that the scoring uses. A site that overrides one in the fleet file is
judged by its own; the lines that dashboards draw are the fleet's defaults.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping

from grafana_foundation_sdk.builders.dashboard import (
    DashboardSpecialValueMapOptions,
    FieldColor,
    ThresholdsConfig,
)
from grafana_foundation_sdk.models.dashboard import (
    DashboardRangeMapOptions,
    DashboardRegexMapOptions,
    FieldColorModeId,
    RangeMap,
    RegexMap,
    SpecialValueMap,
    SpecialValueMatch,
    Threshold,
    ThresholdsMode,
    ValueMap,
    ValueMapping,
    ValueMappingResult,
)

from exporter.assess.sentences import ALSO_ELSEWHERE
from exporter.config.thresholds import Thresholds
from exporter.model.orders import OrderState
from exporter.model.quantities import QUANTITIES, label
from exporter.model.snapshot import Outcome
from exporter.store.line_protocol import SEVERITY_LEVELS
from scoring.cells.soh import CLASS_EDGES, SohClass
from scoring.outliers import ODD_CODES, robust_scores
from scoring.rule import name_of
from scoring.rules import BATTERY_TEMPERATURE, CELL_WARMER_BY_C, RULES
from scoring.status import GOOD_FROM, HEALTHY_FROM, STATUSES, WARNING_FROM, Status

LIMITS = Thresholds()
_ROBUST = inspect.signature(robust_scores).parameters
OUTLIER_Z = float(_ROBUST["threshold"].default)
PEERS = int(_ROBUST["min_members"].default)

# Grafana writes white on a colour, or black on a bright one; either has a contrast of at least
# 4.5:1 on each of these. What pages is red: critical, and darker red for a site that is offline.
STATUS_COLOURS = {
    Status.HEALTHY: "#1f7a45",
    Status.GOOD: "#a6d96a",
    Status.WARNING: "#ffb357",
    Status.CRITICAL: "#d01f33",
    Status.OFFLINE: "#a1123a",
}
WORST_FIRST = (
    Status.OFFLINE,
    Status.CRITICAL,
    Status.WARNING,
    Status.GOOD,
    Status.HEALTHY,
)
SEVERITY_COLOURS = {
    "info": "#2f62b8",
    "warning": STATUS_COLOURS[Status.WARNING],
    "critical": STATUS_COLOURS[Status.CRITICAL],
}
# A cell further than this from the median of its pack is worth a look: half of the spread that
# warns, as a weak cell is on one side; for temperature the spread that the data sheets of LFP packs
# commonly allow.
CELL_VOLTS_OFF = LIMITS.cell_spread_warning / 2
CELL_SHARE_OFF = 0.015  # the same of a median of 3.3 V
CELL_CELSIUS_OFF = CELL_WARMER_BY_C
OUTLIER = STATUS_COLOURS[Status.WARNING]
FINE = "transparent"
ACCENT = "#5794f2"
SECOND = "#b0bec5"
FLOWS = {
    "PV": "#fade2a",
    "Grid import": "#5794f2",
    "Grid export": "#5794f2",
    "Battery discharge": "#22b8b0",
    "Battery charge": "#22b8b0",
    "Generator": "#8f6b4f",
    "Load": "#c15c9e",
}
DASHED = {"custom.lineStyle": {"fill": "dash", "dash": [6, 6]}, "custom.lineWidth": 1}
OUTCOME_COLOURS = {
    Outcome.OK: STATUS_COLOURS[Status.HEALTHY],
    Outcome.PARTIAL: STATUS_COLOURS[Status.WARNING],
    Outcome.TIMEOUT: "#c0392b",
    Outcome.REFUSED: "#5c6bc0",
    Outcome.DNS: "#795548",
    Outcome.TLS: "#ec407a",
    Outcome.HTTP_STATUS: "#00838f",
    Outcome.MALFORMED: "#9e9d24",
    Outcome.TRUNCATED: "#b0bec5",
}
# What went wrong is red, what ended before its time is orange, what is on its way is blue.
ORDER_COLOURS = {
    OrderState.DRAFTED: "#b0bec5",
    OrderState.AWAITING_APPROVAL: "#c8a415",
    OrderState.ACCEPTED: "#9fc3f7",
    OrderState.SENT: "#5794f2",
    OrderState.ACKNOWLEDGED: "#2f62b8",
    OrderState.EFFECTIVE: STATUS_COLOURS[Status.HEALTHY],
    OrderState.RELEASED: STATUS_COLOURS[Status.GOOD],
    OrderState.REFUSED: "#c0392b",
    OrderState.DRY: "#78909c",
    OrderState.EXPIRED: "#8f6b4f",
    OrderState.SUPERSEDED: "#5c6bc0",
    OrderState.CANCELLED: STATUS_COLOURS[Status.WARNING],
    OrderState.FAILED: STATUS_COLOURS[Status.CRITICAL],
    OrderState.INEFFECTIVE: STATUS_COLOURS[Status.OFFLINE],
}

# Grafana's names of units. Its own volt, ampere and hertz turn 0.120 V into 120 mV and the like;
# limits are in plain volts, so values are too.
UNITS = {
    "W": "watt",
    "Hz": "suffix: Hz",
    "V": "suffix: V",
    "A": "suffix: A",
    "Ah": "suffix: Ah",
    "kWh": "kwatth",
    "%": "percent",
    "°C": "celsius",
    "s": "s",
    "h": "suffix: h",
    "": "none",
}
NUMBER = "none"
SCORE = "none"
MONEY = "locale"
"""An amount in the currency of the contracts, which is named beside it."""
RATIO = "percentunit"
SECONDS = "s"
DAYS = "suffix: d"
BYTES = "bytes"
PER_SECOND = "suffix: /s"
AGO = "dateTimeFromNow"


def unit_of(quantity: str) -> str:
    """Grafana's unit for a field of ``site`` or ``battery``."""
    return UNITS[QUANTITIES[quantity].unit]


def label_of(quantity: str) -> str:
    """What a person calls a quantity, as a heading."""
    text = label(quantity)
    return text[0].upper() + text[1:]


def fixed(colour: str) -> FieldColor:
    """One colour for everything."""
    return FieldColor().mode(FieldColorModeId.FIXED).fixed_color(colour)


def by_threshold() -> FieldColor:
    """The colour of the limit that a value is beyond."""
    return FieldColor().mode(FieldColorModeId.THRESHOLDS)


def by_pack() -> FieldColor:
    """Shades of one colour, for the packs of one site."""
    return FieldColor().mode(FieldColorModeId.SHADES).fixed_color(ACCENT)


def by_series() -> FieldColor:
    """A colour for each series, where colours only distinguish series."""
    return FieldColor().mode(FieldColorModeId.PALETTE_CLASSIC)


def by_name() -> FieldColor:
    """A colour for each name, so that series that are called alike have the same."""
    return FieldColor().mode(FieldColorModeId.PALETTE_CLASSIC_BY_NAME)


def limits(base: str, *steps: tuple[float, str]) -> ThresholdsConfig:
    """``base`` below the first step, then the colour of each (value, colour), ascending."""
    made = [Threshold(None, base), *(Threshold(value, colour) for value, colour in steps)]
    return ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(made)


def score_limits() -> ThresholdsConfig:
    """Colours of scores: those of the status that begins there; a missing one has none."""
    return limits(
        FINE,
        (0, STATUS_COLOURS[Status.CRITICAL]),
        (WARNING_FROM, STATUS_COLOURS[Status.WARNING]),
        (GOOD_FROM, STATUS_COLOURS[Status.GOOD]),
        (HEALTHY_FROM, STATUS_COLOURS[Status.HEALTHY]),
    )


_WARNING, _CRITICAL = SEVERITY_COLOURS["warning"], SEVERITY_COLOURS["critical"]


def spread_limits(base: str = FINE) -> ThresholdsConfig:
    """Cell spread in volts."""
    return limits(
        base, (LIMITS.cell_spread_warning, _WARNING), (LIMITS.cell_spread_critical, _CRITICAL)
    )


def temperature_limits(base: str = FINE) -> ThresholdsConfig:
    """Battery temperature in degrees Celsius."""
    limit = LIMITS.temperature_max
    return limits(
        base, (limit, _WARNING), (limit + BATTERY_TEMPERATURE.levels[0].further, _CRITICAL)
    )


def soh_limits(base: str = FINE) -> ThresholdsConfig:
    """State of health as a ratio."""
    critical, warning = LIMITS.battery_soh_critical / 100, LIMITS.battery_soh_warning / 100
    return limits(base, (0, _CRITICAL), (critical, _WARNING), (warning, base))


def soh_classes() -> list[ValueMapping]:
    """Classes of a state of health in percent; a boundary is in the better one, which is first."""
    edges = [float("inf"), *reversed(CLASS_EDGES.tolist()), float("-inf")]
    names = [c.name.capitalize().replace("_", " ") for c in sorted(SohClass, reverse=True)]
    colours = [None, None, None, _WARNING, _WARNING, _CRITICAL, _CRITICAL]
    return [
        RangeMap(
            DashboardRangeMapOptions(
                from_val=None if math.isinf(low) else low,
                to=None if math.isinf(high) else high,
                result=ValueMappingResult(text=name, color=colour, index=place),
            )
        )
        for place, (high, low, name, colour) in enumerate(
            zip(edges[:-1], edges[1:], names[:7], colours, strict=True)
        )
    ]


def soc_limits(base: str = FINE) -> ThresholdsConfig:
    """State of charge as a ratio."""
    return limits(base, (0, _WARNING), (LIMITS.soc_critical / 100, base))


def outlier_limits() -> ThresholdsConfig:
    """Robust z, coloured beyond the threshold on either side."""
    return limits(OUTLIER, (-OUTLIER_Z, FINE), (OUTLIER_Z, OUTLIER))


def deviation_limits(most: float, fine: str = FINE, worst: float = math.inf) -> ThresholdsConfig:
    """Distance of a cell from the median of its pack, coloured beyond ``most`` either way, and as
    critical beyond ``worst``."""
    if math.isinf(worst):
        return limits(OUTLIER, (-most, fine), (most, OUTLIER))
    critical = STATUS_COLOURS[Status.CRITICAL]
    return limits(critical, (-worst, OUTLIER), (-most, fine), (most, OUTLIER), (worst, critical))


def extremes() -> dict[str, dict[str, object]]:
    """Overrides for a mean between its extremes and within the edges of a band."""
    faint = {"color": fixed(SECOND).build(), "custom.lineWidth": 1}
    dashed = {
        "color": fixed(_WARNING).build(),
        "custom.lineWidth": 1,
        "custom.showPoints": "never",
        "custom.lineStyle": {"fill": "dash", "dash": [10, 10]},
    }
    return {
        "Mean": {"color": fixed(ACCENT).build()},
        "Min": faint,
        "Max": faint,
        "Lower edge": dashed,
        "Upper edge": dashed,
    }


def _map(texts: dict[str, tuple[str, str | None]]) -> ValueMapping:
    return ValueMap(
        {
            key: ValueMappingResult(text=text, color=colour, index=place)
            for place, (key, (text, colour)) in enumerate(texts.items())
        }
    )


def status_mappings() -> list[ValueMapping]:
    """A status by its name, as Prometheus has it, or its number, as InfluxDB has it."""
    texts: dict[str, tuple[str, str | None]] = {}
    for status in STATUSES:
        shown = (status.name.capitalize(), STATUS_COLOURS[status])
        texts |= {status.name: shown, str(status.value): shown}
    return [_map(texts)]


def missing_as(text: str, colour: str = "transparent") -> ValueMapping:
    """What is shown for NaN."""
    options = DashboardSpecialValueMapOptions()
    options.match(SpecialValueMatch.NA_N).result(ValueMappingResult(text=text, color=colour))
    return SpecialValueMap(options.build())


def below(value: float, text: str, colour: str = "transparent") -> ValueMapping:
    """What is shown for values up to one."""
    result = ValueMappingResult(text=text, color=colour)
    return RangeMap(DashboardRangeMapOptions(from_val=None, to=value, result=result))


def plain_zero(decimals: int) -> ValueMapping:
    """Zero for what is below it and rounds to it, which Grafana writes as -0."""
    result = ValueMappingResult(text=f"{0:.{decimals}f}")
    least = -0.499 * 10.0**-decimals
    return RangeMap(DashboardRangeMapOptions(from_val=least, to=0.0, result=result))


def severity_mappings() -> list[ValueMapping]:
    """A severity by its name or its number."""
    texts: dict[str, tuple[str, str | None]] = {}
    for name, level in SEVERITY_LEVELS.items():
        shown = (name.capitalize(), SEVERITY_COLOURS[name])
        texts |= {name: shown, f"{level:g}": shown}
    return [_map(texts)]


def alert_marks() -> ValueMapping:
    """2 a page, 1 a ticket, 0 neither."""
    return _map({"2": ("Page", _CRITICAL), "1": ("Ticket", _WARNING), "0": ("–", FINE)})


def alarm_mappings() -> list[ValueMapping]:
    """The level of a device's alarm."""
    return [_map({"0": ("None", None), "1": ("Warning", _WARNING), "2": ("Alarm", _CRITICAL)})]


def online_mappings() -> list[ValueMapping]:
    """Whether a site answered."""
    return [
        _map(
            {
                "0": ("Offline", STATUS_COLOURS[Status.OFFLINE]),
                "1": ("Answering", STATUS_COLOURS[Status.HEALTHY]),
            }
        )
    ]


def yes_no(yes: str, no: str) -> list[ValueMapping]:
    """1 as good news and 0 as bad news."""
    return [
        _map(
            {
                "1": (yes, STATUS_COLOURS[Status.HEALTHY]),
                "0": (no, STATUS_COLOURS[Status.CRITICAL]),
            }
        )
    ]


def issue_names() -> list[ValueMapping]:
    """Codes of issues, and of what sites are odd in, as words."""
    return [names_of(*(k.code for k in RULES), *ODD_CODES)]


def issue_series() -> dict[str, dict[str, str]]:
    """Overrides that name a series after the issue whose code it has."""
    return {k.code: {"displayName": name_of(k.code)} for k in RULES}


def issue_actions() -> list[ValueMapping]:
    """Codes of issues as what to do first."""
    return [_map({k.code: (k.action, None) for k in RULES})]


def issue_components() -> list[ValueMapping]:
    """Codes of issues as the component whose score they lower."""
    return [_map({k.code: (k.component.capitalize(), None) for k in RULES})]


def as_text(texts: Mapping[str, str], colour: str | None = None) -> ValueMapping:
    """Values as texts."""
    return _map({value: (text, colour) for value, text in texts.items()})


def without_details() -> ValueMapping:
    """That a site does not answer, without the words of the failed attempt in brackets."""
    shown = ValueMappingResult(text="$1")
    options = DashboardRegexMapOptions(
        pattern=r"/^(The site does not answer[^(]*[^( ]) *\(.*$/", result=shown
    )
    return RegexMap(options=options)


def shared_in_short() -> ValueMapping:
    """That most sites of the region see an issue too, in words that leave the issue in view."""
    shown = ValueMappingResult(text="$1, as at most of the region")
    options = DashboardRegexMapOptions(pattern=f"/^(.*){ALSO_ELSEWHERE}.*$/", result=shown)
    return RegexMap(options=options)


def names_of(*names: str) -> ValueMapping:
    """Names as words."""
    return _map({name: (name_of(name), None) for name in names})
