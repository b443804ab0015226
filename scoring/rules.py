"""The rules of scoring: a row for each limit and for each kind of issue.

From these rows come deductions and caps, the keys of the fleet file, the tables of docs/scoring.md,
the limits that dashboards draw, and limits and texts of alerts. Limits are rows of
:mod:`scoring.limits`.
"""

from __future__ import annotations

from scoring.limits import FALLEN_BELOW, MUCH_FALLEN_BELOW
from scoring.notice_rules import NOTICE_RULES
from scoring.rule import Level, Rule, Severity, Side
from scoring.window_rules import WINDOW_RULES

BELOW, ABOVE, STATE = Side.BELOW, Side.ABOVE, Side.STATE
INFO, WARNING, CRITICAL = Severity.INFO, Severity.WARNING, Severity.CRITICAL

UNKNOWN_HEALTH_CAP = 89.0
"""A battery of whose health nothing is known is not HEALTHY, and nobody is called for it."""

VOLTAGE_TOLERANCE = 0.10
"""Of the nominal voltage, as in EN 50160."""
FREQUENCY_NEAR_HZ = 0.1
GENERATOR_TOLERANCE_HZ = 0.08
"""Of the nominal frequency, as ISO 8528-5 allows a generator of class G1."""
DEAD_PV_RATIO = 0.02
NEARLY_NO_PV = 0.25
"""No array of known direction falls below this share of sun and neighbours for lack of light."""
PV_LASTING_SECONDS = 5400.0
"""Judged time for which PV must be low: a horizon, trees and fog that parts earlier over one site
than over another leave a healthy array low for up to an hour and a half."""
UNKNOWN_DIRECTION_SECONDS = 21600.0
"""The same where the fleet file gives no direction: a roof to the west is low all morning."""
CELL_WARMER_BY_C = 3.0
"""Above the median of its pack, from which drawings mark a cell: the spread that data sheets of LFP
packs commonly allow."""

RAISED_BY_DEVICES = ("grid_lost", "battery_temperature", "battery_soc", "cell_spread")
"""Issues of which devices raise an alarm of their own."""

