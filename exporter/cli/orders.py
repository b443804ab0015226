"""``fleetscope dispatch``, ``orders`` and ``release``: orders to sites, by a running exporter."""

from __future__ import annotations

import json
import math
import re
import secrets
import time
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from exporter.cli import client

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

RELEASE_SECONDS = 20.0
QUIET_SECONDS = 5.0
"""Without news for so long, and each site that is left has said why, more waiting is of no use."""
_ID_COLUMNS = 14
_SHOWN_SITES = 5
_ORDER = re.compile(r"o-[0-9a-f]{12}\Z")
_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0}
_SPAN = re.compile(r"(\d{1,6}(?:\.\d+)?)\s*([smh])\Z")
UrlOption = Annotated[
    str, typer.Option("--url", help="Where the exporter listens.", envvar="FLEETSCOPE_URL")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Plain JSON.")]
SiteOption = Annotated[list[str] | None, typer.Option("--site", help="A site's id; repeatable.")]
ReasonOption = Annotated[str, typer.Option("--reason", help="Why; the journal keeps it.")]


def is_order(text: str) -> bool:
    """Whether a text is the id of an order."""
    return _ORDER.match(text) is not None


def dispatch(
    action: Annotated[str, typer.Argument(help="charge, discharge, hold or defer_load.")],
    reason: ReasonOption,
    site: SiteOption = None,
    all_sites: Annotated[bool, typer.Option("--all", help="Every site you may order.")] = False,
    kw: Annotated[float | None, typer.Option("--kw", help="Power of each site.")] = None,
    total_kw: Annotated[
        float | None, typer.Option("--total-kw", help="Power of all together, shared out.")
    ] = None,
    span: Annotated[str, typer.Option("--for", help="How long: 90s, 15m, 2h.")] = "15m",
    carry_out: Annotated[
        bool, typer.Option("--carry-out", help="Write to the devices; else it is a dry run.")
    ] = False,
    key: Annotated[
        str | None, typer.Option("--key", help="Idempotency-Key, to repeat a request safely.")
    ] = None,
    as_json: JsonOption = False,
    url: UrlOption = client.USUAL_URL,
) -> None:
    """Order something of sites. Without --carry-out it only says what would be allowed and why.

    Exits 0 if every site takes it, 1 if one refuses, 2 if it could not ask.
    """
    body = {
        "targets": _targets(site, every=all_sites),
        "action": action,
        "kw": kw,
        "total_kw": total_kw,
        "seconds": _seconds(span),
        "reason": reason,
        "dry_run": not carry_out,
    }
    given = {name: value for name, value in body.items() if value is not None}
    answer = _post(url, "dispatch", given, key or secrets.token_hex(8))
    if as_json:
        typer.echo(json.dumps(answer, indent=2, ensure_ascii=False))
    else:
        _show(_admitted(answer))
        _warn_of_unattended(answer["orders"])
    refused = any(order["state"] == "refused" for order in answer["orders"])
    raise typer.Exit(1 if refused else 0)


def orders(
    site: Annotated[str | None, typer.Option("--site", help="Only of this site.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Also those that have ended.")] = False,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=1000, help="Most rows.")] = 100,
    as_json: JsonOption = False,
    url: UrlOption = client.USUAL_URL,
) -> None:
    """Orders that are open, or the latest of all; `fleetscope explain ORDER` has one in detail."""
    parameters = {"site": site, "open": "false" if every else "true", "limit": limit}
    answer = _get(url, "orders", parameters)
    if as_json:
        typer.echo(json.dumps(answer, indent=2, ensure_ascii=False))
        return
    from exporter.cli.console import plain_table

    table = plain_table(
        "site", "order", "action", "state", "wanted", "allowed", "measured", "until"
    )
    _keep_whole(table)
    for one in answer["orders"]:
        table.add_row(
            one["site"],
            one["id"],
            one["action"],
            _state(one),
            *(_kw(one[f"{kind}_w"]) for kind in ("wanted", "allowed", "measured")),
            _clock(one["expires"]),
        )
    _show(table if answer["orders"] else "no order is open" if not every else "no orders")
    if answer["journal_failure"]:
        typer.echo(f"fleetscope: {answer['journal_failure']}", err=True)


def release(
    reason: ReasonOption = "released from the command line",
    site: SiteOption = None,
    all_sites: Annotated[bool, typer.Option("--all", help="Every site you may order.")] = False,
    wait: Annotated[
        float, typer.Option("--wait", min=0.0, help="Longest time to wait for sites, seconds.")
    ] = RELEASE_SECONDS,
    as_json: JsonOption = False,
    url: UrlOption = client.USUAL_URL,
) -> None:
    """Give sites back to their own control, whatever is in force, and wait for each of them.

    A site that does not answer is named with the reason; the exporter goes on trying. Exits 0 if
    all are free, 1 if one is not known to be, 2 if it could not ask.
    """
    body = {"targets": _targets(site, every=all_sites), "action": "release", "reason": reason}
    answer = _post(url, "dispatch", body, secrets.token_hex(8))
    found = _await_release(url, answer["dispatch"], wait) if answer["orders"] else []
    forced = [one for one in found if one["state"] != "released"]
    if as_json:
        typer.echo(json.dumps({**answer, "orders": found}, indent=2, ensure_ascii=False))
    else:
        typer.echo(f"{len(found) - len(forced)} of {len(found)} sites are released")
        for one in forced:
            why = one["failure"] or "it has not answered yet"
            typer.echo(f"not known to be free: {one['site']}: {why}; it is tried again")
    raise typer.Exit(1 if forced else 0)


