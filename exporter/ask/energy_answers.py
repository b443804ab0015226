"""Answers out of the energy account: PV against what was expected, shares, cost, plans."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta, tzinfo
from typing import Any

from exporter.ask.answer import Answer, CannotAnswerError, Column, Table
from exporter.ask.builder import MOSTLY, SITE_COLUMNS, Builder, capital
from exporter.ask.figures import FIGURES, PV_CAUSES
from exporter.ask.query import Period
from exporter.ask.statements import no_answer
from exporter.config.fleet import Site
from exporter.energy.accounts import MOST_PV_DAYS, Account, account
from exporter.energy.buckets import usual_step
from exporter.energy.savings import measured_saving
from exporter.energy.stored_outlook import read_plan, read_standing, read_summary
from exporter.energy.stored_pv import PvAccount, days_in, read_pv_of_sites
from exporter.energy.tariff_file import TariffFile, zone_of_site
from exporter.history.influxql import InfluxQL, NoAnswerError
from exporter.model.figures import figure as written
from exporter.model.figures import with_unit
from exporter.model.text import sites_word
from scoring.pv_losses import CAUSE_LABELS, FAULTS

DAY_SECONDS = 86_400.0
PLAN_SECONDS = 36 * 3600.0
MOST_ACCOUNTS = 50
"""Sites whose accounts are worked out one by one."""
NO_TARIFF = "there are no prices of energy: FLEETSCOPE_TARIFFS is not set"
_CAUSE_COLUMNS = (
    Column("label", "Lost to"),
    Column("kwh", "Energy", "number", "kWh", 1),
    Column("value", "Worth", "number", "", 2),
    Column("fault", "To be mended"),
)
_PV_COLUMNS = (
    *SITE_COLUMNS,
    Column("measured_kwh", "Measured", "number", "kWh", 1),
    Column("expected_kwh", "Expected", "number", "kWh", 1),
    Column("lost_kwh", "Less", "number", "kWh", 1),
    Column("clipped_kwh", "Above the limit", "number", "kWh", 1),
    Column("days", "Days judged", "number"),
)
_ACCOUNT_COLUMNS = (
    Column("figure", "Figure"),
    Column("value", "Value", "number", decimals=2),
    Column("unit", "Unit"),
)
_PLAN_COLUMNS = (
    Column("start", "From", "time"),
    Column("action", "Action"),
    Column("power_w", "Power", "number", "W", 0),
    Column("soc_percent", "State of charge", "number", "%", 1),
    Column("reason", "Why"),
)


def bounds_in(period: Period, zone: tzinfo) -> tuple[float, float]:
    """Unix seconds of the bounds of a period, of which whole days are those of another zone."""
    start, end = period.start, period.end
    assert start.tzinfo is not None
    return days_in(start.timestamp(), end.timestamp(), start.tzinfo, zone)


def _kwh(value: float) -> str:
    return with_unit(written(value, 1), "kWh")


def _when(b: Builder) -> str:
    return b.period.words or "in the period"


def _when_in(b: Builder, zone: tzinfo) -> str:
    """The period in words, with the zone of its days where that is not the asker's."""
    start, end = b.period.start, b.period.end
    asked = (start.timestamp(), end.timestamp())
    return _when(b) if bounds_in(b.period, zone) == asked else f"{_when(b)} (days of {zone})"


async def energy_answer(b: Builder, stored: InfluxQL, tariffs: TariffFile | None) -> Answer:
    """A figure of the energy account of the sites asked about, over the period of the query.

    Raises
    ------
    CannotAnswerError
    """
    figure = b.query.figure or ""
    try:
        if figure.startswith("pv_"):
            return await _pv(b, stored)
        if figure == "saving":
            return await _saving(b, stored, tariffs)
        return await _account(b, stored, tariffs)
    except NoAnswerError as error:
        raise no_answer(error) from error


def _sites(b: Builder) -> list[Site]:
    wanted = set(b.chosen)
    return [site for site in b.view.sites if site.id in wanted]


def _prefixed(b: Builder, text: str) -> str:
    """A sentence behind what was observed, where that was not nearly all."""
    assert b.coverage is not None
    if b.coverage.below(MOSTLY):
        return f"{b.coverage.sentence()} {text}"
    return text


