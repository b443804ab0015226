"""Devices of other kinds beside a simulated site, over the same physics: its meter, its PV alone,
and a data centre that takes its load. They answer with JSON, or send points by themselves.

Sources: HomeWizard's local API v1, OpenDTU's web API; the flat telemetry form of docs/push.md.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Any

from simulator.scenario import Companion, Site
from simulator.state import SiteState

INVERTER = "116180000001"
_DEFERRABLE_SHARE = 0.4


def meter(state: SiteState) -> dict[str, Any]:
    """A HomeWizard P1 meter at the grid connection."""
    return {
        "unique_id": "0" * 32,
        "active_power_w": round(state.grid),
        "active_voltage_l1_v": round(state.grid_voltages[0], 1),
        "active_frequency_hz": round(state.frequency, 2),
        "total_power_import_kwh": round(state.imported_kwh, 3),
        "total_power_export_kwh": round(state.exported_kwh, 3),
    }


def pv(state: SiteState) -> dict[str, Any]:
    """OpenDTU with one inverter."""
    watts = {"v": round(state.pv_ac + state.pv_dc, 1), "u": "W"}
    phase = {
        "Power": watts,
        "Voltage": {"v": round(state.grid_voltages[0], 1), "u": "V"},
        "Frequency": {"v": round(state.frequency, 2), "u": "Hz"},
    }
    return {"inverters": [{"serial": INVERTER, "AC": {"0": phase}}], "total": {"Power": watts}}


def data_centre(state: SiteState) -> dict[str, Any]:
    """A node in the flat form."""
    share = min(1.0, state.load / 20_000.0)
    return {
        "dc_id": "DC01",
        "timestamp": state.time,
        "cpu_usage": round(20 + 70 * share, 1),
        "power_kw": round(state.load / 1000, 3),
        "freq": round(state.frequency, 2),
        "network_mb_sent": round(state.time % 1e6, 1),
        "network_mb_recv": round(state.time % 1e6 / 2, 1),
        "load_factor": round(share, 3),
    }


def point(companion: Companion, state: SiteState) -> dict[str, Any]:
    """What it sends by itself: a data centre the flat form, others readings of the glossary."""
    if companion.kind == "datacentre":
        return data_centre(state)
    readings = {
        "grid_frequency_hz": round(state.frequency, 2),
        "grid_voltage_v": round(state.grid_voltages[0], 1),
    }
    if companion.kind == "meter":
        readings |= {
            "grid_power_w": round(state.grid),
            "grid_import_kwh": round(state.imported_kwh, 3),
            "grid_export_kwh": round(state.exported_kwh, 3),
        }
    else:
        readings["pv_power_w"] = round(state.pv_ac + state.pv_dc, 1)
    return {"site": companion.id, "measured": state.time, "readings": readings}


ROUTES: Mapping[str, Callable[[SiteState], dict[str, Any]]] = {
    "/api/v1/data": meter,
    "/api/livedata/status": pv,
    "/telemetry": data_centre,
}
_TEMPLATES: Mapping[str, dict[str, Any]] = {
    "meter": {"template": "homewizard-p1"},
    "pv": {"template": "opendtu", "parameters": {"inverter": INVERTER}},
    "datacentre": {"template": "datacentre-node"},
}
_KIND_BLOCKS: Mapping[str, dict[str, Any]] = {
    "meter": {"meter": {"role": "grid"}},
    "pv": {},
    "datacentre": {},
}


def entry(
    companion: Companion, site: Site, base: str, mqtt_url: str | None, token: str | None
) -> dict[str, Any]:
    """Its keys in the fleet file, beside those that say where it stands.

    One that sends by itself is asked like the others where it has no broker or no ``token``.
    """
    found: dict[str, Any] = {"kind": companion.kind}
    if companion.protocol == "push" and token is not None:
        digest = hashlib.sha256(token.encode()).hexdigest()
        found |= {"driver": "push", "token_sha256": digest, **_KIND_BLOCKS[companion.kind]}
    elif companion.protocol == "push-mqtt" and mqtt_url is not None:
        found |= {"driver": "push", "api_endpoint": mqtt_url, **_KIND_BLOCKS[companion.kind]}
    else:
        found |= {"driver": "template", "api_endpoint": f"{base}/{site.id}"}
        found |= _TEMPLATES[companion.kind] | _KIND_BLOCKS[companion.kind]
    if companion.kind == "pv":
        solar = site.solar
        array = {"kwp": solar.capacity_kw, "tilt": solar.tilt, "azimuth": solar.azimuth}
        found["pv"] = {"arrays": [array]}
    if companion.kind == "datacentre":
        deferrable_kw = round(_DEFERRABLE_SHARE * site.inverter_kw, 1)
        found["datacentre"] = {
            "dc_id": "DC01",
            "capacity_kw": site.inverter_kw,
            "deferrable_kw": deferrable_kw,
        }
    return found
