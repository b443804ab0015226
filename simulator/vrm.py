"""Victron's portal for simulated sites: what its API answers for those that report to it.

A site reports every fifteen minutes; between two reports the portal gives what it has, under the
time at which it was measured. Single cells, settings, names of services and the history of days are
not reported.

Source: Victron's VRM API documentation (``users/me``, ``users/{idUser}/installations``,
``installations/{idSite}/diagnostics``, the header ``X-Authorization``, and the limit of 200
requests, of which one comes back every third of a second).
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

from simulator.devices import SiteBus
from simulator.devices.names import PREFIX, Tree, installation_of, portal_of
from simulator.engine import Simulator
from simulator.scenario import Site

REPORT_SECONDS = 900.0
USER = 22
REQUESTS, REQUESTS_PER_SECOND = 200, 3.0
_UNREPORTED = ("ServiceMapping/", "History/Daily/", "Voltages/Cell", "Cell/", "Balances/")
_SILENT = frozenset({"offline", "hang", "http_500"})


@dataclass(slots=True)
class _Installation:
    """A site and its newest report."""

    site: Site
    bus: SiteBus
    time: float = 0.0
    records: list[dict[str, Any]] = field(default_factory=list)


class VrmPortal:
    """The API for the sites of a simulation that report to the portal.

    Parameters
    ----------
    simulator : Simulator
    token : str
        The access token that is asked for.
    monotonic : callable
        Seconds, for the limit of requests.
    """

    def __init__(self, simulator: Simulator, token: str, monotonic: Callable[[], float]) -> None:
        self._simulator = simulator
        self._token = token
        self._monotonic = monotonic
        self._left, self._counted = float(REQUESTS), monotonic()
        self._sites = {
            installation_of(site): _Installation(site, SiteBus(simulator, site.id))
            for site in simulator.scenario.sites
            if site.protocol == "vrm"
        }
        self.keep_up()

    def keep_up(self) -> None:
        """Take the reports that are due at the simulation's time."""
        now = self._simulator.time
        for number, one in self._sites.items():
            faults = {active.fault for active in self._simulator.faults_of(one.site.id)}
            if faults & _SILENT or (one.records and now < one.time + REPORT_SECONDS):
                continue
            trees = {service: one.bus.tree(service) for service in one.bus.services()}
            one.time, one.records = now, _records(number, now, trees)

    def answer(self, path: str, query: str, headers: Mapping[str, str]) -> tuple[int, Any]:
        """Status and document of a request.

        Parameters
        ----------
        path : str
            Below ``/v2``, from its slash on.
        query : str
        headers : mapping
            By name in lower case.
        """
        if not self._take():
            return 429, _failure("Too many requests", "rate_limit_exceeded")
        given = headers.get("x-authorization", "")
        if not hmac.compare_digest(given.encode(), f"Token {self._token}".encode()):
            return 401, _failure("Token is invalid", "invalid_token")
        match path.strip("/").split("/"):
            case ["users", "me"]:
                return 200, {"success": True, "user": {"id": USER, "name": "Operations"}}
            case ["users", number, "installations"] if number == str(USER):
                return 200, {"success": True, "records": self._installations()}
            case ["installations", number, "diagnostics"]:
                return self._diagnostics(number, parse_qs(query))
            case _:
                return 404, _failure("Not found", "not_found")

    def _take(self) -> bool:
        now = self._monotonic()
        earned = REQUESTS_PER_SECOND * (now - self._counted)
        self._left, self._counted = min(float(REQUESTS), self._left + earned), now
        if self._left < 1.0:
            return False
        self._left -= 1.0
        return True

    def _installations(self) -> list[dict[str, Any]]:
        return [
            {"idSite": number, "name": one.site.name, "identifier": portal_of(one.site)}
            for number, one in self._sites.items()
        ]

    def _diagnostics(self, number: str, asked: Mapping[str, list[str]]) -> tuple[int, Any]:
        one = self._sites.get(int(number)) if number.isdecimal() else None
        if one is None:
            return 403, _failure("No access to this installation", "forbidden")
        count = asked.get("count", ["1000"])[0]
        kept = one.records[: int(count)] if count.isdecimal() else one.records
        return 200, {"success": True, "records": kept, "num_records": len(one.records)}


def _records(number: int, time: float, trees: Mapping[str, Tree | None]) -> list[dict[str, Any]]:
    found = []
    for service, tree in trees.items():
        kind = service.removeprefix(PREFIX).partition(".")[0]
        if tree is None or kind == "settings":
            continue
        for path, value in tree.items():
            if path.startswith(_UNREPORTED) or not _is_reported(value):
                continue
            found.append(
                {
                    "idSite": number,
                    "timestamp": int(time),
                    "Device": kind,
                    "instance": tree.get("DeviceInstance", 0),
                    "dbusServiceType": kind,
                    "dbusPath": f"/{path}",
                    "rawValue": None if value == [] else value,
                    "formattedValue": "" if value == [] else str(value),
                }
            )
    return found


def _is_reported(value: Any) -> bool:
    """Whether the portal has an attribute for such values: lists and names on the bus have none."""
    if isinstance(value, str):
        return PREFIX not in value
    return value == [] or not isinstance(value, (dict, list))


def _failure(text: str, code: str) -> dict[str, Any]:
    return {"success": False, "errors": text, "error_code": code}