async def _pv(b: Builder, stored: InfluxQL) -> Answer:
    sites = _sites(b)
    if len(sites) * b.period.seconds / DAY_SECONDS > MOST_PV_DAYS:
        raise CannotAnswerError("that is too many days of too many sites; ask about fewer")
    by_site: dict[str, PvAccount] = {}
    start, end = b.period.start, b.period.end
    assert start.tzinfo is not None
    found = await read_pv_of_sites(stored, sites, start.timestamp(), end.timestamp(), start.tzinfo)
    for day in found.days:
        by_site.setdefault(day["site"], PvAccount()).days.append(day)
    if not found.days:
        raise CannotAnswerError(
            f"no day of PV of {b.of_sites()} is judged, {_when(b)}; it takes readings of PV power, "
            "coordinates and the PV capacity in the fleet file (docs/energy.md)"
        )
    head = _PV_HEADS[b.query.figure or ""](b, found, by_site)
    judged = len(found.days)
    silent = [site.id for site in sites if site.id not in by_site]
    if silent:
        b.evidence.missing.append(f"PV against the sun of {sites_word(len(silent))}")
    if judged < found.asked_days:
        head += f" {judged} of {found.asked_days} days of sites are judged."
    unseen = found.total("unobserved_kwh")
    if written(unseen, 1) != "0.0":
        b.evidence.missing.append(
            f"{_kwh(unseen)} were expected in time that nobody observed; they are in no figure"
        )
    b.evidence.notes.append(
        "Expected is what the arrays should have given in the sun that there was; losses add up to "
        "expected less measured (docs/energy.md)"
    )
    b.evidence.notes.append(f"Days are those of each site's time zone; {judged} are judged")
    tables = [_pv_table(b, by_site)]
    if found.losses:
        tables.insert(0, _cause_table(found))
    shown = [b.view.directory.row(line["site"]) for line in tables[-1].rows]
    return b.answer(_prefixed(b, head), tables, shown)


def _cause_table(found: PvAccount) -> Table:
    rows = [
        {
            "cause": cause.value,
            "label": CAUSE_LABELS[cause],
            "kwh": round(kwh, 4),
            "value": None if value is None else round(value, 4),
            "fault": "yes" if cause in FAULTS else "no",
        }
        for cause, (kwh, value) in found.losses.items()
    ]
    columns = tuple(
        Column(c.key, c.label, c.kind, found.currency, c.decimals) if c.key == "value" else c
        for c in _CAUSE_COLUMNS
    )
    rows.sort(key=lambda row: -float(row["kwh"] or 0.0))
    return Table("PV energy lost", columns, rows, len(rows))


def _pv_table(b: Builder, by_site: dict[str, PvAccount]) -> Table:
    lines = [
        b.view.identity(b.view.directory.row(site))
        | {
            "measured_kwh": round(made.total("measured_kwh"), 4),
            "expected_kwh": round(made.total("expected_kwh"), 4),
            "lost_kwh": round(made.lost_kwh, 4),
            "clipped_kwh": round(made.total("clipped_kwh"), 4),
            "days": len(made.days),
        }
        for site, made in by_site.items()
    ]
    key = "clipped_kwh" if b.query.figure == "pv_clipped" else "lost_kwh"
    sign = 1 if b.query.order in ("lowest", "best") else -1
    lines.sort(key=lambda line: (sign * line[key], line["site"]))
    return Table("PV against what was expected", _PV_COLUMNS, b.limit(lines), len(lines))


def _whose(b: Builder, by_site: dict[str, PvAccount]) -> str:
    if len(by_site) == 1:
        return b.view.directory.titles[next(iter(by_site))]
    return capital(sites_word(len(by_site)))


def _worth(value: float | None, currency: str) -> str:
    return "" if value is None else f", worth {value:z.2f} {currency}"


def _expected(b: Builder, found: PvAccount, by_site: dict[str, PvAccount]) -> str:
    made, wanted = found.total("measured_kwh"), found.total("expected_kwh")
    text = (
        f"{_whose(b, by_site)} made {_kwh(made)} of PV energy where {_kwh(wanted)} were expected, "
        f"{_when(b)}"
    )
    less = found.lost_kwh
    if wanted > 0:
        word = "less" if less >= 0 else "more"
        text += f": {_kwh(abs(less))} {word} ({100 * abs(less) / wanted:.0f} %)"
    low, high = found.total("low_kwh"), found.total("high_kwh")
    return (
        f"{text}. Without a fault eight of ten such days lie between {_kwh(low)} and {_kwh(high)}."
    )


