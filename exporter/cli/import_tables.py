"""``fleetscope import --table``: statements, prices, orders, events and tickets into the ledger."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import typer

from exporter.cli.extras import require

if TYPE_CHECKING:
    from exporter.portfolio.column_source import ColumnMapping

READ_IN_PART = 3
"""Exit code, as of imported readings."""
_SHOWN_BAD = 5


@dataclass(frozen=True, slots=True)
class TableImport:
    """What the options say."""

    table: str
    books: Path | None
    mapping: Path | None
    timezone: str | None
    state: Path | None
    decimal: str | None = None

    def run(self, folder: Path, *, only_check: bool, as_json: bool) -> None:
        """Read files and take their rows in; exits 0 if all were, 1 if a file was not, 3 if rows
        were not.

        Raises
        ------
        typer.Exit
        """
        from exporter.portfolio.ledger import Ledger, LedgerError
        from exporter.portfolio.ledger_import import TableFileError, import_table, read_table
        from exporter.portfolio.ledger_rows import HeadingsError
        from exporter.portfolio.ledger_tables import TABLES

        if self.table == "telemetry":
            self._telemetry(folder, only_check=only_check, as_json=as_json)
            return
        found = TABLES.get(self.table)
        if found is None:
            _fail(f"--table {self.table}: expected one of {', '.join(TABLES)} or telemetry")
        if self.books is None and not only_check:
            _fail("name the file of the ledger: --books books.sqlite or FLEETSCOPE_BOOKS")
        files = _files(folder)
        if any(path.suffix == ".parquet" for path in files):
            require("import")
        mapping, zone = self._mapping(), self._zone()
        if self.decimal not in (None, ".", ","):
            _fail(f"--decimal {self.decimal}: expected . or ,")
        reports, failed, bad = [], False, 0
        for path in files:
            try:
                read = read_table(path, found, mapping, zone, self.decimal)
                bad += len(read.bad)
                report = {"file": path.name, "rows": len(read.rows), "bad": len(read.bad)}
                report |= {"reasons": [f"row {b.number}: {b.reason}" for b in read.bad]}
                if not only_check:
                    assert self.books is not None
                    aside = self.state or self.books.parent / "rejected"
                    with Ledger(self.books) as ledger:
                        done = import_table(ledger, path, found, read, aside)
                    report |= asdict(done) | {"aside": str(aside) if read.bad else None}
            except (TableFileError, HeadingsError, LedgerError) as error:
                report, failed = {"file": path.name, "error": str(error)}, True
            reports.append(report)
        _show(reports, as_json=as_json)
        raise typer.Exit(1 if failed else READ_IN_PART if bad else 0)

    def _telemetry(self, folder: Path, *, only_check: bool, as_json: bool) -> None:
        """Readings of plants, which go to InfluxDB."""
        import asyncio

        from exporter.config.settings import SettingsError, load_settings
        from exporter.history.importing.ordered_sender import GaveUpError
        from exporter.portfolio.ledger_import import TableFileError
        from exporter.portfolio.ledger_rows import HeadingsError
        from exporter.portfolio.stores import PortfolioStores
        from exporter.portfolio.telemetry_import import TelemetryFile

        require("import")
        files, mapping, zone = _files(folder), self._mapping(), self._zone()
        aside = None if only_check else self.state or Path("rejected")
        reports, failed, bad = [], False, 0

        async def take(file: TelemetryFile) -> list[str]:
            async with PortfolioStores(load_settings()) as stores:
                await stores.write(file.batches())
                return stores.refusals

        for path in files:
            file = TelemetryFile(path, mapping, zone, aside, self.decimal)
            report: dict[str, Any] = {"file": path.name}
            try:
                if only_check:
                    for _ in file.batches():
                        pass
                else:
                    refused = asyncio.run(take(file))
                    report |= {"refused": refused}
                    failed = failed or bool(refused)
                    report |= {"new": file.read.rows, "restated": 0, "same": 0}
                report |= {"rows": file.read.rows, "bad": file.read.bad}
                report |= {"reasons": file.read.reasons, "sites": sorted(file.read.sites)}
                report |= {"aside": str(aside) if aside is not None and file.read.bad else None}
                bad += file.read.bad
            except (TableFileError, HeadingsError, SettingsError, GaveUpError) as error:
                report, failed = {"file": path.name, "error": str(error)}, True
            reports.append(report)
        _show(reports, as_json=as_json)
        raise typer.Exit(1 if failed else READ_IN_PART if bad else 0)

    def _mapping(self) -> ColumnMapping:
        from exporter.config.side_file import SideFileError
        from exporter.portfolio.column_source import load_mapping

        if self.mapping is None:
            return {}
        try:
            return load_mapping(self.mapping)
        except SideFileError as error:
            _fail(str(error))

    def _zone(self) -> ZoneInfo | None:
        if self.timezone is None:
            return None
        try:
            return ZoneInfo(self.timezone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            _fail(f"--timezone {self.timezone}: expected one such as Europe/London or UTC")


def _files(folder: Path) -> list[Path]:
    if folder.is_dir():
        found = sorted(p for p in folder.iterdir() if p.suffix in (".csv", ".parquet"))
    else:
        found = [folder]
    if not found:
        _fail(f"{folder} holds no CSV or Parquet files")
    return found


def _show(reports: list[dict[str, Any]], *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(reports, indent=2, ensure_ascii=False))
        return
    for report in reports:
        if "error" in report:
            typer.echo(f"fleetscope: {report['error']}", err=True)
            continue
        if "sites" in report:
            verb = "taken" if "new" in report else "would be taken"
            text = f"{report['file']}: {report['rows']} readings {verb}"
        elif "new" in report:
            text = "{file}: {new} new, {restated} restated, {same} as they were".format(**report)
        else:
            text = "{file}: {rows} rows would be taken".format(**report)
        if report["bad"]:
            text += f", {report['bad']} not taken"
            text += f" (kept in {report['aside']})" if report.get("aside") else ""
        typer.echo(text)
        for reason in report["reasons"][:_SHOWN_BAD]:
            typer.echo(f"  {reason}")
        if report["bad"] > _SHOWN_BAD:
            typer.echo(f"  and {report['bad'] - _SHOWN_BAD} more")


def _fail(reason: str) -> NoReturn:
    typer.echo(f"fleetscope: {reason}", err=True)
    raise typer.Exit(1)
