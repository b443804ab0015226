"""What no single key of the fleet file can know: mistakes between keys, each with its place."""

from __future__ import annotations

import difflib
import json
import unicodedata
from collections import Counter
from typing import Any

from pydantic import BaseModel, ValidationError

from exporter.config.driver_options import DEFAULT_DRIVER, Declarations, DriverDeclaration
from exporter.config.fleet import MaintenanceWindow
from exporter.config.positions import FleetDocument, Mistake, Where, shown_text
from exporter.config.site_kinds import BLOCKS, BLOCKS_OF, DEFAULT_KIND
from exporter.config.thresholds import ThresholdOverrides, Thresholds, contradictions


def cross_checks(document: FleetDocument, drivers: Declarations) -> list[Mistake]:
    """Every mistake between keys; each key by itself is checked by its model."""
    return [
        *_duplicate_ids(document),
        *_half_coordinates(document),
        *_impossible(document),
        *_backward_windows(document),
        *_wrong_schemes(document, drivers),
        *_missing_endpoints(document, drivers),
        *_wrong_projects(document),
        *_wrong_blocks(document),
        *_wrong_ways(document, drivers),
    ]


def folded_id(name: str) -> str:
    """Equal for ids that are alike to a reader, and to whoever is called at night."""
    return unicodedata.normalize("NFKC", name).casefold()


def _raw_sites(document: FleetDocument) -> list[tuple[int, dict[str, Any]]]:
    sites = document.data.get("sites")
    if not isinstance(sites, list):
        return []
    return [(index, site) for index, site in enumerate(sites) if isinstance(site, dict)]


def _raw_ways(document: FleetDocument) -> list[tuple[Where, dict[str, Any]]]:
    """What says how a site is asked: its ``drivers``, or the site itself, each with its place."""
    found: list[tuple[Where, dict[str, Any]]] = []
    for index, site in _raw_sites(document):
        if "drivers" not in site:
            found.append((("sites", index), site))
            continue
        entries = site["drivers"] if isinstance(site["drivers"], list) else []
        found += [
            (("sites", index, "drivers", number), entry)
            for number, entry in enumerate(entries)
            if isinstance(entry, dict)
        ]
    return found


def driver_of(site: dict[str, Any], drivers: Declarations) -> type[DriverDeclaration] | None:
    name = site.get("driver", DEFAULT_DRIVER)
    return drivers.get(name) if isinstance(name, str) else None


def _duplicate_ids(document: FleetDocument) -> list[Mistake]:
    seen: dict[str, tuple[int, str]] = {}
    mistakes = []
    for index, site in _raw_sites(document):
        name = site.get("id")
        if not isinstance(name, str):
            continue
        folded = folded_id(name)
        first, other = seen.setdefault(folded, (index, name))
        if first != index:
            shown = shown_text(json.dumps(name))
            but = "" if name == other else " but for capital letters"
            message = f"{shown}: is the id of sites[{first}] too{but}; ids are unique"
            mistakes.append(document.mistake(("sites", index, "id"), message))
    return mistakes


def _half_coordinates(document: FleetDocument) -> list[Mistake]:
    mistakes = []
    for index, site in _raw_sites(document):
        for given, lacking in (("latitude", "longitude"), ("longitude", "latitude")):
            if ("sites", index, lacking) in document.left_out:
                continue
            if site.get(given) is not None and site.get(lacking) is None:
                message = f"is given without {lacking}; give both or neither"
                mistakes.append(document.mistake(("sites", index, given), message))
    return mistakes


def _backward_windows(document: FleetDocument) -> list[Mistake]:
    """Maintenance that ends before it starts, or of which one end alone has an offset."""
    mistakes = []
    holders: list[tuple[Where, dict[str, Any]]] = [((), document.data)]
    holders += [(("sites", index), site) for index, site in _raw_sites(document)]
    for where, holder in holders:
        windows = holder.get("maintenance")
        for index, raw in enumerate(windows if isinstance(windows, list) else ()):
            try:
                window = MaintenanceWindow.model_validate(raw)
            except ValidationError:
                continue
            place = (*where, "maintenance", index, "end")
            if (window.start.tzinfo is None) != (window.end.tzinfo is None):
                message = "has an offset and start has none, or the other way; give both or neither"
                mistakes.append(document.mistake(place, message))
            elif window.end <= window.start:
                mistakes.append(document.mistake(place, "must be after start"))
    return mistakes


def _wrong_schemes(document: FleetDocument, drivers: Declarations) -> list[Mistake]:
    """Endpoints that another driver can reach, but not the one that they belong to."""
    mistakes = []
    for where, way in _raw_ways(document):
        driver = driver_of(way, drivers)
        endpoint = way.get("api_endpoint")
        if driver is None or not isinstance(endpoint, str):
            continue
        scheme = endpoint.partition("://")[0]
        if scheme not in driver.schemes and any(scheme in d.schemes for d in drivers.values()):
            message = f"the site's driver needs an endpoint with {' or '.join(driver.schemes)}"
            mistakes.append(document.mistake((*where, "api_endpoint"), message))
    return mistakes


def _missing_endpoints(document: FleetDocument, drivers: Declarations) -> list[Mistake]:
    """Sites, or ways in to one, without an endpoint whose driver needs one."""
    found = []
    for where, way in _raw_ways(document):
        driver = driver_of(way, drivers)
        place = (*where, "api_endpoint")
        needs = driver is None or driver.needs_endpoint
        if needs and "api_endpoint" not in way and place not in document.left_out:
            found.append(document.mistake(place, "is missing; it is required"))
    return found