def _lost(b: Builder, found: PvAccount, by_site: dict[str, PvAccount]) -> str:
    whose, when = _whose(b, by_site), _when(b)
    by_name = {cause.value: amounts for cause, amounts in found.losses.items()}
    if b.query.causes:
        parts = []
        for cause in b.query.causes:
            kwh, value = by_name.get(cause, (0.0, None))
            lost = _worth(value, found.currency)
            parts.append(f"{_kwh(kwh)} to {PV_CAUSES[cause]}{lost}")
        return f"{whose} lost {' and '.join(parts)}, {when}, as far as days are judged."
    less = found.lost_kwh
    if less < 0:
        return f"{whose} made {_kwh(-less)} more PV energy than was expected, {when}."
    text = f"{whose} lost {_kwh(less)} of PV energy against what was expected, {when}"
    text += _worth(found.lost_value, found.currency)
    named = sorted(found.losses.items(), key=lambda item: -item[1][0])
    if named and named[0][1][0] > 0:
        cause, (kwh, _) = named[0]
        text += f"; most to {PV_CAUSES[cause.value]}, {_kwh(kwh)}"
    return f"{text}."


def _clipped(b: Builder, found: PvAccount, by_site: dict[str, PvAccount]) -> str:
    kwh = found.total("clipped_kwh")
    return (
        f"The limits of the inverters of {_whose(b, by_site)} took {_kwh(kwh)} of PV energy, "
        f"{_when(b)}, by design: that was never expected, so it is in no loss."
    )


_PV_HEADS: dict[str, Callable[[Builder, PvAccount, dict[str, PvAccount]], str]] = {
    "pv_expected": _expected,
    "pv_lost": _lost,
    "pv_clipped": _clipped,
}


async def _account(b: Builder, stored: InfluxQL, tariffs: TariffFile | None) -> Answer:
    """Shares, cost or CO2, out of the account that the API gives."""
    figure = b.query.figure or ""
    if figure in ("energy_cost", "feed_in_income", "co2") and tariffs is None:
        raise CannotAnswerError(NO_TARIFF, status=503)
    sites = _sites(b)
    if b.query.order and len(sites) > 1 and figure != "balance":
        return await _accounts(b, stored, tariffs, sites)
    made, zone = await _account_of(b, stored, tariffs, sites)
    rows = _account_rows(made)
    whose = sites[0].title if len(sites) == 1 else sites_word(len(sites))
    if figure == "balance":
        return _balance(b, whose, rows, _when_in(b, zone))
    value = next((row for row in rows if row["key"] == figure), None)
    if value is None or value["value"] is None:
        raise CannotAnswerError(_unknown(b, made))
    head = f"{capital(FIGURES[figure].label)} of {whose}, {_when_in(b, zone)}: "
    head += f"{value['value']:z.2f} {value['unit']}{_account_more(made, figure)}."
    table = Table("Energy account", _ACCOUNT_COLUMNS, rows, len(rows))
    listed = [b.view.directory.row(site.id) for site in sites] if b.query.sites else []
    return b.answer(_prefixed(b, head), [table], listed)


def _balance(b: Builder, whose: str, rows: list[dict[str, Any]], when: str) -> Answer:
    """Every flow of the account that is known."""
    flows = [f"{row['figure']} {_kwh(row['value'])}" for row in rows if row["unit"] == "kWh"]
    if not flows:
        raise CannotAnswerError(f"no energy of {b.of_sites()} is known, {when}")
    table = Table("Energy account", _ACCOUNT_COLUMNS, rows, len(rows))
    listed = [b.view.directory.row(site) for site in b.query.sites]
    return b.answer(_prefixed(b, f"{whose}, {when}: {', '.join(flows)}."), [table], listed)


