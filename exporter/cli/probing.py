"""Tries drivers on addresses that a user names, and explains what a site gives. No scanning."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from exporter.assess.assessment import assess
from exporter.collect.state import FleetState
from exporter.config.fleet import Fleet, Site
from exporter.drivers import DRIVERS
from exporter.drivers.base import (
    Driver,
    DriverContext,
    Explaining,
    Pollable,
    Subscribed,
)
from exporter.drivers.explaining import Explained, explain
from exporter.drivers.template.template_driver import SCHEMES
from exporter.drivers.template.template_file import load_template, shipped
from exporter.drivers.transport import Transports
from exporter.drivers.transport.http.json_client import HttpClient
from exporter.drivers.transport.http.site_client import HttpTransport, no_authorization
from exporter.drivers.transport.modbus.gateway import ModbusTransport
from exporter.drivers.ways_in import open_driver
from exporter.model.quantities import label
from exporter.model.snapshot import Outcome, ScrapeError, Snapshot

Network = IPv4Network | IPv6Network
TRY_SECONDS = 15.0
SETTLED_SECONDS = 5.0
CONNECT_SECONDS = 2.0
_DEFAULT_PORTS = {"http": 80, "https": 443, "modbus": 502, "mqtt": 1883, "mqtts": 8883}
_OWN_PORTS: dict[str, tuple[int, ...]] = {"venus-http": (8088,), "sunspec": (502, 1502)}
_HERE = Path()


@dataclass(frozen=True, slots=True)
class Candidate:
    """One way to ask an address: the entry of a site in the fleet file."""

    entry: dict[str, Any]

    @property
    def name(self) -> str:
        """The driver, and its template where it has one."""
        template = self.entry.get("template")
        driver: str = self.entry["driver"]
        return f"{driver} {template}" if template else driver


@dataclass(frozen=True, slots=True)
class Exchange:
    """What one exchange with a site gave."""

    candidate: Candidate
    seconds: float
    outcome: Outcome
    detail: str
    snapshot: Snapshot | None
    explained: tuple[Explained, ...] = ()
    lacking: tuple[str, ...] = ()

    @property
    def numbers(self) -> int:
        """How many quantities have a value that was measured; a device of another kind that only
        happens to answer gives none."""
        found = [row for row in self.explained if row.state == "number" and row.unit]
        return len(found)


def candidates(address: str) -> list[Candidate]:
    """Every way to ask an address: ``HOST``, ``HOST:PORT`` or a URL.

    Raises
    ------
    ValueError
        If it is no address.
    """
    given, rest = address.split("://", 1) if "://" in address else ("", address)
    parts = urlsplit(f"//{rest}")
    if not parts.hostname or (given and given not in _DEFAULT_PORTS):
        raise ValueError(f"{address}: expected HOST, HOST:PORT, or a URL of one of the drivers")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    found = []
    for name, driver in DRIVERS.items():
        scheme = given or driver.schemes[0]
        # A site that sends by itself cannot be asked.
        if scheme not in driver.schemes or name == "template" or not driver.needs_endpoint:
            continue
        if not _needs_nothing(driver):
            continue
        ports = (parts.port,) if parts.port else _OWN_PORTS.get(name, (_DEFAULT_PORTS[scheme],))
        found += [_candidate(name, scheme, host, port, parts.path) for port in ports]
    for name in shipped():
        template = load_template(name, _HERE)
        scheme = given or template.transport
        fits = scheme in SCHEMES[template.transport]
        if not fits or any(p.default is None for p in template.parameters.values()):
            continue
        port = parts.port or template.port or _DEFAULT_PORTS[scheme]
        found.append(_candidate("template", scheme, host, port, parts.path, template=name))
    return found


def template_candidate(address: str, name: str, parameters: dict[str, str]) -> Candidate:
    """The way to ask an address by one template: a shipped one, or a file.

    Raises
    ------
    ValueError
        If it is no address, or the address does not fit the template.
    exporter.config.positions.FleetFileError
        With every mistake in the template.
    """
    template = load_template(name, _HERE)
    given, rest = address.split("://", 1) if "://" in address else ("", address)
    parts = urlsplit(f"//{rest}")
    wanted = SCHEMES[template.transport]
    if not parts.hostname or (given and given not in wanted):
        schemes = " or ".join(f"{scheme}://" for scheme in wanted)
        raise ValueError(f"{address}: expected HOST, HOST:PORT, or a URL with {schemes}")
    template.values_of(parameters)
    scheme = given or template.transport
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    port = parts.port or template.port or _DEFAULT_PORTS[scheme]
    driver = "template-mqtt" if template.transport == "mqtt" else "template"
    options: dict[str, Any] = {"template": name}
    if parameters:
        options["parameters"] = parameters
    return _candidate(driver, scheme, host, port, parts.path, **options)


def _needs_nothing(driver: type[Driver]) -> bool:
    return not any(info.is_required() for info in driver.options.model_fields.values())


def _candidate(
    driver: str, scheme: str, host: str, port: int, path: str, **options: Any
) -> Candidate:
    url = f"{scheme}://{host}:{port}{path}".rstrip("/")
    return Candidate({"id": "site", "driver": driver, "api_endpoint": url, **options})


@contextlib.asynccontextmanager
async def context_for(
    authorization: Callable[[str, str], str | None] = no_authorization,
    networks: tuple[Network, ...] = (),
) -> AsyncIterator[DriverContext]:
    """What drivers need, with clients of their own."""
    async with HttpClient(networks) as http:
        transports = Transports(HttpTransport(http, authorization), ModbusTransport(networks))
        yield DriverContext(transports, time.time, time.monotonic)


async def probe(
    address: str,
    context: DriverContext,
    site_of: Callable[[dict[str, Any]], Site],
    only: Candidate | None = None,
) -> list[Exchange]:
    """Try every candidate of an address, one after the other; those that answer best come first.

    Parameters
    ----------
    address : str
    context : DriverContext
    site_of : callable
        From an entry of the fleet file to a checked site.
    only : Candidate or None
        The one to try, in place of all.

    Raises
    ------
    ValueError
        If it is no address.
    """
    closed: dict[tuple[str, int], str] = {}
    found: list[Exchange] = []
    for candidate in candidates(address) if only is None else [only]:
        parts = urlsplit(candidate.entry["api_endpoint"])
        key = (parts.hostname or "", parts.port or 0)
        if key not in closed:
            closed[key] = await asyncio.to_thread(_closed, *key)
        if closed[key]:
            detail = f"port {key[1]}: {closed[key]}"
            found.append(Exchange(candidate, 0.0, Outcome.REFUSED, detail, None))
            continue
        found.append(await ask(site_of(candidate.entry), candidate, context))
    # A template is a guess; a protocol that says what it is is none.
    return sorted(found, key=_order)


def _order(exchange: Exchange) -> tuple[bool, bool, int]:
    return exchange.numbers == 0, "template" in exchange.candidate.entry, -exchange.numbers


def _closed(host: str, port: int) -> str:
    """Why nothing listens; empty where something does."""
    try:
        socket.create_connection((host, port), CONNECT_SECONDS).close()
    except OSError as error:
        return error.strerror or str(error) or type(error).__name__
    return ""


async def ask(site: Site, candidate: Candidate, context: DriverContext) -> Exchange:
    """One exchange with a site, and what became of each value."""
    started = time.monotonic()
    driver = open_driver(site, DRIVERS, context)
    try:
        snapshot = await _first(driver)
    except ScrapeError as error:
        return Exchange(candidate, time.monotonic() - started, error.outcome, error.detail, None)
    except TimeoutError:
        detail = f"no answer within {TRY_SECONDS:.0f} s"
        return Exchange(candidate, time.monotonic() - started, Outcome.TIMEOUT, detail, None)
    finally:
        await driver.close()
    readings = [("site", snapshot.readings)]
    readings += [(battery.device, battery.readings) for battery in snapshot.batteries]
    raws = driver.raw_values() if isinstance(driver, Explaining) else []
    explained = tuple(explain(site.driver, readings, snapshot.implausible, raws))
    seconds = time.monotonic() - started
    lacking = tuple(_lacking(site, snapshot))
    detail = snapshot.detail
    return Exchange(candidate, seconds, snapshot.outcome, detail, snapshot, explained, lacking)


async def _first(driver: Driver) -> Snapshot:
    """The first Snapshot: one that is asked for, or of what a device sent within a while.

    Raises
    ------
    ScrapeError
        Of a device that sends, the driver's last reason why nothing came.
    TimeoutError
    """
    if isinstance(driver, Pollable):
        async with asyncio.timeout(TRY_SECONDS):
            return await driver.scrape()
    assert isinstance(driver, Subscribed)
    receiving = asyncio.create_task(driver.subscribe())
    begun = time.monotonic()
    try:
        while True:
            await asyncio.sleep(0.5)
            waited = time.monotonic() - begun
            try:
                snapshot = await driver.latest()
            except ScrapeError as error:
                # What is wrong from the beginning stays so; what is only silent may begin.
                final = error.outcome is not Outcome.TIMEOUT and waited >= SETTLED_SECONDS
                if final or waited >= TRY_SECONDS:
                    raise
                continue
            if snapshot is not None:
                return snapshot
            if waited >= TRY_SECONDS:
                raise TimeoutError
    finally:
        receiving.cancel()
        await asyncio.gather(receiving, return_exceptions=True)


def _lacking(site: Site, snapshot: Snapshot) -> list[str]:
    """Inputs of a full score that are not there."""
    state = FleetState(Fleet(sites=(site,)), 10.0)
    now = time.monotonic()
    state.apply(snapshot, now)
    return [label(name) for name in assess(state, now, time.time()).site(0).missing]
