"""The fleet file and the ground truth that belong to a scenario."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from simulator import companions
from simulator.devices.names import VRM_ROOT, installation_of, portal_of
from simulator.faults import ISSUE_CODES, Expected, Setting, expected_issues
from simulator.scenario import Companion, FaultPlan, Scenario, Site

THRESHOLDS = {
    "battery_soh_warning": 85,
    "battery_soh_critical": 70,
    "grid_frequency_min": 49.5,
    "grid_frequency_max": 50.5,
    "temperature_max": 45,
    "cell_spread_warning": 0.10,
    "cell_spread_critical": 0.15,
    "soc_critical": 10,
}


def fleet(
    scenario: Scenario,
    base_url: str,
    mqtt_url: str | None = None,
    modbus_url: str | None = None,
    tokens: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """The fleet file of a scenario, as plain data ready for YAML.

    Parameters
    ----------
    scenario : Scenario
        The sites.
    base_url : str
        Where the bridges listen, such as ``http://127.0.0.1:8088``.
    mqtt_url : str or None
        The broker of sites that speak MQTT; without it they are read over HTTP, as they can be too.
    modbus_url : str or None
        Where the sites that speak Modbus listen; without it they are read over HTTP too.
    tokens : mapping or None
        Tokens by site id; a site in VRM or a node that posts is read over HTTP without its own.
    """
    known = tokens or {}
    base = base_url.rstrip("/")
    return {
        "sites": [
            _site(scenario, site, base)
            | _mqtt(site, mqtt_url)
            | _modbus(site, modbus_url)
            | _vrm(site, base, known)
            for site in scenario.sites
        ]
        + [_companion(scenario, one, base, mqtt_url, known) for one in scenario.companions],
        "thresholds": dict(THRESHOLDS),
    }


def _companion(
    scenario: Scenario,
    companion: Companion,
    base: str,
    mqtt_url: str | None,
    tokens: Mapping[str, str],
) -> dict[str, Any]:
    """A device of another kind: it stands where its site does."""
    site = next(site for site in scenario.sites if site.id == companion.of)
    kept = ("location", "latitude", "longitude", "timezone", "region", "contact", "priority")
    whole = _site(scenario, site, base)
    place = {key: whole[key] for key in (*kept, "grid_nominal_hz", "grid_nominal_v")}
    named = {"id": companion.id, "name": companion.name}
    token = tokens.get(companion.id)
    return named | place | companions.entry(companion, site, base, mqtt_url, token)


def _site(scenario: Scenario, site: Site, base: str) -> dict[str, Any]:
    region = scenario.regions[site.region]
    entry = {
        "id": site.id,
        "name": site.name,
        "location": site.location,
        "api_endpoint": f"{base}/{site.id}",
        **_plain(site),
        "battery_type": site.battery.type,
        "capacity_kwh": site.battery.capacity_kwh,
        "solar_capacity_kw": site.solar.capacity_kw,
        "priority": site.priority,
        "contact": site.contact.model_dump(),
        "latitude": site.latitude,
        "longitude": site.longitude,
        "tilt": site.solar.tilt,
        "azimuth": site.solar.azimuth,
        "timezone": site.timezone,
        "region": site.region,
        "vendor": site.battery.vendor,
        **_bess(site),
        "grid_nominal_hz": region.nominal_hz,
        "grid_nominal_v": region.nominal_v,
        "off_grid": site.off_grid,
        "interval_seconds": site.interval_seconds,
        "tags": list(site.tags),
    }
    return {key: value for key, value in entry.items() if value is not None}


def _bess(site: Site) -> dict[str, Any]:
    if site.fleet_kind != "bess":
        return {}
    block = {"rated_kw": site.inverter_kw, "usable_kwh": site.battery.capacity_kwh}
    return {"kind": "bess", "bess": block}


def _plain(site: Site) -> dict[str, Any]:
    if site.protocol == "openems":
        return {"driver": "template", "template": "openems"}
    return {"driver": "venus-http"}


def _modbus(site: Site, modbus_url: str | None) -> dict[str, Any]:
    if modbus_url is None or site.protocol not in ("modbus", "sunspec"):
        return {}
    if site.protocol == "modbus":
        return {"driver": "modbus-tcp", "api_endpoint": modbus_url} | _dispatch(site)
    units = [1] if site.solar.coupling == "dc" else [1, 2]
    return {"driver": "sunspec", "api_endpoint": modbus_url, "sunspec": {"units": units}}


def _vrm(site: Site, base: str, tokens: Mapping[str, str]) -> dict[str, Any]:
    if site.protocol != "vrm" or site.id not in tokens:
        return {}
    block = {"installation": installation_of(site)}
    return {"driver": "vrm", "api_endpoint": f"{base}/{VRM_ROOT}", "vrm": block}


def secrets(
    scenario: Scenario, base_url: str, push_url: str | None, tokens: Mapping[str, str]
) -> dict[str, Any]:
    """The exporter's site secrets for the sites that have a token, as plain data for YAML.

    Parameters
    ----------
    scenario : Scenario
    base_url : str
        As for :func:`fleet`; the portal is below it.
    push_url : str or None
        Where nodes post their telemetry.
    tokens : mapping
    """
    portal = f"{base_url.rstrip('/')}/{VRM_ROOT}"
    found = {s.id: {"endpoint": portal} for s in scenario.sites if s.protocol == "vrm"}
    if push_url is not None:
        found |= {one.id: {"endpoint": push_url} for one in scenario.pushing("push")}
    return {name: secret | {"token": tokens[name]} for name, secret in found.items()}


def _mqtt(site: Site, mqtt_url: str | None) -> dict[str, Any]:
    if mqtt_url is None or site.protocol != "mqtt":
        return {}
    read_by = {"driver": "venus-mqtt", "api_endpoint": mqtt_url, "portal": portal_of(site)}
    return read_by | _dispatch(site)


def _dispatch(site: Site) -> dict[str, Any]:
    """What the site may be ordered to do; only where its protocol can write a set-point."""
    if not site.dispatch:
        return {}
    most_kw = min(site.inverter_kw, site.battery.max_c_rate * site.battery.capacity_kwh)
    powers = {"max_charge_kw": round(most_kw, 1), "max_discharge_kw": round(most_kw, 1)}
    return {"dispatch": {"enabled": True, **powers, "soc_floor": site.battery.min_soc}}


def truth(scenario: Scenario) -> dict[str, Any]:
    """What is wrong with each site, when, and what a correct monitor says and does not say.

    Each site lists its faults with their own expectations, and beside them the expectations over
    all of its faults; a healthy site must show nothing at all.
    """
    return {
        "scenario": scenario.name,
        "issue_codes": list(ISSUE_CODES),
        "sites": {site.id: _truth(scenario, site) for site in scenario.sites}
        | {one.id: _truth_of_companion(one) for one in scenario.companions},
    }


def _truth(scenario: Scenario, site: Site) -> dict[str, Any]:
    region = scenario.regions[site.region]
    setting = Setting(
        nominal_hz=region.nominal_hz,
        nominal_v=region.nominal_v,
        stepped_frequency=site.kind != "multi-rs",
        off_grid=site.off_grid,
        battery_monitor=site.kind == "multiplus-bmv" or site.protocol == "openems",
        neighbours=sum(1 for other in scenario.sites if other.region == site.region) - 1,
    )
    pairs = [(plan, expected_issues(plan.fault, plan.params, setting)) for plan in site.faults]
    return {
        "name": site.name,
        "off_grid": site.off_grid,
        "faults": [_planned(plan, expected) for plan, expected in pairs],
        **_codes([expected for _, expected in pairs]),
    }


def _truth_of_companion(companion: Companion) -> dict[str, Any]:
    return {"name": companion.name, "off_grid": False, "faults": [], **_codes([])}


def _planned(plan: FaultPlan, expected: Expected) -> dict[str, Any]:
    return {
        "fault": plan.fault,
        "params": dict(plan.params),
        "start_seconds": plan.start_seconds,
        "end_seconds": plan.end_seconds,
        "daylight_only": expected.daylight_only,
        **_codes([expected]),
    }


def _codes(expected: Iterable[Expected]) -> dict[str, list[Any]]:
    listed = list(expected)
    must = {code for item in listed for code in item.must_show}
    may = {code for item in listed for code in item.may_show} - must
    one_of = [sorted(item.must_show_one_of) for item in listed if item.must_show_one_of]
    allowed = must | may | {code for group in one_of for code in group}
    return {
        "must_show": sorted(must),
        "must_show_one_of": one_of,
        "may_show": sorted(may),
        "must_not_show": [code for code in ISSUE_CODES if code not in allowed],
    }