async def _accounts(
    b: Builder, stored: InfluxQL, tariffs: TariffFile | None, sites: list[Site]
) -> Answer:
    """A figure of the account of each site by itself, in order."""
    figure = b.query.figure or ""
    label = FIGURES[figure].label
    if len(sites) > MOST_ACCOUNTS:
        raise CannotAnswerError(
            f"{label} is worked out site by site for {MOST_ACCOUNTS} sites at a time; ask about "
            "fewer, such as those of a region"
        )
    lines, unit = [], ""
    for site in sites:
        made, _ = await _account_of(b, stored, tariffs, [site])
        row = next((row for row in _account_rows(made) if row["key"] == figure), None)
        if row is None:
            b.evidence.missing.append(f"{label} of {site.title}")
            continue
        unit = row["unit"]
        place = b.view.directory.row(site.id)
        assert b.coverage is not None
        observed = {"observed": 100.0 * b.coverage.of(site.id)}
        lines.append(b.view.identity(place) | {"value": row["value"]} | observed)
    if not lines:
        raise CannotAnswerError(f"{label} of {b.of_sites()} is not known, {_when(b)}")
    low = b.query.order in ("lowest", "best" if FIGURES[figure].worse == "high" else "worst")
    lines.sort(key=lambda line: ((1 if low else -1) * line["value"], line["site"]))
    columns = (
        *SITE_COLUMNS,
        Column("value", capital(label), "number", unit, 2),
        Column("observed", "Observed", "number", "%", 1),
    )
    first = lines[0]
    head = f"{capital(label)} of {sites_word(len(lines))}, {_when(b)}: "
    head += f"{'lowest' if low else 'highest'} {first['name']} with {first['value']:z.2f} {unit}."
    shown = b.limit(lines)
    table = Table(capital(label), columns, shown, len(lines))
    rows = [b.view.directory.row(line["site"]) for line in shown]
    return b.answer(_prefixed(b, head), [table], rows)


async def _account_of(
    b: Builder, stored: InfluxQL, tariffs: TariffFile | None, sites: list[Site]
) -> tuple[Account, tzinfo]:
    """The account of some sites together, and the zone of its days."""
    zone = zone_of_site(sites[0]) if len(sites) == 1 else b.period.start.tzinfo
    assert zone is not None
    start, end = bounds_in(b.period, zone)
    active = {
        site.id: record.active_battery
        for site, record in zip(b.view.sites, b.view.assessment.records, strict=True)
        if record.active_battery is not None
    }
    made = await account(stored, sites, active, start, end, zone, usual_step(end - start), tariffs)
    b.evidence.influxql.extend(made.statements)
    return made, zone


def _account_rows(made: Account) -> list[dict[str, Any]]:
    """Every figure of an account that is known, as :mod:`exporter.serve.api.energy` gives it."""
    rows: list[dict[str, Any]] = [
        {"key": name, "figure": name.replace("_", " "), "value": round(flow.kwh, 4), "unit": "kWh"}
        for name, flow in made.flows.items()
    ]
    for key in ("self_consumption", "self_sufficiency"):
        share = getattr(made, key)
        value = None if share is None else round(100 * share, 2)
        rows.append({"key": key, "figure": FIGURES[key].label, "value": value, "unit": "%"})
    if made.money is not None:
        money = made.money
        for key, label, amount in (
            ("import_cost", "cost of energy from the grid", money.import_cost),
            ("standing", "standing charges", money.standing),
            ("feed_in_income", FIGURES["feed_in_income"].label, money.feed_in_income),
            ("energy_cost", "cost less income", money.net),
        ):
            row = {"key": key, "figure": label, "value": round(amount, 4), "unit": money.currency}
            rows.append(row)
    if made.co2 is not None:
        kg = round(made.co2.import_kg, 3)
        rows.append({"key": "co2", "figure": FIGURES["co2"].label, "value": kg, "unit": "kg"})
    return [row for row in rows if row["value"] is not None]


def _account_more(made: Account, figure: str) -> str:
    money = made.money
    if figure == "co2" and made.co2 is not None:
        unknown = made.co2.unknown_kwh
        return f" ({made.co2.assumption})" + (
            f"; {_kwh(unknown)} have no intensity" if written(unknown, 1) != "0.0" else ""
        )
    if money is None or figure not in ("energy_cost", "feed_in_income"):
        return ""
    text = ""
    if figure == "energy_cost":
        text = (
            f"; {money.import_cost:z.2f} from the grid, {money.standing:z.2f} standing charges, "
            f"less {money.feed_in_income:z.2f} earned by feed-in"
        )
    if written(money.unpriced_kwh, 1) != "0.0":
        text += f"; {_kwh(money.unpriced_kwh)} without a price are in no figure"
    return text


