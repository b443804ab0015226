"""``fleetscope probe``: what an address answers, and its entry for the fleet file."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from exporter.cli.console import console, plain_table
from exporter.cli.probing import Candidate, Exchange, context_for, probe, template_candidate
from exporter.config.fleet import Site
from exporter.config.fleet_file import FleetFileError, nodes_path, parse_fleet
from exporter.config.nodes_file import NodesFile, TakenError
from exporter.config.settings import Settings
from exporter.config.site_secrets import site_secrets_of
from exporter.drivers import DRIVERS
from exporter.model.audit_file import AuditFile, AuditLogError

if TYPE_CHECKING:
    from rich.console import Console


class ProbeError(Exception):
    """What keeps the command from doing its work; its text is for a person."""


def run_probe(
    settings: Settings,
    addresses: list[str],
    *,
    write: bool,
    template: str | None = None,
    parameters: list[str] | None = None,
) -> int:
    """Probe addresses; 0 if all of them answered, 1 if not.

    Raises
    ------
    ProbeError
    """
    printed = console()
    if write and settings.fleet is None:
        raise ProbeError("--write needs a fleet file; use --fleet FILE or FLEETSCOPE_FLEET")
    answered = []
    for address in addresses:
        only = None
        if template is not None:
            try:
                only = template_candidate(address, template, _parameters(parameters or []))
            except (ValueError, FleetFileError) as error:
                raise ProbeError(str(error)) from None
        answered.append(asyncio.run(_probe_one(settings, address, printed, only)))
    for address, best in zip(addresses, answered, strict=True):
        if write and best is not None:
            entry = best.candidate.entry | {"id": _id_of(address)}
            path = write_node(settings.fleet or Path(), entry, settings.audit_log)
            printed.print(f"written to {path}: site {entry['id']}", markup=False, soft_wrap=True)
    return 0 if all(answered) else 1


def _parameters(given: list[str]) -> dict[str, str]:
    found = dict(text.partition("=")[::2] for text in given)
    if not all(found.values()):
        raise ValueError("--parameter: expected NAME=VALUE")
    return found


async def _probe_one(
    settings: Settings, address: str, printed: Console, only: Candidate | None
) -> Exchange | None:
    secrets = site_secrets_of(settings)
    folder = settings.fleet.parent if settings.fleet else Path()
    async with context_for(secrets.authorization, settings.networks) as context:
        try:
            found = await probe(address, context, lambda entry: site_of(entry, folder), only)
        except ValueError as error:
            raise ProbeError(str(error)) from None
    answers = [exchange for exchange in found if exchange.numbers]
    printed.print(address, style="bold", markup=False)
    alike: dict[str, list[str]] = {}
    for exchange in found:
        if exchange not in answers:
            why = f"{exchange.outcome}: {exchange.detail}"
            alike.setdefault(why, []).append(exchange.candidate.name)
    for why, names in alike.items():
        more = f" and {len(names) - 2} more" if len(names) > 3 else ""
        named = ", ".join(names[:2] if more else names)
        printed.print(f"  {named}{more}: {why}", style="dim", markup=False, highlight=False)
    for exchange in answers[1:]:
        what = f"  {exchange.candidate.name}: would give {exchange.numbers} values too"
        printed.print(what, markup=False, highlight=False)
    if not answers:
        printed.print("nothing that a driver or template understands answers", markup=False)
        return None
    best = answers[0]
    _print_exchange(best, printed)
    entry = best.candidate.entry | {"id": _id_of(address)}
    printed.print("For the fleet file:", style="bold")
    printed.print(f"  - {_flow(entry)}", markup=False, highlight=False, soft_wrap=True)
    return best


def _print_exchange(exchange: Exchange, printed: Console) -> None:
    name, seconds = exchange.candidate.name, exchange.seconds
    outcome = f"{exchange.outcome} in {seconds:.1f} s, asked just now"
    detail = f": {exchange.detail}" if exchange.detail else ""
    printed.print(f"{name}: {outcome}{detail}", markup=False, highlight=False)
    if exchange.snapshot is None:
        return
    table = plain_table("device", "quantity", "value", "state", "from", "raw")
    for row in exchange.explained:
        value = f"{row.value:g} {row.unit}".rstrip() if row.state == "number" else "–"
        state = f"{row.state}: {row.reason}" if row.reason else ""
        table.add_row(row.device, row.quantity, value, state, row.place, row.raw)
    printed.print(table, markup=False)
    for device, levels in exchange.snapshot.alarms.items():
        active = [f"{alarm} {level}" for alarm, level in levels.items() if level]
        if active:
            printed.print(f"alarms of {device}: {', '.join(active)}", markup=False)
    for notice in exchange.snapshot.notices:
        printed.print(f"{notice.code}: {notice.detail}", markup=False)
    lacking = ", ".join(exchange.lacking) or "nothing"
    printed.print(f"missing for a full score: {lacking}", markup=False, highlight=False)


def site_of(entry: dict[str, Any], folder: Path) -> Site:
    """A checked site out of an entry of the fleet file.

    Raises
    ------
    ProbeError
        With every mistake in it.
    """
    try:
        return parse_fleet(_document([entry]), folder / "probe.yaml", DRIVERS).sites[0]
    except FleetFileError as error:
        raise ProbeError(str(error)) from None


def _document(entries: list[dict[str, Any]]) -> str:
    return yaml.safe_dump({"sites": entries}, sort_keys=False, allow_unicode=True)


def _flow(entry: dict[str, Any]) -> str:
    text = yaml.safe_dump(entry, sort_keys=False, default_flow_style=True, width=10_000)
    return text.strip()


def _id_of(address: str) -> str:
    """An id for a site at an address: its host and port, in the characters of ids."""
    host = address.rsplit("://", maxsplit=1)[-1].split("/", maxsplit=1)[0]
    return re.sub(r"[^A-Za-z0-9_.-]+", "_", host).strip("_.-") or "site"


def write_node(fleet: Path, entry: dict[str, Any], audit_log: Path | None) -> Path:
    """Add a site to ``nodes.yaml`` beside the fleet file, which itself is never touched.

    Raises
    ------
    ProbeError
        If its id is there already, in either file, if a file has a mistake, or if the audit log
        cannot be opened.
    """
    try:
        NodesFile(fleet, DRIVERS, AuditFile(audit_log)).put(entry, "fleetscope probe")
    except AuditLogError as error:
        raise ProbeError(f"FLEETSCOPE_AUDIT_LOG: {error}") from None
    except TakenError:
        raise ProbeError(f"a site {entry['id']} is there already; nothing is written") from None
    except FleetFileError as error:
        hint = "" if fleet.exists() else "\n  Begin it with `sites:` and the line above."
        raise ProbeError(f"{error}{hint}") from None
    except OSError as error:
        raise ProbeError(f"{nodes_path(fleet)}: cannot be written: {error.strerror}") from None
    return nodes_path(fleet)
