"""``fleetscope cells``: what the history of a site's cells says."""

from __future__ import annotations

from datetime import date, datetime
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import RenderableType

    from exporter.model.cell_findings import SiteCells

_SEVERITY = {"critical": "bold red", "warning": "yellow", "info": "dim"}


def cells(
    site: Annotated[str, typer.Argument(help="Id, name or part of either.")],
    url: Annotated[
        str, typer.Option("--url", help="Where the exporter listens.", envvar="FLEETSCOPE_URL")
    ] = "http://127.0.0.1:9797",
    stored: Annotated[
        bool,
        typer.Option(
            "--stored", help="Analyse what InfluxDB holds now, without asking the exporter."
        ),
    ] = False,
    at: Annotated[
        str | None,
        typer.Option(
            "--at",
            help="With --stored: as it would have been said then (2026-03-01T13:10, or 7d ago).",
        ),
    ] = None,
    commissioned: Annotated[
        datetime | None,
        typer.Option(
            "--commissioned",
            formats=["%Y-%m-%d"],
            help="With --stored: when the battery went into service, if the fleet file of "
            "FLEETSCOPE_FLEET does not say.",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Plain JSON.")] = False,
) -> None:
    """What the history of a site's single cells says: findings, trends, forecasts, use.

    Exits 0 if no cell has a warning, 1 if one has, 2 if it could not ask.
    """
    if (at is not None or commissioned is not None) and not stored:
        _fail("--at and --commissioned need --stored")
    found = (
        _from_influxdb(site, at, commissioned and commissioned.date())
        if stored
        else _from_exporter(site, url)
    )
    if as_json:
        import orjson

        from exporter.model.cell_findings import as_dict

        typer.echo(orjson.dumps(as_dict(found), option=orjson.OPT_INDENT_2))
    elif found.fault is None:
        from exporter.cli.console import console

        out = console()
        for part in render(found):
            out.print(part, soft_wrap=isinstance(part, str))
    if not stored and not found.packs and not as_json and _show_present(url, found):
        raise typer.Exit(0)
    if found.fault is not None:
        _fail(f"{site}: {found.fault}")
    severe = any(f.severity != "info" for pack in found.packs for f in pack.findings)
    raise typer.Exit(1 if severe else 0)


def _from_exporter(site: str, url: str) -> SiteCells:
    from urllib.parse import quote

    from exporter.cli import client
    from exporter.model.cell_findings import from_dict

    try:
        site = client.site_id(url, site)
        return from_dict(client.get(url, f"sites/{quote(site, safe='')}/cells"))
    except client.CannotAskError as error:
        _fail(str(error))
    except ValueError as error:
        _fail(f"{url} answers, but not as an exporter does: {error}")


def _show_present(url: str, found: SiteCells) -> bool:
    """Show the cells as they are now, and what the analysis waits for; False without any cell."""
    from urllib.parse import quote

    from exporter.cli import client

    try:
        packs = client.get(url, f"sites/{quote(found.site, safe='')}/packs")["packs"]
    except client.CannotAskError as error:
        _fail(str(error))
    known = [(pack, _volts(pack)) for pack in packs]
    for pack, volts in known:
        if volts:
            low, high = min(volts), max(volts)
            lowest, highest = volts[low], volts[high]
            typer.echo(
                f"Pack {pack['device']}: {len(pack['cells'])} cells now, {low:.3f} V (cell "
                f"{lowest}) to {high:.3f} V (cell {highest}), {1e3 * (high - low):.0f} mV apart"
            )
    why = found.fault or "too little of its cells is stored yet"
    typer.echo(f"Findings, trends and forecasts come from the stored history: {why}.")
    typer.echo(
        "It needs cells stored in InfluxDB for some hours to name one that is off at rest, for "
        "days to see a trend, and is read every hour."
    )
    return any(volts for _, volts in known)


def _volts(pack: dict[str, Any]) -> dict[float, str]:
    """Each voltage with the cell that has it."""
    cells = pack["cells"]
    return {c["voltage_v"]: str(c["cell"]) for c in cells if c["voltage_v"] is not None}


def _commissioned(site: str, fleet: Path | None) -> date | None:
    """What the fleet file says of the site; it may know nothing of it."""
    from exporter.config.fleet_file import FleetFileError, load_fleet
    from exporter.drivers import DRIVERS

    if fleet is None:
        return None
    try:
        sites = load_fleet(fleet, DRIVERS).sites
    except FleetFileError as error:
        _fail(str(error))
    return next((one.commissioned for one in sites if one.id == site), None)


def _from_influxdb(site: str, at: str | None, commissioned: date | None) -> SiteCells:
    import asyncio
    import time
    from datetime import UTC

    from exporter.ask.periods.reader import read_moment
    from exporter.ask.query import QueryError
    from exporter.config.settings import SettingsError, load_settings
    from exporter.history.cells.analysis import analyse_site
    from exporter.history.databases import Databases
    from exporter.history.influxql import InfluxQL

    try:
        settings = load_settings()
        databases = Databases(settings)
        own = databases.by_project.get(databases.of(site))
        source = InfluxQL.from_settings(own) if own is not None else None
        until = time.time() if at is None else read_moment(at, datetime.now(UTC), UTC).timestamp()
    except (SettingsError, QueryError) as error:
        _fail(f"--at: {error}" if isinstance(error, QueryError) else str(error))

    day = commissioned or _commissioned(site, settings.fleet)

    async def analyse() -> SiteCells:
        if source is None:
            _fail("no InfluxDB is named; set FLEETSCOPE_INFLUXDB_URL")
        try:
            return await analyse_site(source, site, until, day)
        finally:
            await source.close()

    return asyncio.run(analyse())


def render(found: SiteCells) -> list[RenderableType]:
    """The findings of each pack, most severe first, then a table of its noteworthy cells."""
    from datetime import UTC, datetime

    from rich.text import Text

    parts: list[RenderableType] = []
    if not found.packs:
        parts.append("The stored history of the cells is too short for findings yet.")
    for pack in found.packs:
        first, last = (datetime.fromtimestamp(t, UTC) for t in (pack.start, pack.end))
        title = Text(f"Pack {pack.pack}", style="bold")
        spread = ""
        if pack.spread_rest_v is not None:
            spread = f", {pack.spread_rest_v * 1e3:.0f} mV apart at rest"
        title.append(
            f"  {len(pack.cells)} cells{spread}; {first:%Y-%m-%d} to {last:%Y-%m-%d}",
            style="dim",
        )
        parts.append(title)
        if not pack.findings:
            parts.append(Text("  Nothing to report.", style="green"))
        for finding in pack.findings:
            line = Text(f"  {finding.severity:8} ", style=_SEVERITY[finding.severity])
            line.append(finding.sentence, style="default")
            if finding.since is not None:
                since = datetime.fromtimestamp(finding.since, UTC)
                line.append(f", since {since:%Y-%m-%d}", style="dim")
            parts.append(line)
        parts += _usage(pack)
        parts.append("")
    return parts


def _usage(pack: Any) -> list[RenderableType]:
    from rich.text import Text

    said = []
    use, health = pack.cycling, pack.health
    if use is not None and use.equivalent_full is not None:
        said.append(f"{use.equivalent_full:.1f} full cycles in {use.days:.0f} days")
    if use is not None and use.efficiency is not None:
        doubt = use.efficiency_uncertainty or 0.0
        said.append(f"round trip {use.efficiency:.1%} ± {doubt:.1%}")
    if health is not None and health.reported_percent is not None:
        said.append(f"SOH {health.reported_percent:g} % as reported ({health.reported_class})")
    if health is not None and health.measured_percent is not None:
        doubt = health.measured_uncertainty or 0.0
        said.append(f"SOH {health.measured_percent:.1f} ± {doubt:.1f} % counted between rests")
    lines: list[RenderableType] = [Text("  " + "; ".join(said), style="dim")] if said else []
    if health is not None and (made := health.estimate) is not None:
        basis = "by its counters" if made.cycles_basis == "counters" else "if always used as seen"
        lines.append(
            Text(
                f"  SOH {made.percent:.1f} % estimated by age and use, not measured: 100 - "
                f"{made.calendar:.1f} for {made.years:.1f} years - {made.cycles:.1f} for "
                f"{made.full_cycles:.0f} full cycles ({basis}) - {made.imbalance:.1f} for "
                "imbalance",
                style="dim",
            )
        )
    return lines


def _fail(message: str) -> NoReturn:
    typer.echo(f"fleetscope: {message}", err=True)
    raise typer.Exit(2)