def _unknown(b: Builder, made: Account) -> str:
    label = FIGURES[b.query.figure or ""].label
    known = ", ".join(name.replace("_", " ") for name in made.flows) or "none"
    return f"{label} of {b.of_sites()} is not known, {_when(b)}; flows that are known: {known}"


async def _saving(b: Builder, stored: InfluxQL, tariffs: TariffFile | None) -> Answer:
    if tariffs is None:
        raise CannotAnswerError(NO_TARIFF, status=503)
    site, row = _one_site(b, "a saving")
    start, end = bounds_in(b.period, zone_of_site(site))
    device = b.view.assessment.records[row].active_battery
    found = await measured_saving(stored, site, device, start, end, tariffs)
    if isinstance(found, str):
        raise CannotAnswerError(f"what the battery of {site.title} saved is not known: {found}")
    word = "saved" if found.saved >= 0 else "cost"
    head = (
        f"The battery of {site.title} {word} {abs(found.saved):z.2f} {tariffs.currency} against "
        f"plain self-consumption, {_when_in(b, zone_of_site(site))}; the best that "
        f"could have been saves {found.missed:z.2f} more."
    )
    line = b.view.identity(row) | {
        "saved": round(found.saved, 4),
        "missed": round(found.missed, 4),
        "coverage": 100 * found.coverage,
    }
    columns = (
        *SITE_COLUMNS,
        Column("saved", "Saved", "number", tariffs.currency, 2),
        Column("missed", "Missed", "number", tariffs.currency, 2),
        Column("coverage", "Known", "number", "%", 1),
    )
    return b.answer(_prefixed(b, head), [Table("Saving", columns, [line], 1)], [row])


def _one_site(b: Builder, what: str) -> tuple[Site, int]:
    sites = _sites(b)
    if len(sites) != 1:
        raise CannotAnswerError(f"{what} is known of one site at a time; name one")
    return sites[0], b.view.directory.row(sites[0].id)


async def plan_answer(b: Builder, stored: InfluxQL | None) -> Answer:
    """What the battery of a site is planned to do from now on.

    Raises
    ------
    CannotAnswerError
    """
    if stored is None:
        raise CannotAnswerError("plans are stored, and no InfluxDB is configured", status=503)
    site, row = _one_site(b, "a plan")
    now = b.view.assessment.time
    begin = now // 900 * 900
    try:
        slots = await read_plan(stored, site.id, begin, begin + PLAN_SECONDS)
        summary = await read_summary(stored, site.id, now + 3600)
        standing, why = await read_standing(stored, site.id, now + 3600)
    except NoAnswerError as error:
        raise no_answer(error) from error
    if not slots:
        raise CannotAnswerError(f"there is no plan for {site.title} from now on")
    parts = _merged(slots)
    zone = zone_of_site(site)
    texts = [
        f"{part['action']} from {datetime.fromtimestamp(part['start'], zone):%H:%M}"
        f" ({part['reason']})"
        for part in parts[:3]
    ]
    head = f"The plan of {site.title} is {standing}{f' ({why})' if why else ''}: {'; '.join(texts)}"
    head += f"; {len(parts) - 3} more steps." if len(parts) > 3 else "."
    if summary is not None and summary.get("saving") is not None:
        head += (
            f" It is expected to save {summary['saving']:z.2f} {summary.get('currency') or ''}"
            " against plain self-consumption."
        )
    last = datetime.fromtimestamp(slots[-1]["time"], zone) + timedelta(minutes=15)
    b.evidence.notes.append(
        f"Times are those of {zone}; the plan ends at {last:%Y-%m-%d %H:%M}. A proposal is not sent"
    )
    table = Table("Plan", _PLAN_COLUMNS, b.limit(parts), len(parts))
    return b.answer(head, [table], [row])


def _merged(slots: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Slots that follow each other with the same action and reason as one."""
    parts: list[dict[str, Any]] = []
    for slot in slots:
        same = parts and all(parts[-1][key] == slot.get(key) for key in ("action", "reason"))
        if not same:
            names = ("action", "reason", "power_w", "soc_percent")
            parts.append({"start": slot["time"]} | {name: slot.get(name) for name in names})
    return parts
