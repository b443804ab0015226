"""Plots of one site: power, batteries, grid and devices."""

# ruff: noqa: S608  (templates that Grafana fills in; no SQL is run here)

from __future__ import annotations

from collections.abc import Sequence

from grafana_foundation_sdk.builders import statetimeline, timeseries

from grafana.kit import look
from grafana.kit.levels import READINGS, Detail, either, over_time
from grafana.kit.panels import AnyPanel, Spec, colour, lines, timeline
from grafana.kit.queries import Target, influx, prom
from grafana.kit.tables import link
from scoring.rules import VOLTAGE_TOLERANCE

ONE = '{site="$site"}'
BUCKETS = "time($__interval)"
SILENT = "Nothing stored for this site in this time range"
CELLS = "/d/fleetscope-cells/?${__url_time_range}&var-site=${site}"
CONTROLLER_STATES = {
    "0": "Off",
    "1": "Low power",
    "2": "Fault",
    "3": "Bulk",
    "4": "Absorption",
    "5": "Float",
    "6": "Storage",
    "7": "Equalise",
    "8": "Pass-through",
    "9": "Inverting",
    "10": "Assisting",
    "11": "Power supply",
    "244": "Sustain",
    "252": "External control",
    "256": "Discharging",
    "257": "Sustain",
    "258": "Recharge",
    "259": "Scheduled charge",
    "261": "Battery protect",
}
"""Numbers of ``/SystemState/State`` of Victron's controller."""


def power_and_energy() -> list[AnyPanel]:
    """Power over time, and PV against the sky."""
    return [power_flows((16, 9)), _sun()]


def battery() -> list[AnyPanel]:
    """What the site's batteries report over time."""
    return [_charge(), _heat(), _spread(), _volts()]


def grid_and_devices() -> list[AnyPanel]:
    """The grid over time, alarms and the state of the controller."""
    return [_frequency(), _voltage(), _alarms(), _states(), _switches()]


def power_flows(size: tuple[int, int], detail: Detail = READINGS) -> timeseries.Panel:
    """Power by where it comes from and where it goes."""
    # Discharging and importing feed the site; charging and exporting use what feeds it.
    parts = (
        ("PV", "pv_power_w", "site", ">", 1),
        ("Battery discharge", "power_w", "battery", "<", -1),
        ("Grid import", "grid_power_w", "site", ">", 1),
        ("Generator", "genset_power_w", "site", ">", 1),
        ("Load", "load_power_w", "site", ">", -1),
        ("Battery charge", "power_w", "battery", ">", -1),
        ("Grid export", "grid_power_w", "site", "<", 1),
    )
    targets: list[Target] = []
    overrides = {}
    for ref, (name, quantity, measurement, sign, factor) in zip("ABCDEFG", parts, strict=True):
        targets.append(influx(_one_side(quantity, measurement, sign, factor, detail), name, ref))
        overrides[name] = colour(look.FLOWS[name])
    spec = Spec(
        title="Power: where it comes from and where it goes",
        description="Above zero what feeds the site, below zero what uses it; both sides are "
        "stacked and the same height but for losses. A gap is a time without readings.",
        size=size,
        unit=look.UNITS["W"],
        empty=SILENT,
        interval=detail.interval,
        targets=targets,
        overrides=overrides,
    )
    return lines(spec, stacked=True, fill=60)


def _one_side(name: str, measurement: str, sign: str, factor: int, detail: Detail) -> str:
    """InfluxQL for the positive (``>``) or negative (``<``) part of a power, summed over devices.

    The part is drawn on its own side of zero; a bucket on the other side has no value.
    """
    by = f'{BUCKETS}, "device"' if measurement == "battery" else BUCKETS
    means = {"device": (f'mean("{name}")', f'mean("{name}_mean")')}
    summed = 'sum("device")' if factor > 0 else '-1 * sum("device")'
    each = either(means, measurement, by=by, detail=detail)
    return (
        f'SELECT {summed} FROM {each} WHERE "device" {sign} 0 '
        f"AND $timeFilter GROUP BY {BUCKETS} fill(null)"
    )


def _mean(name: str) -> str:
    return over_time("mean", name, "mean", "site")


def _each_battery(name: str) -> str:
    return over_time("mean", name, "mean", "battery", by='"device"')


