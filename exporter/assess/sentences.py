"""Sentences of issues: the words of the rule, with what the site reports about it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

import numpy as np

from exporter.collect.battery_state import BatteryState
from exporter.collect.site_record import SiteRecord
from exporter.model.figures import judged
from exporter.model.quantities import API_KEYS, DERIVED
from exporter.model.snapshot import Implausible
from exporter.model.text import duration_words
from scoring.battery import REST_BELOW_PERCENT
from scoring.common import UTILITY_PREFIX, IntArray, seen_in_region
from scoring.issues import BoolArray, Finding, Severity
from scoring.limits import FALLEN_BELOW, LIMITS, MUCH_FALLEN_BELOW
from scoring.rule import Rule
from scoring.rules import (
    BATTERY_SOC,
    BATTERY_SOH,
    BATTERY_TEMPERATURE,
    CELL_SPREAD,
    DEVICE_ALARM,
    DEVICE_WARNING,
    GRID_LOST,
    IMPLAUSIBLE_READING,
    NOMINAL_NOT_SET,
    PV_LOW,
    PV_UNDERPERFORMING,
    SITE_OFFLINE,
    WRONG_TYPE,
)
from scoring.window_rules import (
    CHARGE_REFUSED,
    CONTROLLER_RESTARTS,
    DISCHARGE_REFUSED,
    MODULES_BLOCKING,
    MODULES_OFFLINE,
    PV_SHIFTED,
    RESTARTS_OF_WEEK,
    SOC_CONTRADICTED,
)

MOST_NAMED = 5
DEGREES_AN_HOUR = 15.0
ALSO_ELSEWHERE = (
    "; most sites of the region see it too, so it is the grid's fault and not this site's"
)


def of_the_grid(finding: Finding, region: IntArray, assessed: BoolArray) -> BoolArray:
    """Sites whose issue is the grid's, since their region sees it at the same time, shape (N,)."""
    active = finding.severity > Severity.NONE
    if not finding.rule.code.startswith(UTILITY_PREFIX) or not active.any():
        return np.zeros(active.shape, dtype=np.bool_)
    return seen_in_region(active, region, assessed)


def sentence_of(
    rule: Rule,
    record: SiteRecord,
    value: float,
    threshold: float,
    detail: str | None = None,
    *,
    ends_at: float = math.nan,
    settle_s: float = 0.0,
) -> str:
    """The sentence of an issue.

    Parameters
    ----------
    rule : Rule
    record : SiteRecord
        What is known of the site.
    value, threshold : float
        In the rule's unit, NaN where there is none.
    detail : str, optional
        What the sentence adds; from the record where it is not given.
    ends_at : float
        The value at which the issue ends, where ``value`` is back inside the limit; else NaN.
    settle_s : float
        For how long it must stay inside, where that is longer than its limit says.
    """
    shown, limit = judged(
        value, threshold, unit=rule.unit, decimals=rule.decimals, as_percent=rule.as_percent
    )
    if not math.isnan(ends_at):
        side = "below" if ends_at > threshold else "above"
        subject = rule.subject[0].upper() + rule.subject[1:]
        end = _end(rule, value, threshold, ends_at, settle_s)
        return f"{subject} is {shown}; it was {side} {limit}, and the issue ends {end}"
    if detail is None:
        add = _DETAILS.get(rule.code)
        detail = add(record, value, threshold) if add else _notices(rule, record)
    return rule.sentence.format(value=shown, limit=limit, detail=detail)


def _end(rule: Rule, value: float, threshold: float, ends_at: float, settle_s: float) -> str:
    """When an issue ends whose value is back inside its limit."""
    _, end = judged(value, ends_at, unit=rule.unit, decimals=0, as_percent=rule.as_percent)
    usual = max(LIMITS[level.limit].settle_seconds for level in rule.levels if level.limit)
    settle = max(usual, settle_s)
    if not settle:
        return f"at {end}"
    well_inside = value > ends_at if ends_at > threshold else value < ends_at
    again = ", since it came back before" if settle_s > usual else ""
    after = f"after {duration_words(settle)} inside{again}"
    return after if well_inside else f"at {end} {after}"


def _worst_battery(
    inputs: Iterable[str], record: SiteRecord, value: float
) -> tuple[BatteryState, str] | None:
    """The battery and the quantity of it that a value is from; ``inputs`` are keys of the API."""
    sources = [source for name in inputs for source in DERIVED[API_KEYS[name]].sources]
    for battery in record.batteries.values():
        for source in sources:
            if battery.readings.get(source) == value:
                return battery, source
    return None


def _which_battery(*inputs: str) -> Callable[[SiteRecord, float, float], str]:
    """Names the battery where a site has several, and says where a cell is the hot place."""

    def detail(record: SiteRecord, value: float, threshold: float) -> str:
        found = _worst_battery(inputs, record, value)
        if found is None:
            return ""
        battery, source = found
        name = battery.device if len(record.batteries) > 1 else ""
        if source.startswith("cell_"):
            name = f"a cell of {name}" if name else "a cell"
        return f" ({name})" if name else ""

    return detail


