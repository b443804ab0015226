"""The command line."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from exporter.cli import evidence, mcp_command, orders, questions
from exporter.cli.cells import cells
from exporter.cli.energy import energy
from exporter.cli.evaluate import evaluate
from exporter.cli.import_files import import_files
from exporter.cli.outlook import plan
from exporter.cli.portfolio import portfolio
from exporter.cli.report import report
from exporter.cli.settlement import settlement
from exporter.cli.ticket import ticket

app = typer.Typer(
    name="fleetscope",
    help="Health scores, outliers and alerts for fleets of battery and solar sites.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
)


def _version(wanted: bool) -> None:
    if wanted:
        from exporter.cli import about

        typer.echo(about.version_text(as_json=False))
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="The version.")
    ] = False,
) -> None:
    """Options of the program itself."""


questions.register(app)
mcp_command.register(app)

app.command("import")(import_files)
app.command("cells")(cells)
app.command("evaluate")(evaluate)
app.command("dispatch")(orders.dispatch)
app.command("orders")(orders.orders)
app.command("release")(orders.release)
app.command("energy")(energy)
app.command("plan")(plan)
app.command("settlement")(settlement)
app.command("portfolio")(portfolio)
app.add_typer(evidence.app, name="evidence")

FleetOption = Annotated[
    Path | None, typer.Option("--fleet", help="Fleet file (FLEETSCOPE_FLEET).", metavar="FILE")
]


@app.command()
def run(
    fleet: FleetOption = None,
    listen: Annotated[
        str | None,
        typer.Option("--listen", help="Address of the HTTP server.", metavar="HOST:PORT"),
    ] = None,
    shard: Annotated[
        str | None,
        typer.Option(
            "--shard",
            help="The part of the fleet file to poll: 0/4 to 3/4 for four exporters.",
            metavar="INDEX/COUNT",
        ),
    ] = None,
) -> None:
    """Poll the fleet, store its readings, score it and serve the scores."""
    from exporter import app as service
    from exporter.config import logs
    from exporter.config.fleet_file import FleetFileError

    settings = _settings(fleet=fleet, listen=listen, shard=shard)
    if settings.fleet is None:
        _fail("no fleet file is named; use --fleet FILE or FLEETSCOPE_FLEET")
    logs.set_up(settings.log_level, settings.log_format)
    try:
        service.run(settings, settings.fleet)
    except FleetFileError as error:
        _fail(str(error))


@app.command("check-config")
def check_config(
    file: Annotated[Path, typer.Argument(help="Fleet file, YAML or JSON.")],
    as_json: Annotated[bool, typer.Option("--json", help="Plain JSON.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="The mistakes as CSV.")] = False,
) -> None:
    """Check a fleet file; lists every mistake and exits 1 if there is any."""
    from exporter.cli import about

    raise typer.Exit(about.check(file, as_json=as_json, as_csv=as_csv))


@app.command()
def probe(
    addresses: Annotated[
        list[str] | None, typer.Argument(help="HOST, HOST:PORT or a URL; nothing else is asked.")
    ] = None,
    site: Annotated[
        str | None,
        typer.Option("--site", help="Explain the last exchange of the running exporter with it."),
    ] = None,
    template: Annotated[
        str | None,
        typer.Option("--template", help="Try this template alone: a shipped one, or your file."),
    ] = None,
    parameter: Annotated[
        list[str] | None,
        typer.Option("--parameter", help="NAME=VALUE that the template asks for; repeatable."),
    ] = None,
    write: Annotated[
        bool, typer.Option("--write", help="Add what answers to nodes.yaml, beside the fleet file.")
    ] = False,
    fleet: FleetOption = None,
    url: Annotated[
        str | None,
        typer.Option("--url", help="Where the exporter listens.", envvar="FLEETSCOPE_URL"),
    ] = None,
) -> None:
    """Say what answers at an address, what it would give, and its entry for the fleet file."""
    from exporter.cli.client import CannotAskError, usual_url
    from exporter.cli.exchange import explain_site
    from exporter.cli.probe import ProbeError, run_probe

    if bool(addresses) == bool(site):
        _fail("name addresses, or a site with --site; not both")
    try:
        if site:
            raise typer.Exit(explain_site(url or usual_url(), site))
        raise typer.Exit(
            run_probe(
                _settings(fleet=fleet),
                addresses or [],
                write=write,
                template=template,
                parameters=parameter,
            )
        )
    except (ProbeError, CannotAskError) as error:
        _fail(str(error))


app.command()(report)
app.command()(ticket)


@app.command()
def rollup(
    start: Annotated[
        str | None, typer.Option("--from", help="First day or time, in UTC.", metavar="TIME")
    ] = None,
    stop: Annotated[
        str | None, typer.Option("--to", help="Last day, or time, in UTC.", metavar="TIME")
    ] = None,
    site: Annotated[list[str] | None, typer.Option("--site", help="Only this site.")] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Only list the days that need it; exits 1 if any does.")
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Also where full detail has expired in part.")
    ] = False,
) -> None:
    """Make roll-ups again out of what InfluxDB holds in full detail; all of it without a range."""
    from exporter.cli import rollup

    sites = tuple(site or ())
    raise typer.Exit(rollup.run(_settings(), start, stop, sites, check=check, force=force))


@app.command()
def verify(
    start: Annotated[str, typer.Option("--from", help="First time, in UTC.", metavar="TIME")],
    stop: Annotated[
        str | None, typer.Option("--to", help="End, in UTC; a minute ago.", metavar="TIME")
    ] = None,
) -> None:
    """Count what is in InfluxDB against the ledger. Exits 0 if all is there, 1 if not, 2 if it
    could not ask."""
    from exporter.cli import verify
    from exporter.cli.console import console
    from exporter.store.verification import VerifyError

    try:
        raise typer.Exit(verify.show(_settings(), start, stop, console()))
    except VerifyError as error:
        typer.echo(f"fleetscope: {error}", err=True)
        raise typer.Exit(2) from error


@app.command()
def version(
    as_json: Annotated[bool, typer.Option("--json", help="Also Python and the system.")] = False,
) -> None:
    """Print the version."""
    from exporter.cli import about

    typer.echo(about.version_text(as_json=as_json))


def _settings(**given: Any) -> Any:
    from exporter.config.settings import SettingsError, load_settings

    try:
        return load_settings(**given)
    except SettingsError as error:
        _fail(str(error))


def _fail(message: str) -> Any:
    typer.echo(f"fleetscope: {message}", err=True)
    raise typer.Exit(1)