def _sun() -> timeseries.Panel:
    spec = Spec(
        title="PV against a clear sky",
        description="PV power and what a clear sky would allow the site's panels at that moment. "
        "Clouds, a full battery and a feed-in limit all keep it lower.",
        size=(8, 9),
        unit=look.UNITS["W"],
        empty="No PV at this site, or nothing stored in this time range",
        low=0,
        interval=READINGS.interval,
        targets=[
            influx(_mean("pv_expected_w"), "Clear sky", "A"),
            influx(_mean("pv_power_w"), "PV", "B"),
            influx(_mean("pv_dc_power_w"), "DC-coupled", "C"),
            influx(_mean("pv_ac_power_w"), "AC-coupled", "D"),
        ],
        overrides={
            "PV": colour(look.FLOWS["PV"]) | {"custom.fillOpacity": 20},
            "Clear sky": colour(look.SECOND)
            | {"custom.lineStyle": {"fill": "dash", "dash": [6, 6]}},
            "DC-coupled": colour("#c0a000") | {"custom.lineWidth": 1},
            "AC-coupled": colour("#a0785a") | {"custom.lineWidth": 1},
        },
    )
    return lines(spec)


def _charge() -> timeseries.Panel:
    spec = Spec(
        title="State of charge and of health",
        description="As each battery of the site reports them.",
        size=(12, 8),
        unit=look.UNITS["%"],
        empty=SILENT,
        low=0,
        high=100,
        interval=READINGS.interval,
        overrides={
            "/^Charge/": colour(look.FLOWS["Battery charge"]),
            "/^Health/": colour(look.ACCENT),
        },
        targets=[
            influx(
                _each_battery("soc_percent"),
                "Charge $tag_device",
                "A",
            ),
            influx(
                _each_battery("soh_percent"),
                "Health $tag_device",
                "B",
            ),
        ],
    )
    return lines(spec)


def _heat() -> timeseries.Panel:
    spec = Spec(
        title="Temperature",
        description="Of each battery and of its hottest and coldest cell, the extreme of each "
        "interval. Dashed: the warning at "
        f"{look.LIMITS.temperature_max:g} °C and the critical limit, as the fleet's defaults have "
        "them.",
        size=(12, 8),
        unit=look.UNITS["°C"],
        empty="No battery of this site gives a temperature",
        interval=READINGS.interval,
        thresholds=look.temperature_limits(),
        overrides={
            "/^Battery/": colour(look.ACCENT),
            "/^Hottest/": colour(look.FLOWS["Load"]),
            "/^Coldest/": colour(look.SECOND),
        },
        targets=[
            influx(
                over_time(how, quantity, how, "battery", by='"device"'),
                f"{name} $tag_device",
                ref,
            )
            for ref, (name, how, quantity) in zip(
                "ABC",
                (
                    ("Battery", "max", "temperature_c"),
                    ("Hottest cell", "max", "cell_max_temperature_c"),
                    ("Coldest cell", "min", "cell_min_temperature_c"),
                ),
                strict=True,
            )
        ],
    )
    return lines(spec, limit_lines=True, soft=(10, look.LIMITS.temperature_max + 2))


def _spread() -> timeseries.Panel:
    spec = Spec(
        title="Cell spread",
        description="Highest minus lowest cell voltage of each pack, with the fleet's default "
        "limits. Click through to the cells.",
        size=(12, 8),
        unit=look.UNITS["V"],
        empty="No battery of this site gives cell voltages",
        low=0,
        decimals=3,
        thresholds=look.spread_limits(),
        colour=look.by_pack(),
        targets=[prom(f"max by (pack) (fleetscope_cell_spread_volts{ONE})", "{{pack}}")],
        overrides={"/.*/": link("Open the cells", CELLS)},
    )
    return lines(spec, limit_lines=True, soft=(0, look.LIMITS.cell_spread_critical + 0.02))


def _volts() -> timeseries.Panel:
    spec = Spec(
        title="Battery voltage and current",
        description="Voltage on the left; current on the right, positive when charging.",
        size=(12, 8),
        unit=look.UNITS["V"],
        empty=SILENT,
        interval=READINGS.interval,
        targets=[
            influx(_each_battery("voltage_v"), "V $tag_device", "A"),
            influx(_each_battery("current_a"), "A $tag_device", "B"),
        ],
        overrides={
            "/^V /": colour(look.ACCENT),
            "/^A /": colour(look.FLOWS["Battery charge"])
            | {"unit": look.UNITS["A"], "custom.axisPlacement": "right"},
        },
    )
    return lines(spec)


def _band(
    field: str, split: float, edges: Sequence[tuple[float, float]], refs: str
) -> list[Target]:
    """Lower and upper edge of the band around the lower nominal value, then around the higher.

    A site near the lower one is one that reads below ``split``, and has no series for the higher.
    The product with 0 makes an edge a constant that is drawn only while there are readings.
    """
    targets = []
    places = iter(refs)
    values = {"value": (f'"{field}"', f'"{field}_mean"')}
    for side, pair in zip(("<", ">="), edges, strict=True):
        for name, edge in zip(("Lower edge", "Upper edge"), pair, strict=True):
            query = (
                f'SELECT mean("value") * 0 + {edge:g} FROM {either(values, "site")} WHERE '
                f'"value" {side} {split:g} AND $timeFilter GROUP BY {BUCKETS} fill(null)'
            )
            targets.append(influx(query, name, next(places)))
    return targets