BATTERY_SOH = Rule(
    "battery_soh",
    "battery",
    "state of health",
    "%",
    1,
    (
        Level(CRITICAL, 50, BELOW, "battery_soh_critical"),
        Level(WARNING, 20, BELOW, "battery_soh_warning"),
    ),
    "State of health is {value}, below {limit}{detail}",
    "Check the warranty terms and plan a capacity test; order a replacement if it confirms.",
    input="soh_percent",
    visit=True,
    family="state of health",
    source="warranties of home storage end at 70 to 80 %",
)
BATTERY_TEMPERATURE = Rule(
    "battery_temperature",
    "battery",
    "battery or cell temperature",
    "°C",
    1,
    (
        Level(CRITICAL, 20, ABOVE, "temperature_max", further=10.0),
        Level(WARNING, 20, ABOVE, "temperature_max"),
    ),
    "Battery is at {value}, above {limit}{detail}",
    "Reduce charge and discharge power, then check ventilation and ambient temperature on site.",
    input="temperature_c",
    visit=True,
    family="temperature",
    source="data sheets of LFP packs: charging up to 45 °C, discharging up to 55 °C",
)
CELL_SPREAD = Rule(
    "cell_spread",
    "battery",
    "cell spread",
    "V",
    3,
    (
        Level(CRITICAL, 20, ABOVE, "cell_spread_critical"),
        Level(WARNING, 10, ABOVE, "cell_spread_warning"),
    ),
    "Cells differ by {value}, more than {limit}{detail}",
    "Let the battery balance at full charge; if the spread stays, have the named cell checked.",
    input="cell_spread_v",
    visit=True,
    source="makers of LFP packs call 50 to 100 mV balanced; above 150 mV a cell limits the pack",
)
CELL_FINDING = Rule(
    "cell_finding",
    "battery",
    "the history of single cells",
    "",
    0,
    (
        Level(
            WARNING,
            10,
            when="the analysis of stored cells reports a warning or worse of a cell; nobody is "
            "called at night for what took weeks",
        ),
    ),
    "The history of its cells: {detail}",
    "Look at the cell on Battery · Balance; have it checked before it reaches its limit.",
    visit=True,
    source="docs/cells.md",
)
BATTERY_SOC = Rule(
    "battery_soc",
    "battery",
    "state of charge",
    "%",
    0,
    (
        Level(
            CRITICAL,
            10,
            BELOW,
            "soc_without_grid",
            when="state of charge below 10 % on a site without grid, which will shut down",
        ),
        Level(
            WARNING,
            10,
            BELOW,
            "soc_critical",
            when="state of charge below 10 %; of a battery that keeps a minimum of 5 % or more, as "
            "its device or its past says, from 5 % below the limit on, 2 % below that minimum",
        ),
    ),
    "State of charge is {value}, below {limit}{detail}",
    "Check why it was not charged: PV, grid set-point, charge limits; charge it soon.",
    input="soc_percent",
    source="below a tenth an LFP cell leaves its plateau, and the load ends soon",
)
BATTERY_SILENT = Rule(
    "battery_silent",
    "battery",
    "battery readings",
    "",
    0,
    (Level(WARNING, 0, when="no battery reading on a site that answers"),),
    "The site answers but gives no battery reading at all",
    "Check the BMS cable and the battery monitor setting on the site's controller.",
    visit=True,
    source="missing is not perfect",
)
BATTERY_HEALTH_UNKNOWN = Rule(
    "battery_health_unknown",
    "battery",
    "battery readings",
    "",
    0,
    (
        Level(
            INFO,
            0,
            when="battery readings, but neither state of health nor temperature nor cell voltages",
            cap=UNKNOWN_HEALTH_CAP,
        ),
    ),
    "The battery gives neither state of health nor temperature nor cell voltages, so its health is "
    "not fully known",
    "Find out whether the BMS can report them to the site's controller; until it does, a failing "
    "battery may go unnoticed.",
    source="missing is not perfect",
)
GRID_LOST = Rule(
    "grid_lost",
    "grid",
    "grid",
    "",
    0,
    (Level(CRITICAL, 100, when="grid lost on a site that should have one"),),
    "There is no grid at the AC input{detail}",
    "Ask whether the utility has an outage; if not, check the main breaker and the AC input.",
    input="grid_connected",
    source="the site says so itself",
)
GRID_FREQUENCY = Rule(
    "grid_frequency",
    "grid",
    "grid frequency",
    "Hz",
    2,
    (
        Level(WARNING, 40, BELOW, "grid_frequency_min"),
        Level(WARNING, 40, ABOVE, "grid_frequency_max"),
    ),
    "Grid frequency is {value}, beyond {limit}",
    "Compare with other sites of the region: if they agree it is the utility, else the meter.",
    input="grid_frequency_hz",
    family="grid frequency",
    source="EN 50160 and EN 50549: 49.5 to 50.5 Hz",
)
GRID_FREQUENCY_DEVIATION = Rule(
    "grid_frequency_deviation",
    "grid",
    "grid frequency",
    "Hz",
    2,
    (
        Level(
            INFO,
            15,
            BELOW,
            "grid_frequency_low",
            when=f"else grid frequency more than {FREQUENCY_NEAR_HZ:g} Hz below nominal",
        ),
        Level(
            INFO,
            15,
            ABOVE,
            "grid_frequency_high",
            when=f"else grid frequency more than {FREQUENCY_NEAR_HZ:g} Hz above nominal",
        ),
    ),
    f"Grid frequency is {{value}}, more than {FREQUENCY_NEAR_HZ:g} Hz off nominal",
    "Watch it; it is within the band.",
    input="grid_frequency_hz",
    family="grid frequency",
    source="ENTSO-E: 0.1 Hz of deviation is the normal range of a synchronous area",
)
GRID_VOLTAGE = Rule(
    "grid_voltage",
    "grid",
    "grid voltage",
    "V",
    0,
    (
        Level(
            WARNING,
            20,
            BELOW,
            "grid_voltage_low",
            when=f"a phase more than {100 * VOLTAGE_TOLERANCE:g} % below nominal voltage",
        ),
        Level(
            WARNING,
            20,
            ABOVE,
            "grid_voltage_high",
            when=f"a phase more than {100 * VOLTAGE_TOLERANCE:g} % above nominal voltage",
        ),
    ),
    "Grid voltage is {value}, beyond {limit}",
    "Compare phases and neighbouring sites; report a lasting deviation to the utility.",
    input="grid_voltage_v",
    family="grid voltage",
    source="EN 50160: 10 % around nominal",
)
GRID_UNSTEADY = Rule(
    "grid_unsteady",
    "grid",
    "standard deviation of the grid frequency over 90 scrapes",
    "Hz",
    3,
    (Level(INFO, 10, ABOVE, "grid_unsteady"),),
    "Grid frequency varies by {value} (standard deviation), more than {limit}",
    "Watch it; a weak grid or a generator is the usual cause.",
    input="grid_frequency_hz",
    family="grid frequency",
    source="a large synchronous area stays near 0.02 Hz",
)
NOMINAL_NOT_SET = Rule(
    "nominal_not_set",
    "grid",
    "nominal voltage and frequency",
    "",
    0,
    (Level(INFO, 0, when="a grid of another nominal voltage or frequency than assumed"),),
    "The grid looks like {detail}, which the fleet file does not say; it is judged as such",
    "Set grid_nominal_hz and grid_nominal_v of the site in the fleet file.",
    source="supplies of the world: 50 or 60 Hz, 100 to 240 V",
)
AC_INPUT_FREQUENCY = Rule(
    "ac_input_frequency",
    "devices",
    "frequency of generator or shore power",
    "Hz",
    2,
    (
        Level(
            WARNING,
            0,
            BELOW,
            "ac_input_frequency_low",
            when=f"more than {100 * GENERATOR_TOLERANCE_HZ:g} % below nominal frequency",
        ),
        Level(
            WARNING,
            0,
            ABOVE,
            "ac_input_frequency_high",
            when=f"more than {100 * GENERATOR_TOLERANCE_HZ:g} % above nominal frequency",
        ),
    ),
    "Frequency of the generator or shore power is {value}, beyond {limit}",
    "Check the generator's governor and its load.",
    input="ac_input_frequency_hz",
    source="ISO 8528-5, class G1",
)
AC_INPUT_VOLTAGE = Rule(
    "ac_input_voltage",
    "devices",
    "voltage of generator or shore power",
    "V",
    0,
    (
        Level(
            WARNING,
            0,
            BELOW,
            "ac_input_voltage_low",
            when=f"more than {100 * VOLTAGE_TOLERANCE:g} % below nominal voltage",
        ),
        Level(
            WARNING,
            0,
            ABOVE,
            "ac_input_voltage_high",
            when=f"more than {100 * VOLTAGE_TOLERANCE:g} % above nominal voltage",
        ),
    ),
    "Voltage of the generator or shore power is {value}, beyond {limit}",
    "Check the generator's regulator, its load and the cable.",
    input="ac_input_voltage_v",
    source="EN 50160",
)
PV_UNDERPERFORMING = Rule(
    "pv_underperforming",
    "solar",
    "PV energy as a share of what sun and neighbours say",
    "",
    0,
    (
        Level(
            WARNING,
            40,
            limit="pv_underperforming",
            when="PV makes less than half of what sun and neighbours say for 90 minutes of judged "
            "time, or less than a quarter at any time; without a direction, half for six hours; "
            f"or for three days less than {100 * MUCH_FALLEN_BELOW:g} % of its own past",
        ),
    ),
    "PV makes {value} of what {detail} say it should",
    "Check string fuses, isolators and the inverter's error log, then look for new shade.",
    visit=True,
    as_percent=True,
    family="PV",
    source="half of a system is more than one string of most",
)
PV_LOW = Rule(
    "pv_low",
    "solar",
    "PV energy as a share of what sun and neighbours say",
    "",
    0,
    (
        Level(
            INFO,
            15,
            BELOW,
            "pv_low",
            when=f"below three quarters of it for as long, or {100 * FALLEN_BELOW:g} % of its past",
        ),
    ),
    "PV makes {value} of what {detail} say it should",
    "Look for dirt, snow or new shade at the next visit.",
    as_percent=True,
    family="PV",
    source="one string of three or four",
)
SITE_OFFLINE = Rule(
    "site_offline",
    "connectivity",
    "time since the last answer",
    "s",
    0,
    (
        Level(
            CRITICAL,
            100,
            limit="offline_after_seconds",
            when="no answer for three intervals and 10 s, or longer where most scrapes fail",
        ),
    ),
    "The site does not answer{detail}",
    "Check its internet connection and power; ask the contact whether the site is live.",
    visit=True,
    source="three missed scrapes are no accident",
)
SCRAPES_FAILING = Rule(
    "scrapes_failing",
    "connectivity",
    "share of the scrapes of the last hour that worked, where three of six or more failed,",
    "",
    0,
    (
        Level(WARNING, 0, BELOW, "scrapes_worked_warning"),
        Level(INFO, 0, BELOW, "scrapes_worked_info"),
    ),
    "Only {value} of the scrapes of the last hour worked",
    "Check the site's link; a slow or overloaded controller shows as timeouts.",
    visit=True,
    as_percent=True,
    source="the last hour of the site itself",
)
DEVICE_ALARM = Rule(
    "device_alarm",
    "devices",
    "alarm level of a device",
    "",
    0,
    (Level(CRITICAL, 0, limit="alarm_level", when="a device reports an alarm (level 2)"),),
    "A device reports an alarm{detail}",
    "Read the alarm on the device's own display and follow its manual.",
    visit=True,
    follows=RAISED_BY_DEVICES,
    source="the device says so itself",
)
DEVICE_WARNING = Rule(
    "device_warning",
    "devices",
    "alarm level of a device",
    "",
    0,
    (Level(INFO, 0, limit="warning_level", when="a device reports a warning (level 1)"),),
    "A device reports a warning{detail}",
    "Watch it; it becomes an alarm if nothing changes.",
    follows=RAISED_BY_DEVICES,
    source="the device says so itself",
)
IMPLAUSIBLE_READING = Rule(
    "implausible_reading",
    "devices",
    "values outside physics",
    "",
    0,
    (Level(INFO, 0, when="a value outside physics, now or in the last hour"),),
    "A device reports a value outside physics{detail}",
    "Check the sensor, its wiring and the device's firmware; the value is not scored.",
    visit=True,
    source="docs/glossary.md: the physical limits of each quantity",
    lasts_seconds=3600.0,
)
WRONG_TYPE = Rule(
    "wrong_type",
    "devices",
    "values of a wrong type",
    "",
    0,
    (Level(INFO, 0, when="a value that is no number where one belongs"),),
    "A device reports a value of a wrong type{detail}",
    "Check the driver or script that publishes it; the value is not used.",
    source="docs/glossary.md",
)
MAIN_READING_SILENT = Rule(
    "main_reading_silent",
    "devices",
    "the reading for which a meter or data centre is there",
    "",
    0,
    (Level(WARNING, 0, when="a meter without power, or a data centre without load"),),
    "The site answers but does not give {detail}",
    "Check the role of the meter in the fleet file, then the meter's own display.",
    visit=True,
)

RULES: tuple[Rule, ...] = (
    BATTERY_SOH,
    BATTERY_TEMPERATURE,
    CELL_SPREAD,
    CELL_FINDING,
    BATTERY_SOC,
    BATTERY_SILENT,
    BATTERY_HEALTH_UNKNOWN,
    GRID_LOST,
    GRID_FREQUENCY,
    GRID_FREQUENCY_DEVIATION,
    GRID_VOLTAGE,
    GRID_UNSTEADY,
    NOMINAL_NOT_SET,
    AC_INPUT_FREQUENCY,
    AC_INPUT_VOLTAGE,
    PV_UNDERPERFORMING,
    PV_LOW,
    SITE_OFFLINE,
    SCRAPES_FAILING,
    DEVICE_ALARM,
    DEVICE_WARNING,
    IMPLAUSIBLE_READING,
    WRONG_TYPE,
    MAIN_READING_SILENT,
    *WINDOW_RULES,
    *NOTICE_RULES,
)
BY_CODE: dict[str, Rule] = {rule.code: rule for rule in RULES}