def _cells_of_spread(record: SiteRecord, value: float, threshold: float) -> str:
    found = _worst_battery([CELL_SPREAD.input], record, value)
    if found is None:
        return ""
    battery, _ = found
    of = f" of {battery.device}" if len(record.batteries) > 1 else ""
    if battery.cell_min_id and battery.cell_max_id:
        return f" (lowest cell {battery.cell_min_id}, highest {battery.cell_max_id}{of})"
    return f" ({battery.device})" if of else ""


def _alarms_of_level(level: int) -> Callable[[SiteRecord, float, float], str]:
    def detail(record: SiteRecord, value: float, threshold: float) -> str:
        names = sorted(
            f"{record.alarm_texts.get(device, {}).get(name, name)} of {device}"
            for device, levels in record.alarms.items()
            for name, reported in levels.items()
            if reported == level
        )
        return ": " + _shortened(names)

    return detail


def _unusable_values(of_wrong_type: bool) -> Callable[[SiteRecord, float, float], str]:
    def detail(record: SiteRecord, value: float, threshold: float) -> str:
        shown = [
            _given(item)
            for _, item in sorted(record.implausible.items())
            if bool(item.given) is of_wrong_type
        ]
        if shown:
            return ": " + _shortened(shown)
        latest = record.latest_implausible
        return "" if latest is None else f", or did in the last hour: {_given(latest)}"

    return detail


def _given(item: Implausible) -> str:
    hint = f" ({item.hint})" if item.hint else ""
    return f"{item.quantity} {item.given or f'{item.value:g}'} of {item.device}{hint}"


def _silence(record: SiteRecord, value: float, threshold: float) -> str:
    age = "and never did" if math.isnan(value) else f"for {duration_words(value)}"
    return f" {age} ({record.outcome.value}: {record.detail})" if record.outcome else f" {age}"


def _nominal(record: SiteRecord, value: float, threshold: float) -> str:
    return f"{threshold:.0f} V, {value:.0f} Hz"


def _other_supply(record: SiteRecord, value: float, threshold: float) -> str:
    sources = [n.detail for n in record.notices if n.code == "on_generator"]
    return f"; the site runs on {sources[0]}" if sources else ""


def _notices(rule: Rule, record: SiteRecord) -> str:
    return _shortened([notice.detail for notice in record.notices if notice.code == rule.code])


def _shortened(names: list[str]) -> str:
    return ", ".join(names[:MOST_NAMED]) + (", …" if len(names) > MOST_NAMED else "")


def _cells_at_rest(record: SiteRecord, value: float, threshold: float) -> str:
    for battery in record.batteries.values():
        low, high = (battery.readings.get(n, math.nan) for n in ("cell_min_v", "cell_max_v"))
        if battery.active and not math.isnan(low + high):
            return f" ({low:.2f} to {high:.2f} V)"
    return ""


def _own_minimum(record: SiteRecord, value: float, threshold: float) -> str:
    """The battery's own minimum, where it decided the limit."""
    for battery in record.batteries.values():
        minimum = battery.readings.get("minimum_soc_percent", math.nan)
        if battery.active and threshold == minimum - REST_BELOW_PERCENT:
            return f" ({REST_BELOW_PERCENT:.0f} % below its own minimum)"
    return ""


def _for_so_long(record: SiteRecord, value: float, threshold: float) -> str:
    return f" (for {duration_words(value)})"


def _day_or_week(record: SiteRecord, value: float, threshold: float) -> str:
    return "seven days" if threshold == RESTARTS_OF_WEEK else "24 hours"


def _off_the_sun(record: SiteRecord, value: float, threshold: float) -> str:
    if not value > 0:
        return ""
    degrees = DEGREES_AN_HOUR * value
    return f" but about {value:.1f} h off, as if its longitude were wrong by {degrees:.0f}°"


def _who_says_so(record: SiteRecord, value: float, threshold: float) -> str:
    if threshold in (FALLEN_BELOW, MUCH_FALLEN_BELOW):
        return "its neighbours and its own past days"
    return "the sun and its neighbours"


_DETAILS: dict[str, Callable[[SiteRecord, float, float], str]] = {
    BATTERY_SOC.code: _own_minimum,
    BATTERY_SOH.code: _which_battery(BATTERY_SOH.input),
    BATTERY_TEMPERATURE.code: _which_battery(BATTERY_TEMPERATURE.input),
    CELL_SPREAD.code: _cells_of_spread,
    DEVICE_ALARM.code: _alarms_of_level(2),
    DEVICE_WARNING.code: _alarms_of_level(1),
    IMPLAUSIBLE_READING.code: _unusable_values(of_wrong_type=False),
    WRONG_TYPE.code: _unusable_values(of_wrong_type=True),
    SITE_OFFLINE.code: _silence,
    NOMINAL_NOT_SET.code: _nominal,
    GRID_LOST.code: _other_supply,
    SOC_CONTRADICTED.code: _cells_at_rest,
    CHARGE_REFUSED.code: _for_so_long,
    DISCHARGE_REFUSED.code: _for_so_long,
    MODULES_OFFLINE.code: _which_battery("modules_offline"),
    MODULES_BLOCKING.code: _which_battery("modules_blocking_charge", "modules_blocking_discharge"),
    CONTROLLER_RESTARTS.code: _day_or_week,
    PV_SHIFTED.code: _off_the_sun,
    PV_LOW.code: _who_says_so,
    PV_UNDERPERFORMING.code: _who_says_so,
}
"""What the sentence of a rule adds; other rules add what drivers noticed under their code."""
