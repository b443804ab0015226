"""``fleetscope energy``: what came, what it cost, and where it went."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any
from zoneinfo import ZoneInfo

import typer

from exporter.cli import client
from exporter.cli.pv_tables import pv_sentences

if TYPE_CHECKING:
    from rich.table import Table

_FORMATS = {"15m": "%a %d %b %H:%M", "hour": "%a %d %b %H:%M", "day": "%a %d %b %Y"}
_FORMATS |= {"month": "%b %Y", "year": "%Y"}


def energy(
    site: Annotated[
        list[str] | None,
        typer.Argument(help="Ids, names or parts of either; without any the whole fleet."),
    ] = None,
    since: Annotated[
        str, typer.Option("--since", help="Such as today, 7d, 'last month' or 2026-03-01.")
    ] = "today",
    until: Annotated[str | None, typer.Option("--until", help="Where it ends; now.")] = None,
    step: Annotated[
        str, typer.Option("--step", help="Of the course: auto, 15m, hour, day, month or year.")
    ] = "auto",
    tz: Annotated[
        str | None,
        typer.Option("--tz", help="Time zone in which days begin; of one site its own."),
    ] = None,
    course: Annotated[bool, typer.Option("--course", help="Also each step.")] = False,
    pv: Annotated[
        bool, typer.Option("--pv", help="Also PV against the sun, by day and inverter.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Plain JSON, with all evidence.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="The course as CSV, in kWh.")] = False,
    url: Annotated[
        str, typer.Option("--url", help="Where the exporter listens.", envvar="FLEETSCOPE_URL")
    ] = "http://127.0.0.1:9797",
) -> None:
    """Energy of a period: each flow, self-consumption, cost, CO2, and from where to where."""
    # Words such as "last month" are one text, which the API calls a period.
    given = {"since": since, "until": until} if until is not None else {"period": since}
    try:
        sites = [client.site_id(url, name) for name in site or ()]
        asked = given | {"site": sites, "step": step, "tz": tz or _zone(sites)}
        found = client.get(url, "energy", asked, 120)
    except client.CannotAskError as error:
        typer.echo(f"fleetscope: {error}", err=True)
        raise typer.Exit(client.EXIT_CANNOT_ANSWER) from error
    if as_json:
        import json

        typer.echo(json.dumps(found, indent=2, ensure_ascii=False))
    elif as_csv:
        _csv(found)
    else:
        _show(found, course=course, pv=pv)


def _zone(sites: list[str]) -> str | None:
    """The zone to ask in; the exporter knows that of one site itself."""
    return None if len(sites) == 1 else client.local_zone()


def _show(found: dict[str, Any], *, course: bool, pv: bool) -> None:
    from exporter.cli.console import console, plain_table
    from exporter.cli.pv_tables import show_pv

    out = console()
    names = [row["name"] for row in found["by_site"]]
    whose = names[0] if len(names) == 1 else f"{len(names)} sites"
    out.print(f"Energy of {whose}, {_span(found)}", markup=False, style="bold")
    table = plain_table("", "Total", "Average", "Peak", "Now", "Observed", "From")
    for flow in found["flows"].values():
        peak = _watts(flow["peak_w"])
        if flow["peak_time"] is not None:
            peak += f" ({_moment(found, flow['peak_time']):%d %b %H:%M})"
        table.add_row(
            str(flow["label"]),
            f"{flow['kwh']:z,.1f} kWh",
            _watts(flow["average_w"]),
            peak,
            _watts(flow["current_w"]),
            f"{flow['observed_percent']:.0f} %",
            str(flow["source"]),
        )
    if not found["flows"]:
        out.print("Nothing is stored of that period.")
        return
    out.print(table)
    for line in _sentences(found):
        out.print(line, markup=False, soft_wrap=True)
    if found["links"]:
        out.print(_links(found))
    if course:
        out.print(_course(found))
    if pv and found["pv"] is None:
        out.print("No day of PV was judged: it needs FLEETSCOPE_FORECASTS or FLEETSCOPE_WEATHER.")
    elif pv:
        show_pv(out, found["pv"], lambda time: _moment(found, time))


def _span(found: dict[str, Any]) -> str:
    begin, end = _moment(found, found["since"]), _moment(found, found["until"])
    return f"{begin:%d %b %Y %H:%M} to {end:%d %b %Y %H:%M} ({found['tz']})"


def _moment(found: dict[str, Any], time: float) -> datetime:
    moment = datetime.fromtimestamp(time, UTC)
    try:
        return moment.astimezone(ZoneInfo(found["tz"]))
    except (ValueError, OSError, KeyError):
        return moment


def _watts(value: float | None) -> str:
    return "–" if value is None else f"{value / 1000:z,.2f} kW"


def _sentences(found: dict[str, Any]) -> list[str]:
    lines = []
    if found["self_consumption_percent"] is not None:
        lines.append(f"{found['self_consumption_percent']:.0f} % of the PV energy was used here.")
    if found["self_sufficiency_percent"] is not None:
        lines.append(
            f"{found['self_sufficiency_percent']:.0f} % of the load did not come from the grid."
        )
    if found["unaccounted_kwh"] is not None:
        lines.append(f"{found['unaccounted_kwh']:z,.1f} kWh were lost or are measured nowhere.")
    cost, co2 = found["cost"], found["co2"]
    if found["pv"] is not None:
        lines += pv_sentences(found["pv"], cost)
    if cost is not None:
        line = (
            f"Cost {cost['net']:z,.2f} {cost['currency']}: {cost['import_cost']:z,.2f} for energy, "
            f"{cost['standing']:z,.2f} standing charge, less {cost['feed_in_income']:z,.2f} for "
            f"feed-in; tariff {', '.join(cost['tariffs'])}."
        )
        if cost["unpriced_kwh"] > 0:
            line += f" {cost['unpriced_kwh']:z,.1f} kWh have no price and are not in it."
        lines.append(line)
    if co2 is not None:
        lines.append(f"CO2 of energy from the grid: {co2['import_kg']:z,.1f} kg.")
    return lines


def _links(found: dict[str, Any]) -> Table:
    from exporter.cli.console import plain_table

    labels = {name: flow["label"] for name, flow in found["flows"].items()}
    table = plain_table("From", "To", "Energy", title="Where it went")
    for link in sorted(found["links"], key=lambda link: -link["kwh"]):
        source, target = link["source"], link["target"]
        table.add_row(
            str(labels.get(source, source)),
            str(labels.get(target, target)),
            f"{link['kwh']:z,.2f} kWh",
        )
    return table


def _course(found: dict[str, Any]) -> Table:
    from exporter.cli.console import plain_table

    names = list(found["course"]["kwh"])
    table = plain_table("", *(str(found["flows"][name]["label"]) for name in names), title="kWh")
    form = _FORMATS[found["step"]]
    for place, start in enumerate(found["course"]["starts"]):
        values = (found["course"]["kwh"][name][place] for name in names)
        cells = ["–" if value is None else f"{value:z,.2f}" for value in values]
        table.add_row(_moment(found, start).strftime(form), *cells)
    return table


def _csv(found: dict[str, Any]) -> None:
    names = list(found["course"]["kwh"])
    typer.echo(",".join(["start", *names]))
    for place, start in enumerate(found["course"]["starts"]):
        values = (found["course"]["kwh"][name][place] for name in names)
        cells = ["" if value is None else str(value) for value in values]
        typer.echo(",".join([_moment(found, start).isoformat(), *cells]))
