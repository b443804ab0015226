"""What a site as a whole reports: a row for each quantity."""

from __future__ import annotations

from exporter.model.quantity import (
    POWER_WATTS,
    Gauge,
    Measurement,
    Quantity,
    Question,
    RollupKind,
)

SITE: tuple[Quantity, ...] = (
    Quantity(
        name="grid_power_w",
        label="grid power",
        measurement=Measurement.SITE,
        unit="W",
        minimum=-POWER_WATTS,
        maximum=POWER_WATTS,
        meaning="Power at the grid connection, summed over the phases; positive when importing",
        gauge=Gauge("grid_power_watts", "Power at the grid connection; positive when importing"),
        questions=(
            Question(
                "grid_power",
                {
                    "en": "grid power|grid import|power from the grid|grid exchange|"
                    "grid consumption|power at the grid|grid draw|grid load",
                    "de": "netzleistung|netzbezug",
                },
                fleet="sum",
                steady=50,
            ),
        ),
    ),
    Quantity(
        name="grid_frequency_hz",
        label="grid frequency",
        measurement=Measurement.SITE,
        unit="Hz",
        minimum=40,
        maximum=70,
        meaning="Frequency of the grid at the AC input",
        decimals=2,
        gauge=Gauge("grid_frequency_hertz", "Grid frequency; absent without a grid"),
        questions=(
            Question(
                "grid_frequency",
                {
                    "en": "grid frequency|frequency|frequencies|grid frequencies|mains frequency|"
                    "hertz",
                    "de": "netzfrequenz|frequenz",
                    "uk": "частота мережі|частот*",
                },
                steady=0.02,
            ),
        ),
    ),
    Quantity(
        name="grid_voltage_v",
        label="grid voltage",
        measurement=Measurement.SITE,
        unit="V",
        minimum=0,
        maximum=1000,
        meaning="Mean phase voltage of the grid at the AC input",
        kind=RollupKind.VOLTAGE,
        questions=(
            Question(
                "grid_voltage",
                {
                    "en": "grid voltage|grid voltages|mains voltage|line voltage|ac voltage",
                    "de": "netzspannung",
                    "uk": "напруга мережі|напруг* мережі",
                },
                steady=2,
            ),
        ),
    ),
    Quantity(
        name="grid_voltage_min_v",
        label="lowest phase voltage",
        measurement=Measurement.SITE,
        unit="V",
        minimum=0,
        maximum=1000,
        meaning="Lowest phase voltage of the grid",
        kind=RollupKind.VOLTAGE,
    ),
    Quantity(
        name="grid_voltage_max_v",
        label="highest phase voltage",
        measurement=Measurement.SITE,
        unit="V",
        minimum=0,
        maximum=1000,
        meaning="Highest phase voltage of the grid",
        kind=RollupKind.VOLTAGE,
    ),
    Quantity(
        name="grid_connected",
        label="grid presence",
        measurement=Measurement.SITE,
        unit="",
        minimum=0,
        maximum=1,
        meaning="1 with grid at the AC input, 0 when it is lost",
        kind=RollupKind.STATE,
    ),
    Quantity(
        name="grid_expected",
        label="grid expected",
        measurement=Measurement.SITE,
        unit="",
        minimum=0,
        maximum=1,
        meaning="1 at a site with a grid input or grid meter, 0 at one without",
        kind=RollupKind.STATE,
    ),
    Quantity(
        name="grid_frequency_step_hz",
        label="resolution of the grid frequency",
        measurement=Measurement.SITE,
        unit="Hz",
        minimum=0,
        maximum=1,
        meaning="Smallest step of the grid frequency that its source can show",
        decimals=3,
    ),
    Quantity(
        name="ac_source",
        label="AC source",
        measurement=Measurement.SITE,
        unit="",
        minimum=0,
        maximum=255,
        meaning="What feeds the AC input: 1 grid, 2 generator, 3 shore power, 240 nothing",
        kind=RollupKind.STATE,
    ),
    Quantity(
        name="ac_input_frequency_hz",
        label="frequency of generator or shore power",
        measurement=Measurement.SITE,
        unit="Hz",
        minimum=30,
        maximum=80,
        meaning="Frequency of a generator or of shore power while it feeds the AC input",
        decimals=2,
    ),
    Quantity(
        name="ac_input_voltage_v",
        label="voltage of generator or shore power",
        measurement=Measurement.SITE,
        unit="V",
        minimum=0,
        maximum=1000,
        meaning="Mean phase voltage of a generator or of shore power while it feeds the AC input",
        kind=RollupKind.VOLTAGE,
    ),
    Quantity(
        name="grid_import_kwh",
        label="imported energy",
        measurement=Measurement.SITE,
        unit="kWh",
        minimum=0,
        maximum=1e9,
        meaning="Energy counter of the meter: imported",
        kind=RollupKind.COUNTER,
        decimals=1,
        questions=(
            Question(
                "imported_energy",
                {
                    "en": "energy imported|imported energy|imported|imported from the grid|"
                    "grid energy|energy from the grid|energy bought|bought from the grid",
                    "de": "bezogen|netzbezug energie|eingekauft",
                },
                label="energy imported",
                over_time="counter",
                fleet="sum",
                steady=1,
            ),
        ),
    ),
    Quantity(
        name="grid_export_kwh",
        label="exported energy",
        measurement=Measurement.SITE,
        unit="kWh",
        minimum=0,
        maximum=1e9,
        meaning="Energy counter of the meter: exported",
        kind=RollupKind.COUNTER,
        decimals=1,
        questions=(
            Question(
                "exported_energy",
                {
                    "en": "energy exported|exported energy|exported|exported to the grid|fed in|"
                    "feed in|fed into the grid|energy sold|sold to the grid",
                    "de": "eingespeist|einspeisung",
                },
                label="energy exported",
                over_time="counter",
                fleet="sum",
                steady=1,
            ),
        ),
    ),
    Quantity(
        name="genset_power_w",
        label="generator power",
        measurement=Measurement.SITE,
        unit="W",
        minimum=-POWER_WATTS,
        maximum=POWER_WATTS,
        meaning="Power delivered by the generator",
        questions=(
            Question(
                "genset_power",
                {"en": "generator power|genset power|generator|genset|generators"},
            ),
        ),
    ),
    Quantity(
        name="load_power_w",
        label="consumption",
        measurement=Measurement.SITE,
        unit="W",
        minimum=-POWER_WATTS,
        maximum=POWER_WATTS,
        meaning="AC consumption, summed over the phases",
        gauge=Gauge("load_power_watts", "AC consumption, summed over the phases"),
        questions=(
            Question(
                "load_power",
                {
                    "en": "load|loads|consumption|demand|power consumption|load power|consume|"
                    "consumes|power use|power demand|power draw|electricity use|use|uses|using|"
                    "used",
                    "de": "verbrauch|die last|last von|stromverbrauch",
                    "uk": "споживання|споживан*",
                },
                fleet="sum",
                steady=50,
            ),
            Question(
                "load_energy",
                {
                    "en": "energy consumption|energy consumed|energy used|energy use|consumed|"
                    "energy demand",
                    "de": "verbraucht|energieverbrauch",
                    "uk": "спожита енергія|спожи*",
                },
                label="energy consumed",
                over_time="energy",
                fleet="sum",
                steady=1,
            ),
        ),
    ),
    Quantity(
        name="pv_power_w",
        label="PV power",
        measurement=Measurement.SITE,
        unit="W",
        minimum=-POWER_WATTS,
        maximum=POWER_WATTS,
        meaning="PV power, DC-coupled plus AC-coupled",
        gauge=Gauge("pv_power_watts", "PV power, DC- and AC-coupled together"),
        questions=(
            Question(
                "pv_power",
                {
                    "en": "pv power|solar power|pv production|solar production|solar output|"
                    "pv output|solar generation|pv generation|generation|production|pv|solar|"
                    "produce|produced|produces|generate|generated|generates|photovoltaic power|"
                    "sun power",
                    "de": "pv leistung|solarleistung|erzeugung|solarproduktion|pv erzeugung|"
                    "solarerzeugung|produktion",
                    "uk": "сонячна потужність|сонячн* потужн*|генерац*|виробництв*|"
                    "потужність сонячн*|потужн* сонячн*",
                },
                fleet="sum",
                steady=50,
            ),
            Question(
                "pv_energy",
                {
                    "en": "pv energy|solar energy|energy produced|energy generated|solar yield|"
                    "pv yield|yield|energy production|energy yield|solar harvest",
                    "de": "ertrag|solarertrag|pv ertrag|erzeugte energie|erzeugt|produziert",
                    "uk": "сонячна енергія|сонячн* енерг*|вироблен*|вироби*|виробіток",
                },
                label="PV energy",
                over_time="energy",
                fleet="sum",
                steady=1,
            ),
        ),
    ),
    Quantity(
        name="pv_dc_power_w",
        label="PV power of DC chargers",
        measurement=Measurement.SITE,
        unit="W",
        minimum=-POWER_WATTS,
        maximum=POWER_WATTS,
        meaning="PV power of the DC-coupled chargers",
    ),
    Quantity(
        name="pv_ac_power_w",
        label="PV power of AC inverters",
        measurement=Measurement.SITE,
        unit="W",
        minimum=-POWER_WATTS,
        maximum=POWER_WATTS,
        meaning="PV power of the AC-coupled inverters",
    ),
    Quantity(
        name="pv_disabled",
        label="PV held back",
        measurement=Measurement.SITE,
        unit="",
        minimum=0,
        maximum=1,
        meaning="1 while the site's controller holds the PV back",
        kind=RollupKind.STATE,
    ),
    Quantity(
        name="system_state",
        label="system state",
        measurement=Measurement.SITE,
        unit="",
        minimum=0,
        maximum=1023,
        meaning="State number of the site's controller",
        kind=RollupKind.STATE,
    ),
)
