"""Everything that dashboards can show, at once: ``python -m tests.browser.scene``.

Runs the stack with the scenario ``dashboards``, imports recorded files and a month of a portfolio,
and orders four devices that take orders: one follows a charge, one a discharge, one gives less than
it was asked for, and one refuses. Prints Grafana's address and stays until it is ended, so that
``python -m tests.browser.look --grafana`` can look at it in several runs.
"""

from __future__ import annotations

import io
import signal
import sys
import threading
import time
import urllib.error
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console

from exporter.energy.forecasts import KEPT_AT
from exporter.energy.plans import SUMMARY
from provisioning.local import servers
from provisioning.local.orders import order
from provisioning.local.run import Run
from provisioning.local.stack import ROOT, Stack
from provisioning.local.web import get_json
from simulator.controlled import ControlledSite
from tests.browser.recordings import import_recordings
from tests.portfolio.simulated_month import publish_month
from tests.stack.dispatch_service import Device, device

DATA_SECONDS = 300.0
FIRING_PAGE = 'ALERTS{severity="page",alertstate="firing"}'
ORDER_SECONDS = 6 * 3600
FOLLOWS, GIVES, WEAK, REFUSES = "york_school", "hull_depot", "truro_hall", "dover_garage"
DEVICES: Mapping[str, tuple[str, ControlledSite]] = {
    FOLLOWS: ("York School", ControlledSite(reversion_seconds=60)),
    GIVES: ("Hull Depot", ControlledSite(reversion_seconds=60, load_w=900.0)),
    WEAK: ("Truro Hall", ControlledSite(reversion_seconds=60, max_charge_w=700.0)),
    REFUSES: ("Dover Garage", ControlledSite(refuses=True)),
}


@contextmanager
def scene(found: Mapping[str, Path], grafana: tuple[Path, Path]) -> Iterator[Stack]:
    """The stack, once pages fire, orders are in force and plans are there.

    Raises
    ------
    TimeoutError
        Something is not there after five minutes.
    """
    run = Run(ROOT / ".fleetscope" / "look", Console(file=io.StringIO()))
    with ExitStack() as context:
        # They outlive the exporter, which gives back what it ordered when it ends.
        devices = {name: context.enter_context(device(site)) for name, (_, site) in DEVICES.items()}
        stack = context.enter_context(
            run.stack(
                found, scenario="dashboards", grafana=grafana, usual_ports=False, dispatch="on"
            )
        )
        _add(stack, devices)
        import_recordings(stack)
        publish_month(_url(stack, "influxdb"), stack.folder / "month", _last_month())
        _give_orders(stack)
        _wait("a page fires", lambda: _prometheus(stack, FIRING_PAGE))
        _wait(
            "an order is followed",
            lambda: _prometheus(stack, 'fleetscope_order_info{state="effective"}'),
        )
        _wait("a site has a plan", lambda: _planned(stack))
        yield stack


def _add(stack: Stack, devices: Mapping[str, Device]) -> None:
    """Write the devices into the fleet file, which the exporter watches."""
    fleet = yaml.safe_load(stack.fleet_file.read_text("utf-8"))
    fleet["sites"] += [
        {
            "id": name,
            "name": DEVICES[name][0],
            "location": "United Kingdom",
            "region": "great-britain",
            "driver": "modbus-tcp",
            "api_endpoint": f"modbus://127.0.0.1:{running.port}",
            "battery_type": "EVE LF280K",
            "capacity_kwh": 10,
            "contact": {"name": "Site operations", "phone": "+44 1632 960150"},
            "dispatch": {"enabled": True, "max_charge_kw": 5, "max_discharge_kw": 5},
        }
        for name, running in devices.items()
    ]
    stack.fleet_file.write_text(yaml.safe_dump(fleet, allow_unicode=True), "utf-8")


def _give_orders(stack: Stack) -> None:
    """Order both ways as soon as each device has been read."""

    def judged() -> bool:
        try:
            answer = order(stack, **_asked("charge", list(DEVICES), dry_run=True))
        except urllib.error.HTTPError:
            return False
        return all(one["state"] == "dry" for one in answer["orders"])

    _wait("each device can be ordered", judged)
    order(stack, **_asked("charge", [FOLLOWS, REFUSES]))
    # More than it is rated for: a limit to show.
    order(stack, **_asked("charge", [WEAK]) | {"kw": 6.0})
    order(stack, **_asked("discharge", [GIVES]))


def _asked(action: str, sites: list[str], *, dry_run: bool = False) -> dict[str, Any]:
    return {
        "action": action,
        "targets": sites,
        "kw": 2.0,
        "seconds": ORDER_SECONDS,
        "reason": "evening peak" if action == "discharge" else "cheap hours",
        "dry_run": dry_run,
    }


def _prometheus(stack: Stack, series: str) -> bool:
    query = {"query": f"count({series})"}
    return bool(get_json(f"{_url(stack, 'prometheus')}/api/v1/query", query)["data"]["result"])


def _planned(stack: Stack) -> bool:
    query = f'SELECT count("saving") FROM "{KEPT_AT}"."{SUMMARY}"'
    answer = get_json(f"{_url(stack, 'influxdb')}/query", {"db": "fleet", "q": query})
    return "series" in answer["results"][0]


def _wait(what: str, condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DATA_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not after {DATA_SECONDS:.0f} s: {what}")
        time.sleep(1.0)


def _url(stack: Stack, name: str) -> str:
    url = stack.url(name)
    if url is None:
        raise RuntimeError(f"the stack has no {name}")
    return url


def _last_month() -> str:
    """The month that dashboards of the portfolio open with."""
    return f"{datetime.now(UTC).replace(day=1) - timedelta(days=1):%Y-%m}"


def needed() -> tuple[dict[str, Path], tuple[Path, Path]] | None:
    """Servers and Grafana; None where one is absent, which is printed."""
    found, grafana = servers.find_all(), servers.find_grafana()
    absent = [server.name for server in servers.SERVERS if server.name not in found]
    if absent or grafana is None:
        names = ", ".join([*absent, *(["Grafana"] if grafana is None else [])])
        print(f"Not installed: {names}. Nothing was looked at.", file=sys.stderr)
        return None
    return found, grafana


def main() -> int:
    """Run until SIGINT or SIGTERM; returns the exit status."""
    programs = needed()
    if programs is None:
        return 2
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with scene(*programs) as stack:
        for name in stack.programs:
            print(f"{name}: {stack.url(name)}", flush=True)
        threading.Event().wait()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
