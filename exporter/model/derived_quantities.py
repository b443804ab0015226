"""Figures of a site that are made of what its batteries report, or calculated.

A site may have several batteries. Quantities that add nothing up (charge, voltage, current, power)
are those of the active battery; of health, heat and cells the worst battery counts, and these rows
say which one that is.
"""

from __future__ import annotations

from exporter.model.quantity import Derived, Gauge, Measurement, Question

DERIVED_ROWS: tuple[Derived, ...] = (
    Derived(
        name="battery_lowest_soh_percent",
        label="lowest state of health",
        unit="%",
        meaning="State of health of the battery that has the lowest",
        decimals=1,
        worse="low",
        sources=("soh_percent",),
        pick="low",
        api_key="soh_percent",
        gauge=Gauge(
            "battery_soh_ratio",
            "Lowest state of health that a battery of the site reports, 0 to 1",
            scale=0.01,
        ),
        questions=(
            Question(
                "soh",
                {
                    "en": "state of health|soh|percent health|states of health|battery health|"
                    "sohs|battery soh|capacity left|remaining capacity|battery state of health|"
                    "health of the batter*|battery condition",
                    "de": "gesundheitszustand|batteriegesundheit|batteriezustand|akkuzustand",
                    "uk": "стан здоров я|здоров я батаре*|станом здоров я|стану здоров я|"
                    "здоров ям батаре*",
                },
                label="state of health",
                steady=0.5,
            ),
        ),
    ),
    Derived(
        name="battery_hottest_c",
        label="hottest battery or cell",
        unit="°C",
        meaning="Highest temperature of any battery or cell",
        decimals=1,
        worse="high",
        sources=("temperature_c", "cell_max_temperature_c"),
        pick="high",
        api_key="temperature_c",
        gauge=Gauge("battery_temperature_celsius", "Highest battery or cell temperature known"),
        questions=(
            Question(
                "temperature",
                {
                    "en": "battery temperature|temperature|temperatures|temp|temps|"
                    "battery temperatures|how hot|how warm|battery temp|heat|warm|hotter|warmer|"
                    "colder|cooler|cell temperature|cell temperatures",
                    "de": "batterietemperatur|temperatur|temperaturen|batterietemperaturen|"
                    "akkutemperatur|wie heiß|wie warm|warm",
                    "uk": "температура батареї|температур*",
                },
                label="battery temperature",
                steady=2,
            ),
        ),
    ),
    Derived(
        name="cell_widest_spread_v",
        label="widest cell spread",
        unit="V",
        meaning="Cell spread of the battery that has the widest",
        decimals=3,
        worse="high",
        sources=("cell_spread_v",),
        pick="high",
        api_key="cell_spread_v",
        questions=(
            Question(
                "cell_spread",
                {
                    "en": "cell spread|cell spreads|spread|cell voltage spread|"
                    "cell voltage difference|voltage spread|cell deviation|"
                    "spread of the cells|cell balance|balance|by cell imbalance|by imbalance|"
                    "by cell difference",
                    "de": "zellspreizung|zellspannungsdifferenz|zelldifferenz|spreizung",
                    "uk": "різниця напруг комірок|розкид*|різниця напруг*|різниця комірок",
                },
                label="cell spread",
                steady=0.01,
            ),
        ),
    ),
    Derived(
        name="cell_lowest_v",
        label="lowest cell voltage",
        unit="V",
        meaning="Voltage of the lowest cell of any battery",
        decimals=3,
        worse="low",
        sources=("cell_min_v",),
        pick="low",
        api_key="cell_min_v",
        questions=(
            Question(
                "cell_min",
                {"en": "lowest cell voltage|minimum cell voltage|min cell voltage|lowest cell"},
            ),
        ),
    ),
    Derived(
        name="cell_highest_v",
        label="highest cell voltage",
        unit="V",
        meaning="Voltage of the highest cell of any battery",
        decimals=3,
        worse="high",
        sources=("cell_max_v",),
        pick="high",
        api_key="cell_max_v",
        questions=(
            Question(
                "cell_max",
                {"en": "highest cell voltage|maximum cell voltage|max cell voltage|highest cell"},
            ),
        ),
    ),
    Derived(
        name="cell_coldest_c",
        label="coldest cell",
        unit="°C",
        meaning="Temperature of the coldest cell of any battery",
        decimals=1,
        sources=("cell_min_temperature_c",),
        pick="low",
        api_key="cell_min_temperature_c",
    ),
    Derived(
        name="cell_hottest_c",
        label="hottest cell",
        unit="°C",
        meaning="Temperature of the hottest cell of any battery",
        decimals=1,
        worse="high",
        sources=("cell_max_temperature_c",),
        pick="high",
        api_key="cell_max_temperature_c",
    ),
    Derived(
        name="battery_modules_offline",
        label="modules offline in one battery",
        unit="",
        meaning="Modules offline of the battery that has most of them",
        decimals=0,
        worse="high",
        sources=("modules_offline",),
        pick="high",
        api_key="modules_offline",
    ),
    Derived(
        name="battery_modules_blocking_charge",
        label="modules of one battery that block charging",
        unit="",
        meaning="Modules that block charging of the battery that has most of them",
        decimals=0,
        worse="high",
        sources=("modules_blocking_charge",),
        pick="high",
        api_key="modules_blocking_charge",
    ),
    Derived(
        name="battery_modules_blocking_discharge",
        label="modules of one battery that block discharging",
        unit="",
        meaning="Modules that block discharging of the battery that has most of them",
        decimals=0,
        worse="high",
        sources=("modules_blocking_discharge",),
        pick="high",
        api_key="modules_blocking_discharge",
    ),
    Derived(
        name="pv_expected_w",
        label="PV power under a clear sky",
        unit="W",
        meaning="PV power that a clear sky would allow at that moment",
        decimals=0,
        measurement=Measurement.SITE,
    ),
    Derived(
        name="pv_performance_ratio",
        label="PV performance ratio",
        unit="",
        meaning="PV energy made in about an hour of daylight as a share of what a clear sky allows",
        decimals=2,
        worse="low",
        gauge=Gauge(
            "pv_performance_ratio",
            "PV energy made in about an hour of daylight as a share of what a clear sky allows",
        ),
        questions=(
            Question(
                "pv_performance",
                {
                    "en": "pv performance ratio|pv performance|performance ratio|"
                    "performance ratios|solar performance|solar performance ratio|pv efficiency",
                },
                steady=0.05,
            ),
        ),
    ),
    Derived(
        name="data_quality_ratio",
        label="data quality",
        unit="",
        meaning="Share of what a full judgement needs that the site gives: fresh, moving and "
        "within physics",
        decimals=2,
        worse="low",
        gauge=Gauge("site_data_quality_ratio", "Quality of the site's data, 0 to 1"),
        questions=(
            Question(
                "data_quality", {"en": "data quality|quality of the data", "de": "datenqualität"}
            ),
        ),
    ),
    Derived(
        name="confidence_ratio",
        label="confidence in the score",
        unit="",
        meaning="How sure the score is, never above the data quality; none of a site that does not "
        "answer",
        decimals=2,
        worse="low",
        gauge=Gauge("site_confidence_ratio", "How sure the site's score is, 0 to 1"),
        questions=(
            Question("confidence", {"en": "confidence|confidence in the score", "de": "konfidenz"}),
        ),
    ),
    Derived(
        name="odd_score",
        label="oddness in several ways",
        unit="",
        meaning="Robust z of all compared metrics together, towards the bad side: a standard "
        "normal value where nothing is odd",
        decimals=1,
        worse="high",
    ),
    Derived(
        name="soh_trend_percent_month",
        label="trend of the state of health",
        unit="%",
        meaning="Change of the state of health a month, median of all slopes of 35 days",
        decimals=2,
        worse="low",
        gauge=Gauge(
            "battery_soh_trend_ratio_per_month", "Change of the state of health a month", scale=0.01
        ),
        questions=(
            Question("soh_trend", {"en": "soh trend|trend of the state of health|soh slope"}),
        ),
    ),
    Derived(
        name="soh_limit_days",
        label="days until the state of health reaches its limit",
        unit="d",
        meaning="By the trend of 35 days, until the next limit of the state of health; only where "
        "the trend is sure",
        decimals=0,
        worse="low",
        gauge=Gauge("battery_soh_limit_days", "Days until the state of health reaches its limit"),
    ),
    Derived(
        name="soh_limit_earliest_days",
        label="the same at the earliest",
        unit="d",
        meaning="Earliest end of the 90 % interval of the days until that limit",
        decimals=0,
        worse="low",
    ),
    Derived(
        name="soh_limit_latest_days",
        label="the same at the latest",
        unit="d",
        meaning="Latest end of that interval; none where the trend may as well end",
        decimals=0,
        worse="low",
    ),
    Derived(
        name="temperature_trend_c_month",
        label="trend of the battery temperature",
        unit="°C",
        meaning="Change of the highest battery temperature of a day a month, median of all slopes "
        "of 35 days in means of five",
        decimals=1,
        worse="high",
    ),
    Derived(
        name="temperature_limit_days",
        label="days until the battery temperature reaches its limit",
        unit="d",
        meaning="By the trend of 35 days, until the highest of a day reaches `temperature_max`; at "
        "most 60, only where the trend is sure",
        decimals=0,
        worse="low",
        gauge=Gauge(
            "battery_temperature_limit_days", "Days until the battery temperature reaches its limit"
        ),
    ),
    Derived(
        name="temperature_limit_earliest_days",
        label="the same at the earliest",
        unit="d",
        meaning="Earliest end of the 99 % interval of the days until that limit",
        decimals=0,
        worse="low",
    ),
    Derived(
        name="temperature_limit_latest_days",
        label="the same at the latest",
        unit="d",
        meaning="Latest end of that interval; none where the trend may take longer than 60 days",
        decimals=0,
        worse="low",
    ),
)
