"""What a site's kind makes of its Snapshots: the role of a meter, the load of a data centre."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

from exporter.config.fleet import Site
from exporter.config.site_kinds import DEFAULT_ROLE, Datacentre, Meter, MeterRole
from exporter.model.snapshot import MISSING, MeterSnapshot, Snapshot

Shape = Callable[[Snapshot], Snapshot]

METER_DEVICE = "meter"
"""The device id of a site that is a meter, where its driver names none."""
_POWER_OF: dict[MeterRole, str] = {
    "grid": "grid_power_w",
    "load": "load_power_w",
    "pv": "pv_power_w",
    "aux": "load_power_w",
}
# Drivers read a meter as that of the grid: they cannot know where it is.
_READ_AS, _IMPORT, _EXPORT = "grid_power_w", "grid_import_kwh", "grid_export_kwh"


def shape_of(site: Site) -> Shape | None:
    """What becomes of a site's Snapshots; None where they stay as they are."""
    if site.kind == "meter":
        return lambda snapshot: as_meter(snapshot, site.meter or Meter(role=DEFAULT_ROLE, sign=1))
    if site.kind == "datacentre" and site.datacentre is not None:
        block = site.datacentre
        return lambda snapshot: as_data_centre(snapshot, block)
    return None


def as_meter(snapshot: Snapshot, meter: Meter) -> Snapshot:
    """The Snapshot of a meter: its power under the name of its role, and its own measurement.

    A driver that already says which power it is (a template for a load meter) keeps its word.
    """
    given = dict(snapshot.readings)
    power = _POWER_OF[meter.role]
    watts = given.get(_READ_AS, given.get(power, MISSING)) * meter.sign
    counters = given.pop(_IMPORT, None), given.pop(_EXPORT, None)
    imported, exported = counters if meter.sign > 0 else counters[::-1]
    given.pop(_READ_AS, None)
    if _READ_AS in snapshot.readings or power in snapshot.readings:
        given[power] = watts
    if meter.role == "grid":
        named = ((_IMPORT, imported), (_EXPORT, exported))
        given |= {name: value for name, value in named if value is not None}
    meters = snapshot.meters
    if not meters:
        own = {"active_power_w": watts, "energy_import_kwh": imported}
        own |= {"energy_export_kwh": exported}
        known = {k: v for k, v in own.items() if v is not None and not math.isnan(v)}
        meters = (MeterSnapshot(METER_DEVICE, known),) if known else ()
    return replace(snapshot, readings=given, meters=meters)


def as_data_centre(snapshot: Snapshot, block: Datacentre) -> Snapshot:
    """The Snapshot of a data centre: without a word of its own, what it can put off is what the
    fleet file says, and never more than its load."""
    load_w = snapshot.readings.get("load_power_w", MISSING)
    given = snapshot.readings.get("deferrable_power_w", MISSING)
    if block.deferrable_kw is None or math.isnan(load_w) or not math.isnan(given):
        return snapshot
    deferrable_w = max(0.0, min(1000.0 * block.deferrable_kw, load_w))
    return replace(snapshot, readings={**snapshot.readings, "deferrable_power_w": deferrable_w})