def _wrong_ways(document: FleetDocument, drivers: Declarations) -> list[Mistake]:
    """Sites with several ways in that also name one, or name one way twice."""
    options = {name for driver in drivers.values() for name in driver.options.model_fields}
    found = []
    for index, site in _raw_sites(document):
        if "drivers" not in site:
            continue
        entries = site["drivers"]
        if entries == []:
            message = "expected at least one way in"
            found.append(document.mistake(("sites", index, "drivers"), message))
        for name in ("driver", "api_endpoint", *sorted(options & site.keys())):
            if name in site:
                message = "is given beside drivers; put it into the entry that it belongs to"
                found.append(document.mistake(("sites", index, name), message))
        for number, entry in enumerate(entries if isinstance(entries, list) else []):
            if entry in entries[:number]:
                message = f"is the same as drivers[{entries.index(entry)}]"
                found.append(document.mistake(("sites", index, "drivers", number), message))
    return found


def _wrong_projects(document: FleetDocument) -> list[Mistake]:
    """Projects that the file does not list though it lists some, and those with too many sites."""
    projects = document.data.get("projects")
    if not isinstance(projects, dict) or not projects:
        return []
    mistakes = []
    counts: Counter[str] = Counter()
    for index, site in _raw_sites(document):
        name = site.get("project")
        if not isinstance(name, str):
            continue
        where = ("sites", index, "project")
        if name not in projects:
            near = difflib.get_close_matches(name, projects, n=1, cutoff=0.7)
            hint = f"did you mean {near[0]}?" if near else f"one of: {', '.join(sorted(projects))}"
            message = f"{shown_text(name)}: no such project under projects; {shown_text(hint)}"
            mistakes.append(document.mistake(where, message))
            continue
        counts[name] += 1
        most = projects[name].get("most_sites") if isinstance(projects[name], dict) else None
        if isinstance(most, int) and counts[name] == most + 1:
            message = f"the project {name} has more than its {most} sites (most_sites)"
            mistakes.append(document.mistake(where, message))
    return mistakes


def _impossible(document: FleetDocument) -> list[Mistake]:
    """Thresholds that contradict each other, the fleet's and those laid over them by a site."""
    given = _usable(Thresholds, document.data.get("thresholds"))
    fleet = Thresholds.model_construct(**Thresholds().model_dump() | given)
    mistakes = [
        document.mistake(_cause(("thresholds",), given, message), _for_50_hz(message))
        for message in contradictions(fleet)
    ]
    for index, site in _raw_sites(document):
        own = _usable(ThresholdOverrides, site.get("thresholds"))
        if not own:
            continue
        nominal = 60 if site.get("grid_nominal_hz") == 60 else 50
        values = fleet.model_dump()
        values["grid_frequency_min"] += nominal - 50
        values["grid_frequency_max"] += nominal - 50
        merged = Thresholds.model_construct(**values | own)
        where = ("sites", index, "thresholds")
        mistakes += [
            document.mistake(_cause(where, own, message), f"with the fleet's: {message}")
            for message in contradictions(merged, nominal)
            # Two of the fleet's that contradict each other are no fault of the site.
            if any(name in message for name in own)
        ]
    return mistakes


def _cause(where: Where, given: dict[str, float], message: str) -> Where:
    """The place of the first threshold that a message names."""
    named = [name for name in given if name in message]
    return (*where, min(named, key=message.index)) if named else where


def _for_50_hz(message: str) -> str:
    if "nominal" not in message:
        return message
    return f"{message}; the band of a 60 Hz site is this one moved by 10 Hz"


def _usable(model: type[BaseModel], raw: Any) -> dict[str, float]:
    """The entries of a mapping of thresholds that are right by themselves."""
    if not isinstance(raw, dict):
        return {}
    usable: dict[str, float | None] = {}
    for key, value in raw.items():
        try:
            usable |= model.model_validate({key: value}).model_dump(include={key})
        except ValidationError:
            continue
    return {key: value for key, value in usable.items() if value is not None}


def _wrong_blocks(document: FleetDocument) -> list[Mistake]:
    """Blocks that sites of their kind do not have, and what makes a block impossible."""
    found = []
    for index, site in _raw_sites(document):
        kind = site.get("kind", DEFAULT_KIND)
        allowed = next((blocks for known, blocks in BLOCKS_OF.items() if known == kind), None)
        if allowed is None:
            continue
        for name in BLOCKS:
            if name in site and name not in allowed:
                kinds = " or ".join(k for k, blocks in BLOCKS_OF.items() if name in blocks)
                message = f"is for sites of the kind {kinds}; this one is of the kind {kind}"
                found.append(document.mistake(("sites", index, name), message))
        bess = site.get("bess")
        low, high = (_number_of(bess, name) for name in ("soc_min", "soc_max"))
        if low is not None and high is not None and low >= high:
            message = f"must be below soc_max {high:g}"
            found.append(document.mistake(("sites", index, "bess", "soc_min"), message))
        pv = site.get("pv")
        arrays = isinstance(pv, dict) and "arrays" in pv
        if kind == "pv" and not arrays and "solar_capacity_kw" not in site:
            message = "a site of the kind pv needs pv.arrays or solar_capacity_kw"
            found.append(document.mistake(("sites", index, "kind"), message))
    return found


def _number_of(block: Any, name: str) -> float | None:
    value = block.get(name) if isinstance(block, dict) else None
    return value if isinstance(value, (int, float)) and not isinstance(value, bool) else None
