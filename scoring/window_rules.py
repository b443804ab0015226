"""Rules over the recent past of a site; :mod:`scoring.window` makes their values."""

from __future__ import annotations

from scoring.limits import LIMITS
from scoring.rule import Level, Rule, Severity, Side

ABOVE = Side.ABOVE
RESTARTS_OF_WEEK = 4.0
"""A controller that starts anew once a day does so on five days of seven at least."""
CLOUD_HOURS = 0.25
"""By which clouds of every afternoon may shift the PV of a week."""
WEATHER_HOURS = 3.0
"""By which fog until noon delays the PV of a whole region, or clouds from noon on advance it."""
SHIFT_HOURS = LIMITS["pv_shift_hours"].default
INFO, WARNING = Severity.INFO, Severity.WARNING

GRID_EXCURSIONS = Rule(
    "grid_excursions",
    "grid",
    "times that the frequency left its band in 24 hours",
    "",
    0,
    (Level(INFO, 10, ABOVE, "grid_excursions"),),
    "Grid frequency left its band {value} times in 24 hours",
    "Compare with other sites of the region; a weak grid or a generator is the usual cause.",
    family="grid frequency",
    source="EN 50160: 10 s means of an interconnected grid stay within 1 % of nominal for 99.5 % "
    "of a year",
)
GRID_VOLTAGE_BAND = Rule(
    "grid_voltage_band",
    "grid",
    "share of the ten-minute means of a week outside the band",
    "",
    0,
    (Level(INFO, 10, ABOVE, "voltage_outside_ratio"),),
    "Grid voltage was outside ±10 % in {value} of the ten-minute means of a week",
    "Send the utility the record of a week: EN 50160 allows 5 %.",
    as_percent=True,
    family="grid voltage",
    source="EN 50160: 95 % of the 10 min means of a week within 10 % of nominal",
)
GRID_OUTAGES = Rule(
    "grid_outages",
    "grid",
    "outages of the grid in seven days",
    "",
    0,
    (Level(INFO, 10, ABOVE, "grid_outages"),),
    "The grid was lost {value} times in seven days",
    "Ask the utility; if neighbours had none, check the main breaker and the AC input's contactor.",
    source="EN 50160 names 10 to some hundred short interruptions a year; CEER reports 0.2 to 3 "
    "long ones",
)
GRID_UNBALANCE = Rule(
    "grid_unbalance",
    "grid",
    "mean phase unbalance over 24 hours",
    "",
    1,
    (Level(INFO, 5, ABOVE, "voltage_unbalance_ratio"),),
    "Phases differ by {value} of their mean over 24 hours",
    "Spread loads and inverters over the phases; if the meter's side differs, tell the utility.",
    as_percent=True,
    source="NEMA MG-1 for the measure; EN 50160 and IEC 61000-2-2 allow 2 %, in places 3 %",
)
SOH_FALLING = Rule(
    "soh_falling",
    "battery",
    "loss of state of health, % a month, by its interval",
    "%",
    1,
    (
        Level(WARNING, 10, ABOVE, "soh_fall_warning"),
        Level(INFO, 5, ABOVE, "soh_fall_info"),
    ),
    "State of health falls by {value} a month{detail}",
    "Look for heat, deep cycles and long full charge; ask the maker whether it is in warranty.",
    family="state of health",
    source="common LFP warranties allow 30 % in ten years, 0.25 % a month; twice and four times it",
)
BATTERY_HOT_LONG = Rule(
    "battery_hot_long",
    "battery",
    "hours of the last 24 above the limit for long stays",
    "h",
    0,
    (Level(INFO, 10, ABOVE, "hot_hours"),),
    "The battery was above its limit for long stays for {value} of the last 24 hours",
    "Improve ventilation or shade: calendar ageing about doubles with every 10 °C.",
    family="temperature",
    source="Arrhenius ageing, a factor of about two every 10 °C (Wang et al., J. Power Sources "
    "196, 2011)",
)
SOC_STUCK = Rule(
    "soc_stuck",
    "battery",
    "energy moved while the state of charge stood still, of capacity",
    "",
    0,
    (Level(WARNING, 10, ABOVE, "soc_stuck_ratio"),),
    "The state of charge has not moved while {value} of the capacity went in or out",
    "Restart the BMS or battery monitor and check its current sensor; until then trust no charge.",
    as_percent=True,
    visit=True,
    family="state of charge",
    source="energy balance: 1 % of charge is 1 % of capacity",
)
SOC_CONTRADICTED = Rule(
    "soc_contradicted",
    "battery",
    "state of charge against the voltage of resting cells",
    "%",
    0,
    (Level(WARNING, 10, when="cells at rest for an hour contradict the state of charge"),),
    "State of charge is {value}, which the voltage of its resting cells contradicts{detail}",
    "Charge to full so that the BMS counts anew; if it happens again, have the BMS checked.",
    visit=True,
    family="state of charge",
    source="open-circuit voltage of LFP: 3.09 V at 5 %, 3.19 V at 9 %, 3.35 V at 98 %",
)
ENERGY_GAP = Rule(
    "energy_gap",
    "battery",
    "energy by which counters and state of charge differ in 24 hours, of capacity",
    "",
    0,
    (
        Level(
            INFO,
            5,
            ABOVE,
            "energy_gap_ratio",
            when="counters and state of charge differ in 24 hours by more than 25 % of the "
            "capacity, or by more than 35 % of what the charge says moved, a quarter of the "
            "capacity at least",
        ),
    ),
    "Counters and state of charge differ by {value} of the capacity in 24 hours",
    "Compare capacity in the fleet file with the battery's; then have its current sensor checked.",
    as_percent=True,
    family="state of charge",
    source="energy balance with 97 % of charging and a tenth of what went through for losses; of a "
    "share, what a capacity that is a fifth off and losses leave",
)
CHARGE_REFUSED = Rule(
    "charge_refused",
    "battery",
    "time for which the BMS allows no charging",
    "s",
    0,
    (Level(WARNING, 10, ABOVE, "charge_refused_seconds"),),
    "The BMS allows no charging, although the battery is neither full nor cold nor hot{detail}",
    "Read the BMS' alarms and cell voltages; a single full cell or a stuck protection is usual.",
    visit=True,
    family="current limits",
    source="data sheets of LFP packs: charging between 5 and 45 °C",
)
DISCHARGE_REFUSED = Rule(
    "discharge_refused",
    "battery",
    "time for which the BMS allows no discharging",
    "s",
    0,
    (Level(WARNING, 10, ABOVE, "charge_refused_seconds"),),
    "The BMS allows no discharging, although the battery is neither empty nor cold nor hot{detail}",
    "Read the BMS' alarms and cell voltages; a single empty cell or a stuck protection is usual.",
    visit=True,
    family="current limits",
    source="data sheets of LFP packs",
)
MODULES_OFFLINE = Rule(
    "modules_offline",
    "battery",
    "battery modules that are offline",
    "",
    0,
    (Level(WARNING, 20, ABOVE, "modules_offline"),),
    "{value} of the battery's modules do not answer{detail}",
    "Check the module's switch, fuse and link cable.",
    visit=True,
    input="modules_offline",
    family="modules",
    source="the BMS says so itself",
)
MODULES_BLOCKING = Rule(
    "modules_blocking",
    "battery",
    "battery modules that block charge or discharge",
    "",
    0,
    (Level(INFO, 10, ABOVE, "modules_blocking"),),
    "{value} of the battery's modules block charge or discharge{detail}",
    "Watch it; a module that stays blocked needs a look at its cells.",
    family="modules",
    source="the BMS says so itself",
)
PV_SHIFTED = Rule(
    "pv_shifted",
    "solar",
    "hours by which PV comes earlier or later than the sun",
    "h",
    1,
    (
        Level(
            INFO,
            0,
            ABOVE,
            "pv_shift_hours",
            when=f"PV comes earlier or later than the sun by more than {SHIFT_HOURS:g} h beside "
            f"its neighbours, by {SHIFT_HOURS + CLOUD_HOURS:g} h without any, or by "
            f"{WEATHER_HOURS:g} h together with them",
        ),
        Level(INFO, 0, when="PV energy while the sun is below the horizon, more than 5 % of it"),
    ),
    "PV does not come when the sun shines at the coordinates of the fleet file{detail}; PV is not "
    "judged",
    "Check latitude, longitude and azimuth in the fleet file, and the clock of the exporter.",
    source="an hour is 15° of longitude; of a clear day's shape moved in time, the one that fits "
    "a day's PV best; on four of five days to the same side",
)
PV_SOILED = Rule(
    "pv_soiled",
    "solar",
    "PV yield lost slowly beside the neighbours in five weeks",
    "",
    0,
    (Level(INFO, 10, ABOVE, "pv_soiling_ratio"),),
    "PV has slowly lost {value} of its yield beside its neighbours",
    "Look for dirt; growing shade or, in winter, snow that stays look the same.",
    as_percent=True,
    family="PV",
    source="soiling of 0.1 to 0.3 % a day without rain (Mejia and Kleissl, Solar Energy 95, 2013); "
    "the trend by all pairs of days (Sen, 1968)",
)
SCRAPES_SLOW = Rule(
    "scrapes_slow",
    "connectivity",
    "duration of scrapes against the week before",
    "",
    1,
    (Level(INFO, 0, ABOVE, "latency_ratio"),),
    "The site answers {value} times as slowly as in the week before{detail}",
    "Look at the load of the controller and the quality of its link.",
    source="the site's own past",
)
CONTROLLER_RESTARTS = Rule(
    "controller_restarts",
    "connectivity",
    "times that the controller started anew in 24 hours",
    "",
    0,
    (
        Level(
            INFO,
            5,
            ABOVE,
            "controller_restarts",
            when="the controller started anew more than 2 times in 24 hours, or more than "
            f"{RESTARTS_OF_WEEK:g} times in seven days, of each day two at most counted",
        ),
    ),
    "The controller started anew {value} times in {detail}",
    "Check its supply voltage, memory and temperature; a low battery under load is usual.",
    source="a controller runs for months; two starts are an update and its second half",
)
SENSOR_STUCK = Rule(
    "sensor_stuck",
    "devices",
    "time for which a reading has not changed at all",
    "h",
    0,
    (Level(INFO, 0, when="a reading shows one value for longer than its kind ever does"),),
    "A reading has not changed for {value}{detail}",
    "Check the sensor and the device's link; confidence in the score is lower until then.",
    source="resolution of common devices; the table of scoring.window_findings",
)

WINDOW_RULES: tuple[Rule, ...] = (
    GRID_EXCURSIONS,
    GRID_VOLTAGE_BAND,
    GRID_OUTAGES,
    GRID_UNBALANCE,
    SOH_FALLING,
    BATTERY_HOT_LONG,
    SOC_STUCK,
    SOC_CONTRADICTED,
    ENERGY_GAP,
    CHARGE_REFUSED,
    DISCHARGE_REFUSED,
    MODULES_OFFLINE,
    MODULES_BLOCKING,
    PV_SHIFTED,
    PV_SOILED,
    SCRAPES_SLOW,
    CONTROLLER_RESTARTS,
    SENSOR_STUCK,
)
