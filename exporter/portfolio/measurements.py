"""What InfluxDB holds of the portfolio: each measurement with its tags, fields, formula and source.

The one table of it. What publishes writes these rows and nothing else, the API gives the formula
and the source with its answers, and panels show fields as they are: a panel puts rows together only
as :class:`Combine` of the field allows.

All of it is in the retention policy (or bucket) ``portfolio``. Days and months are those of the
market's zone; their rows are stamped with the beginning. Amounts are in the currency of the
contracts. Power is positive on discharge. A figure that is not known is no field: never 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from exporter.model.levels import PORTFOLIO as KEPT_AT
from exporter.portfolio.measurement import Combine, Measurement, StoredField

__all__ = ["KEPT_AT", "MEASUREMENTS", "TELEMETRY", "Combine", "Measurement", "StoredField"]

_SUM, _MEAN, _MIN, _MAX, _LAST = (
    *(Combine.SUM, Combine.MEAN, Combine.MIN, Combine.MAX),
    Combine.LAST,
)
_ONE = "1 or 0"

_MEASURED = (
    Measurement(
        "telemetry",
        ("site",),
        "One row a reading, once a minute as a rule; what `fleetscope import --table telemetry` "
        "took in. The time is that of the reading.",
        {
            "power_kw": StoredField("kW", "At the point of connection", _MEAN),
            "reactive_kvar": StoredField("kvar", "Reactive power", _MEAN),
            "voltage_pu": StoredField("pu", "Of the nominal voltage", _MEAN),
            "frequency_hz": StoredField("Hz", "Of the grid", _MEAN),
            "controller_status": StoredField(_ONE, "1 while the plant's controller runs", _MIN),
            "cooling_status": StoredField(_ONE, "1 while the cooling works", _MIN),
            "latency_ms": StoredField("ms", "From the controller to us", _MEAN),
            "drop_ratio": StoredField("0 to 1", "Share of messages that were lost", _MEAN),
            "inverter_efficiency_percent": StoredField("%", "While power flows", _MEAN),
            "soc_percent": StoredField("%", "State of charge", _LAST),
            "soh_percent": StoredField("%", "State of health", _LAST),
            "temperature_c": StoredField("°C", "Mean of the cells", _MEAN),
            "temperature_max_c": StoredField("°C", "The hottest cell", _MAX),
            "voltage_v": StoredField("V", "Of the battery, DC", _MEAN),
            "current_a": StoredField("A", "Of the battery, DC", _MEAN),
            "cycles": StoredField("–", "As the battery counts them", _LAST),
        },
        source="import of telemetry",
    ),
    Measurement(
        "dispatch",
        ("site",),
        "One row a period of the ledger's orders (a quarter hour as a rule), stamped with its "
        "beginning.",
        {
            "wanted_kw": StoredField("kW", "Ordered", _MEAN),
            "allowed_kw": StoredField("kW", "What limits left of it", _MEAN),
            "actual_kw": StoredField("kW", "Measured", _MEAN),
            "seconds": StoredField("s", "Length of the period", _SUM),
        },
        source="ledger: dispatch",
    ),
    Measurement(
        "price",
        ("market",),
        "One row a settlement period.",
        {
            "price": StoredField("amount/MWh", "Of energy", _MEAN),
            "seconds": StoredField("s", "Length of the period", _SUM),
        },
        source="ledger: prices",
    ),
    Measurement(
        "quality",
        ("site",),
        "One row an hour (UTC).",
        {
            "expected": StoredField("–", "Minutes of that hour", _SUM),
            "received": StoredField("–", "Minutes of which a power was measured", _SUM),
            "completeness_percent": StoredField("%", "100 · received / expected", _MEAN),
        },
        formula="completeness = minutes with a measured power / minutes of the hour",
        source="telemetry",
    ),
)

_MONEY = (
    Measurement(
        "settlement",
        ("site", "service", "run"),
        "One row a day and settlement run: the statement beside our own figures.",
        {
            "stated": StoredField("amount", "What the run pays for lines that we judge", _SUM),
            "own": StoredField("amount", "What should be paid for them", _SUM),
            "difference": StoredField("amount", "stated − own", _SUM),
            "penalty": StoredField("amount", "Penalties that the run takes off", _SUM),
            "unjudged": StoredField(
                "amount", "Stated for lines without measured power or price", _SUM
            ),
            "lines": StoredField("–", "Lines that were compared", _SUM),
            "differing": StoredField("–", "Of them with a difference", _SUM),
            "in_force": StoredField(_ONE, "1 for the latest run of that day", _MAX),
        },
        formula="difference = stated − own, by line; see dispute for its causes",
        source="ledger: settlement, dispatch, prices, events; contracts",
    ),
    Measurement(
        "dispute",
        ("site", "service", "run", "cause"),
        "One row a difference of one line, stamped with the beginning of its settlement period. "
        "Causes: `missing`, `unexpected`, `volume`, `price`, `penalty`, `rest`.",
        {
            "amount": StoredField("amount", "What this cause adds to stated − own", _SUM),
            "stated_volume": StoredField("MWh, MW·h or MW", "As the statement says", _SUM),
            "own_volume": StoredField("MWh, MW·h or MW", "As we measured", _SUM),
            "stated_price": StoredField("amount", "For one of these units", _MEAN),
            "own_price": StoredField("amount", "For one of these units", _MEAN),
            "open": StoredField(_ONE, "1 while the run that is in force has it", _SUM),
        },
        formula="missing −own; unexpected stated; volume Δq·p_own; price q_stated·Δp; "
        "penalty own − stated; rest what is left",
        source="ledger: settlement, dispatch, prices, events; contracts",
    ),
    Measurement(
        "revenue",
        ("site", "service"),
        "One row a day.",
        {
            "amount": StoredField(
                "amount", "The run in force, or our own figure where no run states the day", _SUM
            ),
            "stated": StoredField("amount", "The run in force", _SUM),
            "own": StoredField("amount", "What should be paid", _SUM),
            "penalty": StoredField("amount", "Penalties that the run in force takes off", _SUM),
            "budget": StoredField("amount", "Expected when the budget was made", _SUM),
            "provisional": StoredField(_ONE, "1 where no run states the day yet", _SUM),
        },
        formula="energy Σ price·(export − import); availability MW·h·price of what was kept; "
        "capacity MW·price a day",
        source="ledger: settlement, budget, dispatch, prices, events; contracts",
    ),
    Measurement(
        "potential",
        ("site", "service"),
        "One row a day: the whole that losses are parts of.",
        {
            "best": StoredField("amount", "The most that could have been earned", _SUM),
            "planned": StoredField("amount", "Of the orders, with a plant without trouble", _SUM),
            "paid": StoredField("amount", "The run in force, or our own figure", _SUM),
            "lost": StoredField("amount", "best − paid; the sum of all causes", _SUM),
        },
        formula="energy: the best is one linear program (HiGHS) over the month at the prices that "
        "came; service: all contracted hours",
        source="ledger: dispatch, prices, events, settlement; contracts; telemetry (SOC)",
    ),
    Measurement(
        "loss",
        ("site", "service", "cause"),
        "One row a day and cause, in the order in which causes are charged: `forecast`, `outage`, "
        "`derating`, `soc`, `communication`, `not_followed`, `rest`. A negative amount is a gain.",
        {"amount": StoredField("amount", "What the cause took", _SUM)},
        formula="sequential counterfactual: the orders played through the plant with one more "
        "limit at a time; the causes add up to best − paid",
        source="ledger: dispatch, prices, events, settlement; contracts; telemetry (SOC)",
    ),
    Measurement(
        "waterfall",
        ("site", "step"),
        "One row a day and step, over all services: `best`, each cause of loss, `paid`.",
        {
            "place": StoredField("–", "From the left, from 0", _LAST),
            "total": StoredField("amount", "Of `best` and `paid`", _SUM),
            "amount": StoredField("amount", "What a cause took", _SUM),
            "left": StoredField("amount", "What is left after it", _SUM),
        },
        formula="left = best − what this and all earlier causes took",
        source="loss, potential",
    ),
    Measurement(
        "payout",
        ("partner",),
        "One row a month.",
        {
            "by_steps": StoredField("amount", "By the steps of the waterfall", _SUM),
            "by_minima": StoredField("amount", "What minima add or take", _SUM),
            "total": StoredField("amount", "Both", _SUM),
            "share_percent": StoredField("%", "Of the revenue of the month"),
        },
        formula="waterfall of the contracts, then guaranteed minima; adds up to the revenue",
        source="contracts; ledger: settlement",
    ),
    Measurement(
        "sla",
        ("site", "term"),
        "One row a month.",
        {
            "target_percent": StoredField("%", "Guaranteed"),
            "actual_percent": StoredField("%", "Reached, after exclusions"),
            "coverage_percent": StoredField("%", "Of the month was observed"),
            "least_coverage_percent": StoredField("%", "Needed for a judgement"),
            "met": StoredField(_ONE, "Absent where too little was observed", _SUM),
            "shortfall": StoredField("points", "target − actual, 0 or more"),
            "owed": StoredField("amount", "After the cap", _SUM),
            "owed_before_cap": StoredField("amount", "By the tiers alone", _SUM),
            "cap": StoredField("amount", "The most for a month", _SUM),
            "down_hours": StoredField("h", "Down time that counts", _SUM),
            "excluded_hours": StoredField("h", "Down time that the contract takes out", _SUM),
            "document": StoredField("text", "Of the contract", _LAST),
        },
        formula="min(cap, Σ tiers(target − actual)); actual = 1 − counted down time / "
        "(observed time − excluded down time)",
        source="contracts; ledger: events, dispatch; telemetry. IEC TS 63019, IEEE 762",
    ),
)

_DUTY = (
    Measurement(
        "availability",
        ("site",),
        "One row a day, without exclusions.",
        {
            "percent": StoredField("%", "100 · up / (up + down); of many rows the ratio of sums"),
            "up_hours": StoredField("h", "Observed and not down", _SUM),
            "down_hours": StoredField("h", "Down, whatever the cause", _SUM),
            "unobserved_hours": StoredField("h", "Neither up nor down: nobody saw it", _SUM),
            "coverage_percent": StoredField("%", "Observed share of the day", _MEAN),
            "weighted_percent": StoredField("%", "Σ min(P/P_rated, E/E_rated)·Δt / ΣΔt", _MEAN),
        },
        formula="1 − down time / observed time",
        source="ledger: events, dispatch; telemetry. IEC TS 63019",
    ),
    Measurement(
        "down",
        ("site", "category"),
        "One row a day and category that had some; each moment is in one of them.",
        {"hours": StoredField("h", "Down", _SUM)},
        formula="the first category in the order of IEC TS 63019 where several hold",
        source="ledger: events",
    ),
    Measurement(
        "event",
        ("site", "device", "code", "category"),
        "One row an event, stamped with its beginning; where it lasts into another month, one more "
        "at the beginning of that month with an `one` of 0.",
        {
            "end": StoredField("s", "Unix seconds; absent while it lasts", _LAST),
            "hours": StoredField("h", "Until its end, or the end of the period", _SUM),
            "available": StoredField("0 to 1", "Share of its power that was left to the plant"),
            "severity": StoredField("text", "As imported", _LAST),
            "lost": StoredField("amount", "Its part of the losses of all services", _SUM),
            "restoration_hours": StoredField("h", "From failure to service, forced outages", _MEAN),
            "repair_hours": StoredField("h", "The repair alone", _MEAN),
            "detection_hours": StoredField("h", "Until somebody knew", _MEAN),
            "ticket": StoredField("text", "Of the same device and code, opened in it", _LAST),
            "repeat": StoredField("–", "How often this device had this code in 30 days", _MAX),
            "one": StoredField("–", "1, to count", _SUM),
        },
        formula="restoration = detection + waiting + repair",
        source="ledger: events, tickets. ISO/TR 12489",
    ),
    Measurement(
        "ticket",
        ("site", "device", "code"),
        "One row a ticket, stamped with its opening.",
        {
            "ticket": StoredField("text", "Its number", _LAST),
            "open": StoredField(_ONE, "1 until it is closed", _SUM),
            "waiting_hours": StoredField("h", "From the opening to the repair", _MEAN),
            "repair_hours": StoredField("h", "From the repair to the closing", _MEAN),
            "closed": StoredField("s", "Unix seconds", _LAST),
            "one": StoredField("–", "1, to count", _SUM),
        },
        source="ledger: tickets",
    ),
    Measurement(
        "response",
        ("site", "service"),
        "One row a day of a service with a response curve. From readings once a minute a delay is "
        "indicative.",
        {
            "accuracy_percent": StoredField("%", "1 − mean|P − P_required(f)| / P_contract", _MEAN),
            "delay_s": StoredField("s", "To a tenth of the largest required step", _MAX),
            "coverage_percent": StoredField("%", "Observed share of the service's hours", _MEAN),
            "indicative": StoredField(_ONE, "1 where readings are slower than a second", _MAX),
        },
        formula="accuracy = 1 − mean|P − P_required(f)| / P_contract",
        source="telemetry (power, frequency); dispatch; contracts. The accuracy is ours",
    ),
    Measurement(
        "frequency_curve",
        ("site", "service", "band"),
        "One row a month and band of 0.02 Hz: P(f) beside the contract's curve.",
        {
            "frequency_hz": StoredField("Hz", "Middle of the band", _LAST),
            "power_kw": StoredField("kW", "Mean power above what was ordered", _MEAN),
            "required_kw": StoredField("kW", "By the contract's curve", _MEAN),
            "minutes": StoredField("min", "Of readings in the band", _SUM),
        },
        formula="mean of power − ordered power over readings in the band",
        source="telemetry; ledger: dispatch; contracts",
    ),
)

_PLANTS = (
    Measurement(
        "plant",
        ("site",),
        "One row a month: what the contracts say of a plant. The newest holds.",
        {
            "name": StoredField("text", "Of the fleet file, else the id", _LAST),
            "vendor": StoredField("text", "Of the contracts", _LAST),
            "region": StoredField("text", "Of the contracts", _LAST),
            "currency": StoredField("text", "Of all amounts", _LAST),
            "zone": StoredField("text", "Time zone of the market, in which days begin", _LAST),
            "power_kw": StoredField("kW", "Rated", _SUM),
            "usable_kwh": StoredField("kWh", "As bought", _SUM),
            "latitude": StoredField("°", "Of the contracts, else of the fleet file", _LAST),
            "longitude": StoredField("°", "Of the contracts, else of the fleet file", _LAST),
            "cycles_a_year": StoredField("–", "That the warranty allows", _LAST),
            "end_of_life_soh_percent": StoredField("%", "At which it is augmented", _LAST),
        },
        source="contracts; fleet file",
    ),
    Measurement(
        "plant_day",
        ("site",),
        "One row a day.",
        {
            "charged_kwh": StoredField("kWh", "Taken from the grid", _SUM),
            "discharged_kwh": StoredField("kWh", "Given to the grid", _SUM),
            "cycles": StoredField("–", "Equivalent full cycles", _SUM),
            "cycle_budget": StoredField("–", "That the warranty allows for the day", _SUM),
            "wear": StoredField("amount", "Of these cycles, where contracts price one", _SUM),
            "margin": StoredField("amount", "Energy revenue − wear", _SUM),
            "margin_per_cycle": StoredField(
                "amount", "Energy revenue / cycles; of many rows sum / sum"
            ),
            "soc_lowest_percent": StoredField("%", "Of the day", _MIN),
            "soc_highest_percent": StoredField("%", "Of the day", _MAX),
            "soh_percent": StoredField("%", "Median of the day", _LAST),
            "temperature_c": StoredField("°C", "Mean of the day", _MEAN),
            "temperature_max_c": StoredField("°C", "The hottest cell of the day", _MAX),
            "inverter_efficiency_percent": StoredField("%", "Mean while power flows", _MEAN),
            "latency_p50_ms": StoredField("ms", "Median of the day", _MEAN),
            "latency_p95_ms": StoredField("ms", "One reading of twenty is slower", _MAX),
            "drop_ratio": StoredField("0 to 1", "Mean share of messages lost", _MEAN),
            "gaps": StoredField("–", "Stretches without readings", _SUM),
            "gap_minutes": StoredField("min", "Their length", _SUM),
            "controller_down_minutes": StoredField("min", "Controller reported to be off", _SUM),
            "cooling_down_minutes": StoredField("min", "Cooling reported to be off", _SUM),
            "observed_percent": StoredField("%", "Minutes with a measured power", _MEAN),
        },
        formula="cycles = (E_in + E_out) / (2·E_usable); budget = cycles a year · days / 365.25",
        source="telemetry, where a day has none the ledger's dispatch; contracts",
    ),
    Measurement(
        "plant_month",
        ("site",),
        "One row a month: figures that are no sums of days.",
        {
            "availability_percent": StoredField("%", "Without exclusions"),
            "coverage_percent": StoredField("%", "Observed share of the month"),
            "failures": StoredField("–", "Forced outages that began in it", _SUM),
            "mtbf_hours": StoredField("h", "Operating hours / failures; absent without a failure"),
            "restoration_hours": StoredField("h", "Mean from failure to service"),
            "repair_hours": StoredField("h", "Mean of the repair alone"),
            "round_trip_percent": StoredField("%", "E_out / (E_in − ΔSOC·E_usable)"),
            "revenue": StoredField("amount", "As in revenue", _SUM),
            "budget": StoredField("amount", "As in revenue", _SUM),
            "lost": StoredField("amount", "As in potential", _SUM),
            "owed": StoredField("amount", "For guarantees that were missed", _SUM),
            "energy_margin_per_cycle": StoredField("amount", "Energy revenue / equivalent cycles"),
            "cycles": StoredField("–", "Equivalent full cycles", _SUM),
            "cycle_budget": StoredField("–", "That the warranty allows", _SUM),
            "revenue_per_mw": StoredField("amount", "Revenue / rated MW"),
        },
        formula="MTBF = operating hours / failures; round trip = E_out / (E_in − ΔSOC·E_usable)",
        source="as of its parts; ISO/TR 12489, FEMP",
    ),
    Measurement(
        "distribution",
        ("site", "quantity", "band"),
        "One row a day and band: hours of `temperature` (the hottest cell, bands of 5 °C) and of "
        "`voltage` (bands of 0.01 pu), cycles of `depth` (rainflow of SOC, bands of 10 %; each "
        "counted on the day on which it ends).",
        {
            "hours": StoredField("h", "Of temperature and voltage", _SUM),
            "cycles": StoredField("–", "Of depth; a half cycle is 0.5", _SUM),
            "lower": StoredField("of the band", "Where the band begins, to sort by", _LAST),
        },
        formula="rainflow, ASTM E1049",
        source="telemetry",
    ),
    Measurement(
        "soh_forecast",
        ("site",),
        "One row a month ahead, until the plant would be augmented or ten years have passed, "
        "stamped with the month's beginning. A later publication writes over it.",
        {
            "soh_percent": StoredField("%", "Expected", _LAST),
            "low_percent": StoredField("%", "Nineteen of twenty should be above", _LAST),
            "high_percent": StoredField("%", "Nineteen of twenty should be below", _LAST),
        },
        formula="Theil–Sen line through daily medians of SOH",
        source="telemetry",
    ),
    Measurement(
        "lifecycle",
        ("site",),
        "One row a month: what is left of a plant by its end.",
        {
            "soh_percent": StoredField("%", "At the end of the month", _LAST),
            "fade_percent_a_year": StoredField("%", "Loss of SOH in a year", _LAST),
            "end_of_life_soh_percent": StoredField("%", "Of the contracts", _LAST),
            "augmentation": StoredField("s", "Unix seconds at which SOH is expected there", _LAST),
            "augmentation_early": StoredField("s", "One of twenty earlier", _LAST),
            "augmentation_late": StoredField(
                "s", "One of twenty later; absent where the trend allows none", _LAST
            ),
            "years_left": StoredField("–", "Until then, from the month's end", _LAST),
            "cycles_counted": StoredField("–", "As the battery counts them", _LAST),
            "cycles_used_percent": StoredField("%", "Of the warranty's for the month", _LAST),
        },
        formula="Theil–Sen slope of daily medians; (SOH − end of life) / fade",
        source="telemetry; contracts",
    ),
    Measurement(
        "project",
        ("project",),
        "One row a version of a project in the ledger, stamped with the import that brought it. "
        "The newest holds; the earlier ones show how its dates slipped.",
        {
            "region": StoredField("text", "As imported", _LAST),
            "stage": StoredField("text", "As imported", _LAST),
            "mw": StoredField("MW", "Power", _SUM),
            "mwh": StoredField("MWh", "Energy", _SUM),
            "planned": StoredField("s", "Unix seconds", _LAST),
            "expected": StoredField("s", "Unix seconds", _LAST),
            "slip_days": StoredField("d", "expected − planned", _LAST),
        },
        source="ledger: pipeline",
    ),
    Measurement(
        "publication",
        ("site",),
        "One row a month: up to when anything was measured, and what its figures rest on.",
        {
            "through": StoredField("s", "Unix seconds of the newest measured power", _MAX),
            "through_day": StoredField("text", "The same as a date of the market's zone", _LAST),
            "days": StoredField("–", "Days of the month that had ended"),
            "ledger_import": StoredField("–", "Number of the newest import of the ledger in it"),
            "readings": StoredField("–", "Readings of power and charge in it"),
            "contracts": StoredField("text", "Hash of the contracts"),
        },
        source="telemetry, where there is none the ledger's dispatch",
    ),
    Measurement(
        "benchmark",
        ("vendor", "figure"),
        "One row a month: a vendor's plants among all. `figure` names a field of plant_month, "
        "availability, plant_day or lifecycle.",
        {
            "value": StoredField("of the figure", "Median over the vendor's plants"),
            "fleet": StoredField("of the figure", "Median over all plants"),
            "score": StoredField("–", "Robust z, positive is better; absent below three plants"),
            "sites": StoredField("–", "n: the vendor's plants with this figure", _SUM),
            "of_sites": StoredField("–", "All plants with this figure", _SUM),
            "unit": StoredField("text", "Of the figure", _LAST),
            "label": StoredField("text", "The figure in words", _LAST),
        },
        formula="0.6745·(x − median)/MAD, MAD with a floor; signed so that better is positive",
        source="as of the figure",
    ),
)

MEASUREMENTS: Mapping[str, Measurement] = MappingProxyType(
    {one.name: one for one in (*_MEASURED, *_MONEY, *_DUTY, *_PLANTS)}
)
"""By name."""
TELEMETRY = MEASUREMENTS["telemetry"]