def _await_release(url: str, name: str, longest: float) -> list[dict[str, Any]]:
    """The orders of a release once all sites are free, or once waiting is of no use any more."""
    began = news = time.monotonic()
    left = math.inf
    while True:
        found: list[dict[str, Any]] = _get(url, f"dispatch/{name}")["orders"]
        waiting = [one for one in found if one["state"] != "released"]
        now = time.monotonic()
        if len(waiting) < left:
            left, news = len(waiting), now
        hopeless = now - news > QUIET_SECONDS and all(one["failure"] for one in waiting)
        if not waiting or hopeless or now - began > longest:
            return found
        time.sleep(0.5)


def explain_order(url: str, name: str, *, as_json: bool) -> int:
    """Everything that became of an order; the exit code."""
    found = _get(url, f"orders/{name}")
    if as_json:
        typer.echo(json.dumps(found, indent=2, ensure_ascii=False))
        return 0
    order, rows = found["order"], found["rows"]
    typer.echo(
        f"{order['id']}: {order['action']} {_kw(order['wanted_w'])} at {order['site']}, ordered by "
        f"{order['issuer']} ({order['role']}) because: {order['reason']}"
    )
    for row in rows:
        typer.echo(f"{_clock(row['time'])}  {row['state']:<18}{row['actor']:<12}{_words(row)}")
    if order["unattended"]:
        typer.echo(f"Warning: {order['unattended']}.")
    if order["owes_release"]:
        why = order["failure"] or "the device has not answered"
        typer.echo(f"The site is not known to be free: {why}.")
    elif order["end"] is None:
        typer.echo(
            f"Now {_state(order)}: allowed {_kw(order['allowed_w'])}, measured "
            f"{_kw(order['measured_w'])}, until {_clock(order['expires'])}."
        )
    return 0


def _words(row: dict[str, Any]) -> str:
    """The evidence of a row in words."""
    evidence = row["evidence"]
    parts = [str(evidence["reason"])] if "reason" in evidence else []
    parts += [one["sentence"] for one in evidence.get("limits", []) if "reason" not in evidence]
    for name in ("allowed_w", "written_w", "read_back_w", "measured_w"):
        if name in evidence:
            label = name.removesuffix("_w").replace("_", " ")
            parts.append(f"{label} {_kw(evidence[name])}")
    parts += [f"not checked: {what}" for what in evidence.get("unchecked", [])]
    if "by" in evidence:
        parts.append(f"by {evidence['by']}")
    return "; ".join(parts)


def _keep_whole(table: Table) -> None:
    """Let no width cut the id of an order, which other commands ask for."""
    table.columns[1].min_width = _ID_COLUMNS
    table.columns[1].no_wrap = True


def _admitted(answer: dict[str, Any]) -> RenderableType:
    from exporter.cli.console import plain_table

    head = "dry run, nothing is written" if answer["dry_run"] else answer["dispatch"]
    title = f"{head}: {_kw(answer['allowed_w'])} allowed of {_kw(answer['wanted_w'])}"
    table = plain_table("site", "order", "state", "wanted", "allowed", "why", title=title)
    _keep_whole(table)
    for one in answer["orders"]:
        why = "; ".join(limit["sentence"] for limit in one["limits"])
        row = (one["site"], one["id"], one["state"], _kw(one["wanted_w"]), _kw(one["allowed_w"]))
        table.add_row(*row, why)
    return table


def _warn_of_unattended(orders: list[dict[str, Any]]) -> None:
    """Say once what becomes of sites without a lease, and which they are."""
    by_sentence: dict[str, list[str]] = {}
    for one in orders:
        if one.get("unattended"):
            by_sentence.setdefault(one["unattended"], []).append(one["site"])
    for sentence, sites in by_sentence.items():
        shown = ", ".join(sites[:_SHOWN_SITES])
        more = f" and {len(sites) - _SHOWN_SITES} more" if len(sites) > _SHOWN_SITES else ""
        typer.echo(f"Warning, {shown}{more}: {sentence}.")


def _targets(sites: list[str] | None, *, every: bool) -> Any:
    if bool(sites) == every:
        _fail("choose --site (once or several times) or --all")
    return "all" if every else sites


def _seconds(span: str) -> float:
    match = _SPAN.match(span.strip())
    if match is None:
        _fail(f"--for {span}: expected a time such as 90s, 15m or 2h")
    return float(match[1]) * _UNITS[match[2]]


def _kw(power_w: float | None) -> str:
    return "–" if power_w is None else f"{power_w / 1000:.2f} kW"


def _clock(moment: float) -> str:
    from datetime import datetime

    return datetime.fromtimestamp(moment).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def _state(order: dict[str, Any]) -> str:
    return f"{order['state']}, not released" if order["owes_release"] else str(order["state"])


def _show(what: RenderableType) -> None:
    from exporter.cli.console import console

    console().print(what)


def _post(url: str, path: str, body: dict[str, Any], key: str) -> Any:
    try:
        return client.post(url, path, body, {"Idempotency-Key": key})
    except client.CannotAskError as error:
        _fail(str(error))


def _get(url: str, path: str, parameters: dict[str, Any] | None = None) -> Any:
    try:
        return client.get(url, path, parameters)
    except client.CannotAskError as error:
        _fail(str(error))


def _fail(message: str) -> NoReturn:
    typer.echo(f"fleetscope: {message}", err=True)
    raise typer.Exit(client.EXIT_CANNOT_ANSWER)
