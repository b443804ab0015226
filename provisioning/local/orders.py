"""An order to the simulated sites, judged by the running exporter and written to no device."""

from __future__ import annotations

import json
import urllib.request
from typing import Any

import yaml

from provisioning.local.stack import Stack

ANSWER_SECONDS = 60.0


def sites_with_orders(stack: Stack) -> list[str]:
    """Ids of the sites that take orders, out of the fleet file."""
    fleet = yaml.safe_load(stack.fleet_file.read_text("utf-8"))
    return [s["id"] for s in fleet["sites"] if s.get("dispatch", {}).get("enabled")]


def order(stack: Stack, **wanted: Any) -> dict[str, Any]:
    """Ask the exporter for an order, as ``POST /api/v1/dispatch`` takes it; returns its answer.

    Raises
    ------
    urllib.error.HTTPError
        It refuses the request.
    """
    request = urllib.request.Request(  # noqa: S310 - an address of this run
        f"{stack.url('exporter')}/api/v1/dispatch",
        json.dumps(wanted).encode(),
        {"Content-Type": "application/json", "Authorization": f"Bearer {stack.token}"},
    )
    with urllib.request.urlopen(request, timeout=ANSWER_SECONDS) as reply:  # noqa: S310
        answer: dict[str, Any] = json.loads(reply.read())
    return answer


def order_both_ways(stack: Stack) -> None:
    """Order a charge and a discharge of the sites that take orders; does nothing without any."""
    sites = sites_with_orders(stack)
    if not sites:
        return
    asked = {"targets": sites, "kw": 2.0, "seconds": 1800, "dry_run": True}
    order(stack, **asked, action="charge", reason="cheap hours, as an example")
    order(stack, **asked, action="discharge", reason="evening peak, as an example")
