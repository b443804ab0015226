"""``fleetscope import``: recorded files into InfluxDB."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from exporter.cli.extras import require
from exporter.cli.import_rules import RuleChanges

if TYPE_CHECKING:
    from rich.console import Console

    from exporter.config.settings import Settings
    from exporter.history.importing.importer import Outcome
    from exporter.history.importing.layout import FilePlan, FileRule, Format

_FILES = "What is in the files"
_WRITTEN = "How they are written (detected unless said)"
ROLLUPS_DUE = "rollups-due"
READ_IN_PART = 3
"""Exit code."""


def import_files(
    folder: Annotated[Path, typer.Argument(help="Folder of CSV or Parquet files, or one file.")],
    site: Annotated[
        list[str] | None,
        typer.Option(
            "--site",
            metavar="[SYSTEM=]ID",
            help="Site that the readings belong to; SYSTEM=ID for one system of several.",
            rich_help_panel=_FILES,
        ),
    ] = None,
    pattern: Annotated[
        list[str] | None,
        typer.Option(
            "--pattern",
            metavar="[QUANTITY=]NAME",
            help="File names, such as cell.voltage_v=bms{system}_p{pack}_v{cell}; "
            "the usual ones are known.",
            rich_help_panel=_FILES,
        ),
    ] = None,
    mapping: Annotated[
        Path | None,
        typer.Option(
            "--mapping", help="Mapping file (YAML) for other layouts.", rich_help_panel=_FILES
        ),
    ] = None,
    unit: Annotated[
        list[str] | None,
        typer.Option(
            "--unit",
            metavar="QUANTITY=UNIT",
            help="Unit in the files, such as meter.active_power_w=kW.",
            rich_help_panel=_FILES,
        ),
    ] = None,
    quantity: Annotated[
        list[str] | None,
        typer.Option(
            "--quantity",
            metavar="USUAL=OTHER",
            help="Another quantity than the usual one of a name, such as "
            "meter.energy_import_kwh=meter.interval_import_kwh.",
            rich_help_panel=_FILES,
        ),
    ] = None,
    where: Annotated[
        list[str] | None,
        typer.Option(
            "--where",
            metavar="COLUMN=TEXT",
            help="Only rows with that text in that column.",
            rich_help_panel=_FILES,
        ),
    ] = None,
    fleet: Annotated[
        Path | None,
        typer.Option(
            "--fleet",
            envvar="FLEETSCOPE_FLEET",
            help="Fleet file, to refuse sites that it does not have.",
            rich_help_panel=_FILES,
        ),
    ] = None,
    project: Annotated[
        str | None, typer.Option("--project", help="Only sites of it.", rich_help_panel=_FILES)
    ] = None,
    timezone: Annotated[
        str | None,
        typer.Option("--timezone", help="Such as Europe/Berlin, +01:00.", rich_help_panel=_WRITTEN),
    ] = None,
    ambiguous: Annotated[
        str | None,
        typer.Option(
            "--ambiguous",
            help="The hour that the clock shows twice: order (of the rows; default), earlier, "
            "later, reject.",
            rich_help_panel=_WRITTEN,
        ),
    ] = None,
    time_column: Annotated[
        str | None,
        typer.Option("--time-column", help="Heading, or number from 1.", rich_help_panel=_WRITTEN),
    ] = None,
    value_column: Annotated[
        str | None,
        typer.Option("--value-column", help="The same.", rich_help_panel=_WRITTEN),
    ] = None,
    time_format: Annotated[
        str | None,
        typer.Option(
            "--time-format",
            help="iso, unix_s, unix_ms or one such as '%d.%m.%Y %H:%M:%S'.",
            rich_help_panel=_WRITTEN,
        ),
    ] = None,
    separator: Annotated[
        str | None,
        typer.Option("--separator", help="One character, or tab.", rich_help_panel=_WRITTEN),
    ] = None,
    decimal: Annotated[
        str | None,
        typer.Option("--decimal", help="Decimal mark, . or ,", rich_help_panel=_WRITTEN),
    ] = None,
    skip_lines: Annotated[
        int | None,
        typer.Option(
            "--skip-lines", min=0, help="Lines before the headings.", rich_help_panel=_WRITTEN
        ),
    ] = None,
    encoding: Annotated[
        str | None,
        typer.Option("--encoding", help="Such as latin-1.", rich_help_panel=_WRITTEN),
    ] = None,
    only_check: Annotated[
        bool, typer.Option("--check", help="Read all, say what would be imported, write nothing.")
    ] = False,
    extend_retention: Annotated[
        bool,
        typer.Option(
            "--extend-retention", help="Let InfluxDB keep full detail as long as it goes back."
        ),
    ] = False,
    rollups: Annotated[
        bool,
        typer.Option(
            "--rollups/--no-rollups", help="Renew the roll-ups of the range when all is imported."
        ),
    ] = True,
    table: Annotated[
        str | None,
        typer.Option(
            "--table",
            help="Into the ledger: settlement, prices, dispatch, events, tickets, budget or "
            "pipeline; or telemetry of plants, into InfluxDB.",
            rich_help_panel=_FILES,
        ),
    ] = None,
    books: Annotated[
        Path | None,
        typer.Option(
            "--books",
            envvar="FLEETSCOPE_BOOKS",
            help="File of the ledger, made where it is absent.",
            rich_help_panel=_FILES,
        ),
    ] = None,
    state: Annotated[
        Path | None,
        typer.Option("--state", help="Folder for progress and bad rows.", metavar="DIR"),
    ] = None,
    again: Annotated[
        bool, typer.Option("--again", help="Write files again that are imported already.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The report as JSON.")] = False,
) -> None:
    """Bring recorded CSV or Parquet files into InfluxDB; goes on where it stopped.

    Exits 0 if all was imported, 1 if a file was not, 3 if files were read only in part, 130 if it
    was stopped.
    """
    if table is not None:
        from exporter.cli.import_tables import TableImport

        TableImport(table, books, mapping, timezone, state, decimal).run(
            folder, only_check=only_check, as_json=as_json
        )
        return
    require("import")
    from rich.console import Console

    from exporter.cli.import_databases import choose_database
    from exporter.config.settings import SettingsError
    from exporter.history.importing.layout import LayoutError

    console = Console(stderr=True)
    given = {
        "timezone": timezone,
        "ambiguous": ambiguous,
        "separator": "\t" if separator in ("tab", "\\t") else separator,
        "decimal": decimal,
        "encoding": encoding,
        "time_column": time_column,
        "time_format": time_format,
        "skip_lines": skip_lines,
    }
    changes = RuleChanges(unit or [], quantity or [], where or [], value_column)
    try:
        rules, sites, common = _understand(given, site, pattern, mapping, changes)
        plans, left_out = _plans(folder, rules, sites, common, fleet)
        settings = None
        if not only_check:
            settings, plans, left_out = choose_database(
                plans, left_out, _settings(), fleet, project
            )
    except (LayoutError, SettingsError, ValueError) as error:
        _fail(str(error))
    outcome, seconds = _import(
        folder, plans, left_out, settings, console, state, again=again, extend=extend_retention
    )
    rolled_up = True
    if settings is not None and settings.rollups and rollups and outcome.rollups_due:
        rolled_up = _roll_up(outcome, settings, state or _state_folder(folder, settings))
    _report(outcome, seconds, checked=only_check, as_json=as_json)
    raise typer.Exit(
        1 if not outcome.complete or not rolled_up else READ_IN_PART * bool(outcome.short)
    )


def _understand(
    given: dict[str, Any],
    site: list[str] | None,
    pattern: list[str] | None,
    mapping: Path | None,
    changes: RuleChanges,
) -> tuple[list[FileRule], dict[str, str], Format]:
    from pydantic import ValidationError

    from exporter.history.importing.layout import (
        BUILT_IN,
        Format,
        LayoutError,
        load_mapping,
        rule_of_option,
    )
    from exporter.history.importing.local_time import load_zone

    try:
        common = Format.model_validate({k: v for k, v in given.items() if v is not None})
    except ValidationError as error:
        detail = error.errors(include_url=False)[0]
        option = str(detail["loc"][0]).replace("_", "-")
        raise LayoutError(f"--{option}: {detail['msg']}") from None
    sites = _sites(site or [])
    rules = [rule_of_option(text) for text in pattern or []]
    if mapping is not None:
        document = load_mapping(mapping)
        rules += document.files
        common = common.over(document)
        said = document.systems | ({"": document.site} if document.site else {})
        sites = said | sites
    rules += BUILT_IN
    if common.timezone is not None:
        load_zone(common.timezone)
    for rule in rules:
        if rule.timezone is not None:
            load_zone(rule.timezone)
    return [changes.applied(rule) for rule in changes.checked(rules)], sites, common


def _sites(options: list[str]) -> dict[str, str]:
    from pydantic import TypeAdapter, ValidationError

    from exporter.config.fleet import SiteId
    from exporter.history.importing.layout import LayoutError

    sites: dict[str, str] = {}
    adapter: TypeAdapter[str] = TypeAdapter(SiteId)
    for text in options:
        system, _, site = text.rpartition("=")
        try:
            sites[system] = adapter.validate_python(site)
        except ValidationError:
            raise LayoutError(f"--site {text}: {site!r} cannot be the id of a site") from None
    return sites


def _plans(
    folder: Path,
    rules: list[FileRule],
    sites: dict[str, str],
    common: Format,
    fleet: Path | None,
) -> tuple[list[FilePlan], dict[str, str]]:
    from dataclasses import replace

    from exporter.config.fleet_file import FleetFileError, load_fleet
    from exporter.drivers import DRIVERS
    from exporter.history.importing.importer import plan
    from exporter.history.importing.layout import LayoutError

    if not folder.exists():
        raise LayoutError(f"{folder} does not exist")
    plans, left_out = plan(folder, rules, sites, common)
    if not plans:
        reason = next(iter(left_out.values()), "it holds no CSV or Parquet files")
        name = next(iter(left_out), "")
        raise LayoutError(f"{folder}: nothing to import; {name + ': ' if name else ''}{reason}")
    if fleet is not None:
        try:
            known = {site.id for site in load_fleet(fleet, DRIVERS).sites}
        except FleetFileError as error:
            raise LayoutError(str(error)) from None
        unknown = sorted({p.site for p in plans if p.site} - known)
        if unknown:
            raise LayoutError(f"{fleet} has no site {', '.join(unknown)}")
        plans = [replace(p, known=frozenset(known)) for p in plans]
    return plans, left_out


def _settings() -> Settings:
    from exporter.config.settings import SettingsError, load_settings

    try:
        settings = load_settings()
    except SettingsError as error:
        _fail(str(error))
    if settings.influxdb_url is None and settings.influxdb_projects is None:
        _fail("no InfluxDB is named; set FLEETSCOPE_INFLUXDB_URL, or use --check")
    return settings


def _import(
    folder: Path,
    plans: list[FilePlan],
    left_out: dict[str, str],
    settings: Settings | None,
    console: Console,
    state: Path | None,
    *,
    again: bool,
    extend: bool,
) -> tuple[Outcome, float]:
    import asyncio
    import time

    from exporter.history.importing.importer import Outcome, TooOldError, check
    from exporter.history.importing.messages import Bar
    from exporter.history.importing.ordered_sender import GaveUpError
    from exporter.history.importing.progress import BusyError
    from exporter.history.importing.retention import RetentionError

    outcome = Outcome(left_out=left_out)
    began = time.monotonic()
    total = sum(p.path.stat().st_size for p in plans)
    try:
        with Bar(console, total, len(plans)) as bar:
            if settings is None:
                asyncio.run(check(plans, bar, outcome))
            else:
                folder_of_state = state or _state_folder(folder, settings)
                asyncio.run(
                    _run(plans, settings, folder_of_state, bar, outcome, again=again, extend=extend)
                )
    except KeyboardInterrupt:
        where = "" if settings is None else "; the same command goes on where it was"
        typer.echo(f"fleetscope: stopped{where}", err=True)
        raise typer.Exit(130) from None
    except (BusyError, GaveUpError, RetentionError, TooOldError, OSError) as error:
        _fail(str(error))
    return outcome, time.monotonic() - began


async def _run(
    plans: list[FilePlan],
    settings: Settings,
    folder: Path,
    bar: Any,
    outcome: Outcome,
    *,
    again: bool,
    extend: bool,
) -> None:
    from exporter.history.importing.importer import Importer
    from exporter.history.importing.ordered_sender import Sender
    from exporter.history.importing.progress import State
    from exporter.history.importing.retention import Retention
    from exporter.store.influx import target_of

    state = State(folder)
    sender = Sender(target_of(settings), bar.note)
    # Outlives the process, so that an import that was stopped does not forget the roll-ups.
    due = folder / ROLLUPS_DUE
    before = due.exists()
    try:
        if again:
            state.forget()
        due.touch()
        await Importer(state, sender, Retention(settings), bar, extend=extend).run(plans, outcome)
        outcome.rollups_due = before or any(not result.before for result in outcome.files)
        if not outcome.rollups_due:
            due.unlink()
    finally:
        await sender.close()
        state.close()


def _state_folder(folder: Path, settings: Settings) -> Path:
    """One for each folder and database, so that an import elsewhere begins anew."""
    import hashlib

    whole = f"{folder.resolve()} {settings.influxdb_url} {settings.influxdb_database}"
    name = folder.resolve().name or "files"
    return Path("fleetscope-import") / f"{name}-{hashlib.sha256(whole.encode()).hexdigest()[:8]}"


def _roll_up(outcome: Outcome, settings: Settings, folder: Path) -> bool:
    from exporter.cli import rollup
    from exporter.history.importing.messages import rollup_range

    wanted = rollup_range(outcome)
    if wanted is not None:
        start, end, sites = wanted
        try:
            code = rollup.run(settings, start, end, sites, check=False, force=False)
        except KeyboardInterrupt:
            typer.echo(
                "fleetscope: all is imported; stopped while its roll-ups were renewed, which the "
                "same command begins again",
                err=True,
            )
            raise typer.Exit(130) from None
        if code:
            return False
    (folder / ROLLUPS_DUE).unlink(missing_ok=True)
    outcome.rollups_due = False
    return True


def _report(outcome: Outcome, seconds: float, *, checked: bool, as_json: bool) -> None:
    from exporter.history.importing import messages

    if as_json:
        import orjson

        typer.echo(orjson.dumps(messages.as_dict(outcome), option=orjson.OPT_INDENT_2))
        return
    from exporter.cli.console import console

    messages.show(outcome, console(), checked=checked, seconds=seconds)


def _fail(message: str) -> NoReturn:
    typer.echo(f"fleetscope: {message}", err=True)
    raise typer.Exit(1)