def _frequency() -> timeseries.Panel:
    limits = look.LIMITS.grid_frequency_min, look.LIMITS.grid_frequency_max
    shifted = [(limits[0] + shift, limits[1] + shift) for shift in (0, 10)]
    spec = Spec(
        title="Grid frequency",
        description="Mean of each interval and its extremes. Dashed: the edges of the fleet's "
        "default band around 50 Hz or, shifted, around 60 Hz.",
        size=(12, 8),
        unit=look.UNITS["Hz"],
        empty="No grid frequency in this time range: the site has no grid or did not answer",
        decimals=2,
        interval=READINGS.interval,
        targets=[
            *(
                influx(over_time(how, "grid_frequency_hz", how, "site"), name, ref)
                for ref, how, name in (
                    ("A", "mean", "Mean"),
                    ("B", "min", "Min"),
                    ("C", "max", "Max"),
                )
            ),
            *_band("grid_frequency_hz", 55, shifted, "DEFG"),
        ],
        overrides=look.extremes(),
    )
    return lines(spec)


def _voltage() -> timeseries.Panel:
    low, high = 1 - VOLTAGE_TOLERANCE, 1 + VOLTAGE_TOLERANCE
    edges = [(nominal * low, nominal * high) for nominal in (120, 230)]
    spec = Spec(
        title="Grid voltage",
        description="Mean of the phases, and the lowest and highest phase. Dashed: "
        f"{VOLTAGE_TOLERANCE:.0%} either way of 120 V or 230 V, whichever is nearer; a site with "
        "another nominal voltage is judged by its own.",
        size=(12, 8),
        unit=look.UNITS["V"],
        empty="No grid voltage in this time range: the site has no grid or did not answer",
        decimals=1,
        interval=READINGS.interval,
        targets=[
            influx(_mean("grid_voltage_v"), "Mean", "A"),
            influx(over_time("min", "grid_voltage_min_v", "min", "site"), "Min", "B"),
            influx(over_time("max", "grid_voltage_max_v", "max", "site"), "Max", "C"),
            *_band("grid_voltage_v", 170, edges, "DEFG"),
        ],
        overrides=look.extremes(),
    )
    return lines(spec)


def _alarms() -> statetimeline.Panel:
    by = f'{BUCKETS}, "device", "alarm"'
    levels = {"value": ('max("level")', 'max("level_max")')}
    query = (
        f'SELECT max("value") FROM {either(levels, "alarm", by=by)} WHERE "value" > 0 '
        f"AND $timeFilter GROUP BY {by} fill(null)"
    )
    spec = Spec(
        title="Device alarms over time",
        description="What the devices themselves warn of or sound an alarm for. Blank means none.",
        size=(12, 7),
        unit=look.NUMBER,
        empty="No device alarm in this time range",
        interval=READINGS.interval,
        mappings=look.alarm_mappings(),
        targets=[influx(query, "$tag_alarm ($tag_device)")],
    )
    return timeline(spec)


def _states() -> statetimeline.Panel:
    spec = Spec(
        title="Controller state",
        description="What the site's controller does. Over more than two days the highest state of "
        "each interval.",
        size=(12, 5),
        unit=look.NUMBER,
        empty=SILENT,
        interval=READINGS.interval,
        mappings=[look.as_text(CONTROLLER_STATES)],
        colour=look.fixed(look.ACCENT),
        targets=[influx(over_time("last", "system_state", "max", "site"), "State")],
    )
    return timeline(spec)


def _switches() -> statetimeline.Panel:
    spec = Spec(
        title="Grid connection and PV",
        description="Whether the grid is connected, and whether the PV is held back.",
        size=(12, 5),
        unit=look.NUMBER,
        empty=SILENT,
        interval=READINGS.interval,
        targets=[
            influx(over_time("min", "grid_connected", "min", "site"), "Grid", "A"),
            influx(over_time("max", "pv_disabled", "max", "site"), "PV", "B"),
        ],
        overrides={
            "Grid": {"mappings": look.yes_no("Connected", "Lost")},
            "PV": {
                "mappings": [
                    look.as_text({"0": "Free"}, look.SECOND),
                    look.as_text({"1": "Held back"}, look.SEVERITY_COLOURS["warning"]),
                ]
            },
        },
    )
    return timeline(spec)
