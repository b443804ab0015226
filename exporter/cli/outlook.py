"""``fleetscope forecast pv|load`` and ``fleetscope plan``."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Annotated, Any

import typer

from exporter.cli import client


def show_forecast(url: str, quantity: str, sites: list[str], *, as_json: bool, as_csv: bool) -> int:
    """Print forecasts of PV or load; returns the exit code."""
    from exporter.cli.console import console, plain_table

    out = console()
    if not sites:
        return _show_fleet(url, quantity, as_json=as_json)
    for name in sites:
        try:
            site = client.site_id(url, name)
            found = client.get(url, "forecast", {"site": site, "quantity": quantity}, 60)
        except client.CannotAskError as error:
            typer.echo(f"fleetscope: {error}", err=True)
            return client.EXIT_CANNOT_ANSWER
        if as_json:
            typer.echo(json.dumps(found, indent=2, ensure_ascii=False))
            continue
        if as_csv:
            typer.echo("start,p10_w,p50_w,p90_w")
            for start, *band in _slots(found):
                typer.echo(",".join([_clock(start).isoformat(), *map(str, band)]))
            continue
        out.print(
            f"{quantity.upper()} of {site}, by {', '.join(found['methods']) or 'nobody'}",
            markup=False,
            style="bold",
        )
        if not found["starts"]:
            out.print(
                "There is no forecast: it needs FLEETSCOPE_FORECASTS and seven days of history."
            )
            continue
        table = plain_table("", "p10", "p50", "p90")
        for start, *band in _slots(found)[::4]:
            table.add_row(f"{_clock(start):%a %H:%M}", *(f"{w / 1000:z.2f} kW" for w in band))
        out.print(table)
        scores = plain_table("Method", "MAE", "Pinball", "In band", "Skill", title="Last 14 days")
        for row in sorted(found["scores"], key=lambda row: row["pinball_w"]):
            if row["lead"] == "all":
                method = f"{row['method']} (serves)" if row["serves"] else row["method"]
                scores.add_row(
                    method,
                    f"{row['mae_w']:.0f} W",
                    f"{row['pinball_w']:.0f} W",
                    f"{100 * row['coverage']:.0f} %",
                    f"{row['skill']:z.2f}",
                )
        if found["scores"]:
            out.print(scores)
            out.print(found["scores"][0]["why"], markup=False)
        _show_misses(found["misses"][:5])
    return 0


def _show_misses(misses: list[dict[str, Any]]) -> None:
    from exporter.cli.console import console, plain_table

    if misses:
        table = plain_table("", "Forecast 24 h before", "Came", "Beyond the band", "By")
        for one in misses:
            watts = (one["forecast_w"], one["measured_w"], one["beyond_w"])
            cells = (f"{w / 1000:z.2f} kW" for w in watts)
            table.add_row(f"{_clock(one['start']):%a %d %b %H:%M}", *cells, one["method"])
        table.title = "Worst misses of seven days"
        console().print(table)


def _show_fleet(url: str, quantity: str, *, as_json: bool) -> int:
    from exporter.cli.console import console, plain_table

    try:
        found = client.get(url, "forecast/fleet", {"quantity": quantity}, 60)
    except client.CannotAskError as error:
        typer.echo(f"fleetscope: {error}", err=True)
        return client.EXIT_CANNOT_ANSWER
    if as_json:
        typer.echo(json.dumps(found, indent=2, ensure_ascii=False))
        return 0
    out, missing = console(), len(found["without"])
    out.print(f"{quantity.upper()} of {found['sites']} sites", markup=False, style="bold")
    if missing:
        out.print(f"Of {missing} more there is no forecast.")
    table = plain_table("", "p10", "p50", "p90")
    for start, *band in _slots(found)[::4]:
        if band[1] is not None:
            table.add_row(f"{_clock(start):%a %H:%M}", *(f"{w / 1000:z.2f} kW" for w in band))
    out.print(table)
    return 0


def _slots(found: dict[str, Any]) -> list[tuple[float, float, float, float]]:
    columns = (found[name] for name in ("starts", "p10_w", "p50_w", "p90_w"))
    return list(zip(*columns, strict=True))


def _clock(start: float) -> datetime:
    return datetime.fromtimestamp(start).astimezone()


def plan(
    site: Annotated[str, typer.Argument(help="Id, name or part of either.")],
    approve: Annotated[
        str | None,
        typer.Option("--approve", help="Follow it: send its orders. Takes the reason."),
    ] = None,
    withdraw: Annotated[
        str | None,
        typer.Option("--withdraw", help="End the orders of a plan. Takes the reason."),
    ] = None,
    saved: Annotated[
        str | None,
        typer.Option(
            "--saved", help="What was saved over a period instead, such as yesterday or 7d."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Plain JSON.")] = False,
    url: Annotated[
        str, typer.Option("--url", help="Where the exporter listens.", envvar="FLEETSCOPE_URL")
    ] = "http://127.0.0.1:9797",
) -> None:
    """What the battery of a site is to do in the next 36 h, why, and what that saves.

    A plan is a proposal; nothing is sent to the site before it is approved, or a mandate covers it.
    """
    if approve is not None and withdraw is not None:
        raise typer.BadParameter("either --approve or --withdraw")
    try:
        known = client.site_id(url, site)
        for verb, reason in (("approve", approve), ("withdraw", withdraw)):
            if reason is not None:
                done = client.post(url, f"plan/{verb}", {"site": known, "reason": reason})
                _show_standing(done, as_json=as_json)
                return
        if saved is not None:
            found = client.get(url, "savings", {"site": known, "period": saved}, 120)
        else:
            found = client.get(url, "plan", {"site": known}, 60)
    except client.CannotAskError as error:
        typer.echo(f"fleetscope: {error}", err=True)
        raise typer.Exit(client.EXIT_CANNOT_ANSWER) from error
    if as_json:
        typer.echo(json.dumps(found, indent=2, ensure_ascii=False))
    elif saved is not None:
        _show_saved(found)
    else:
        _show_plan(found)


def _show_saved(found: dict[str, Any]) -> None:
    begin, end = _clock(found["since"]), _clock(found["until"])
    typer.echo(f"{found['site']}, {begin:%d %b %H:%M} to {end:%d %b %H:%M}")
    if found["saved"] is None:
        typer.echo(f"Nothing can be said: {found['why']}.")
        return
    currency = found["currency"]
    bills = [
        f"{words} {found[name]['total']:z.2f}"
        for name, words in (
            ("measured", "what happened cost"),
            ("plain", "plain self-consumption would have cost"),
            ("planned", "the plans, followed to the letter,"),
            ("best", "a plan that knew everything"),
        )
        if found[name] is not None
    ]
    typer.echo(f"Saved {found['saved']:z.2f} {currency}: {', '.join(bills)}; with wear.")
    if found["forecast_errors"] is not None:
        typer.echo(
            f"Missed {found['missed']:z.2f} {currency}: {found['forecast_errors']:z.2f} because "
            f"forecasts were wrong, {found['not_followed']:z.2f} because the plan was not followed."
        )
    else:
        typer.echo(f"Missed {found['missed']:z.2f} {currency}; too few quarter hours had a plan.")
    typer.echo(f"Observed: {100 * found['coverage']:.0f} %.")


def _show_standing(found: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(found, indent=2, ensure_ascii=False))
        return
    typer.echo(f"{found['site']}: {_standing(found)} (dispatcher: {found['mode']})")
    for order in found["orders"]:
        typer.echo(f"  {order['id']}  {order['state']}")


def _standing(found: dict[str, Any]) -> str:
    return f"{found['standing']}, {found['why']}" if found["why"] else str(found["standing"])


def _show_plan(found: dict[str, Any]) -> None:
    from exporter.cli.console import console, plain_table

    out, summary = console(), found["summary"]
    if summary is None or not found["slots"]:
        out.print(
            "There is no plan: it needs FLEETSCOPE_FORECASTS, a tariff, a battery of known size "
            "and a forecast of the load."
        )
        return
    out.print(f"Plan of {found['site']}: {summary['strategy']}", markup=False, style="bold")
    out.print(
        f"Saves {summary['saving']:z.2f} {summary['currency']} against plain self-consumption: "
        f"energy {summary['cost']:z.2f} instead of {summary['plain_cost']:z.2f}, wear "
        f"{summary['wear']:z.2f} instead of {summary['plain_wear']:z.2f}.",
        markup=False,
    )
    if summary["note"]:
        out.print(summary["note"], markup=False)
    out.print(f"It is {_standing(found)}.", markup=False)
    table = plain_table("From", "To", "Does", "Power", "Charge then", "Price", "Why")
    for first, last in _stretches(found["slots"]):
        power = f"{abs(first['power_w'] or 0) / 1000:.1f} kW" if first["power_w"] else ""
        price = "–" if first["buy"] is None else f"{first['buy']:.3f}"
        table.add_row(
            f"{_clock(first['start']):%a %H:%M}",
            f"{_clock(last['start'] + 900):%H:%M}",
            "follows load and sun" if first["action"] == "auto" else first["action"],
            power,
            f"{last['soc_percent'] or 0:.0f} %",
            price,
            "" if first["action"] == "auto" else first["reason"],
        )
    out.print(table)


def _stretches(slots: list[dict[str, Any]]) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """First and last slot of each stretch with one action, power and reason."""
    found: list[tuple[dict[str, Any], dict[str, Any]]] = []
    for slot in slots:
        alike = found and all(found[-1][0][k] == slot[k] for k in ("action", "reason"))
        if alike and abs((found[-1][0]["power_w"] or 0) - (slot["power_w"] or 0)) < 50:
            found[-1] = found[-1][0], slot
        else:
            found.append((slot, slot))
    return found
