"""``fleetscope evidence``: a signed pack of what a guarantee rests on, and its check."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from zoneinfo import ZoneInfo

import typer

from exporter.cli.settlement import BooksOption, ContractsOption, fail, period_of, sites_of

if TYPE_CHECKING:
    from exporter.portfolio.contracts_file import SiteContract

NOT_TRUSTED = 3
"""Exit code of a pack whose parts fit together, but whose signer nobody named."""

app = typer.Typer(help="A signed pack of what a guarantee rests on, and its check.")


@app.callback(invoke_without_command=True)
def evidence(
    context: typer.Context,
    site: Annotated[str | None, typer.Option("--site", help="Id of the site.")] = None,
    period: Annotated[
        str, typer.Option("--period", help="Such as 'last month' or 2026-03.")
    ] = "last month",
    output: Annotated[
        Path | None, typer.Option("--output", help="File to write; evidence-SITE-FROM.zip.")
    ] = None,
    books: BooksOption = None,
    contracts: ContractsOption = None,
    key: Annotated[
        Path | None,
        typer.Option(
            "--key",
            envvar="FLEETSCOPE_EVIDENCE_KEY_FILE",
            help="Private key of Ed25519 in PEM: openssl genpkey -algorithm ed25519.",
        ),
    ] = None,
) -> None:
    """Write terms, exclusions, counts, figures and rows of one site's period as one signed file.

    Cycles and state of health are in it where FLEETSCOPE_INFLUXDB_URL names where they are
    published.
    """
    if context.invoked_subcommand is not None:
        return
    from exporter.cli.extras import require
    from exporter.config.side_file import SideFileError
    from exporter.deliver.report.evidence_document import evidence_html
    from exporter.deliver.report.pdf import NoPdfError, as_pdf
    from exporter.portfolio import evidence as packs
    from exporter.portfolio.contracts_file import load_contracts
    from exporter.portfolio.ledger import Ledger, LedgerError

    require("report")
    require("oidc")
    if site is None:
        fail("name the site: --site ID")
    if books is None or contracts is None:
        fail("name the ledger and the contracts: --books FILE --contracts FILE")
    if key is None:
        fail("name the key that signs: --key FILE or FLEETSCOPE_EVIDENCE_KEY_FILE")
    try:
        terms = load_contracts(contracts)
        (contract,) = sites_of(terms, [site])
        zone = ZoneInfo(terms.zone)
        bounds = period_of(period, zone)
        signing = packs.read_private_key(key)
        days = asyncio.run(_published_days(contract, bounds))
        with Ledger(books, read_only=True) as ledger:
            data = packs.gathered(ledger, contract, terms.zone, terms.currency, bounds, days)
        html = evidence_html(data, packs.fingerprint(signing.public_key()))
        content = packs.packed(data, asyncio.run(as_pdf(html)), signing)
        begin = datetime.fromtimestamp(bounds[0], zone)
        path = output or Path(f"evidence-{site}-{begin:%Y-%m-%d}.zip")
        path.write_bytes(content)
    except (SideFileError, LedgerError, packs.EvidenceError, NoPdfError) as error:
        fail(str(error))
    except OSError as error:
        fail(f"{error.filename}: {error.strerror}")
    typer.echo(f"{path}: {_counts(data)}, signed by {packs.fingerprint(signing.public_key())}")


@app.command()
def verify(
    file: Annotated[Path, typer.Argument(help="The pack.")],
    public_key: Annotated[
        Path | None,
        typer.Option(
            "--public-key",
            envvar="FLEETSCOPE_EVIDENCE_PUBLIC_KEY_FILE",
            help="The key that should have signed, in PEM: openssl pkey -pubout.",
        ),
    ] = None,
) -> None:
    """Check a pack: signature, hashes, rows, and figures worked out again from the rows.

    Exits 0 if all is right and the key is the one named, 1 if anything is wrong, 3 if all fits
    together and no key was named.
    """
    from exporter.cli.extras import require
    from exporter.portfolio import evidence as packs

    require("oidc")
    try:
        trusted = None if public_key is None else packs.read_public_key(public_key)
        found = packs.verified(file.read_bytes(), trusted)
    except packs.EvidenceError as error:
        fail(f"{file}: {error}")
    except OSError as error:
        fail(f"{file}: {error.strerror}")
    for problem in found.problems:
        typer.echo(f"wrong: {problem}")
    if found.problems:
        raise typer.Exit(1)
    assert found.data is not None  # whatever cannot be read is a problem
    typer.echo(f"{file}: {_counts(found.data)}; every hash, row and figure is right")
    if not found.trusted:
        typer.echo(f"signed by {found.key}; whose key that is, --public-key says")
        raise typer.Exit(NOT_TRUSTED)
    typer.echo(f"signed by {found.key}, the key that was named")


def _counts(data: Mapping[str, Any]) -> str:
    rows = sum(len(table["rows"]) for table in data["tables"].values())
    return f"{data['site']}, {rows:,} rows"


async def _published_days(site: SiteContract, bounds: tuple[float, float]) -> list[dict[str, Any]]:
    """Published rows ``plant_day``; none where no InfluxDB is named."""
    from exporter.config.settings import SettingsError, load_settings
    from exporter.history.databases import Databases
    from exporter.history.influxql import InfluxQL, NoAnswerError
    from exporter.portfolio.stored_figures import read_rows

    try:
        databases = Databases(load_settings())
        settings = databases.by_project.get(databases.of(site.id))
        if settings is None:
            return []
        stored = InfluxQL.from_settings(settings)
        assert stored is not None  # every database has an address
        try:
            return await read_rows(stored, "plant_day", *bounds, {"site": [site.id]})
        finally:
            await stored.close()
    except (SettingsError, NoAnswerError) as error:
        fail(str(error))
