"""Reads the fleet file, and reports all mistakes at once: place, key, and what would be right."""

from __future__ import annotations

import difflib
import json
import re
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from exporter.config.dispatch_block import DispatchBlock
from exporter.config.driver_options import (
    Declarations,
    DriverOptions,
    block_of,
    take_options,
)
from exporter.config.field_types import ERROR_TYPE
from exporter.config.fleet import (
    Contact,
    Fleet,
    MaintenanceWindow,
    MuteTime,
    Project,
    Site,
    WayIn,
)
from exporter.config.fleet_checks import cross_checks, driver_of, folded_id
from exporter.config.positions import FleetDocument, FleetFileError, Mistake, Where, shown_text
from exporter.config.site_kinds import BLOCKS, PvArray
from exporter.config.thresholds import ThresholdOverrides, Thresholds

__all__ = ["FleetFileError", "Mistake", "load_fleet", "parse_fleet"]

_Options = DriverOptions | list[DriverOptions | None] | None
_LARGEST_FILE = 64 * 1024 * 1024
MOST_SITES = 100_000
MOST_EXPLAINED = 2000
_SECRET_KEY = re.compile(
    r"pass(?:word|wd|phrase)|secret|token|credential|(?:api|access|private)[_-]?key"
    r"|(?:^|[_-])(?:auth|authorization|pass|pwd|key)(?:[_-]|$)",
    re.IGNORECASE,
)
_WITHOUT_SECRET = re.compile(
    r"(?:[A-Za-z][A-Za-z0-9+.-]*:/*)?(?:\[[0-9A-Fa-f:.]*\]?|[^:/@?#%]*)(?::-?[0-9]*)?(?:/[^:@?#%]*)?\Z"
)
_KEYS: dict[str, list[str]] = {
    "": list(Fleet.model_fields),
    "sites": list(Site.model_fields),
    "thresholds": list(Thresholds.model_fields),
    "sites.thresholds": list(ThresholdOverrides.model_fields),
    "projects": list(Project.model_fields),
    "sites.drivers": list(WayIn.model_fields),
    "sites.contact": list(Contact.model_fields),
    **{f"sites.{name}": list(block.model_fields) for name, block in BLOCKS.items()},
    "sites.pv.arrays": list(PvArray.model_fields),
    "maintenance": list(MaintenanceWindow.model_fields),
    "mute_times": list(MuteTime.model_fields),
    "sites.maintenance": list(MaintenanceWindow.model_fields),
    "sites.mute_times": list(MuteTime.model_fields),
    "sites.dispatch": list(DispatchBlock.model_fields),
}


def nodes_path(path: Path) -> Path:
    """Where sites that were registered over the API stand: beside the fleet file."""
    return path.with_name("nodes.yaml")


def load_fleet(path: Path, drivers: Declarations, nodes: Path | None = None) -> Fleet:
    """Read and check a fleet file, YAML or JSON, with the registered sites beside it.

    Parameters
    ----------
    path : Path
    drivers : Declarations
        The drivers that a site may name.
    nodes : Path or None
        File of the registered sites; None for :func:`nodes_path`. It may be absent.

    Raises
    ------
    FleetFileError
        With every mistake found.
    """
    fleet = parse_fleet(_read(path), path, drivers)
    beside = nodes or nodes_path(path)
    if beside == path or not beside.exists():
        return fleet
    registered = parse_fleet(_read(beside), beside, drivers).sites
    taken = {folded_id(site.id) for site in fleet.sites}
    mistakes = [
        Mistake(0, 0, f"sites[{index}].id", f"{site.id}: is an id of {path.name} too")
        for index, site in enumerate(registered)
        if folded_id(site.id) in taken
    ]
    if mistakes:
        raise FleetFileError(beside, mistakes)
    return fleet.model_copy(update={"sites": (*fleet.sites, *registered)})


def parse_fleet(text: str, path: Path, drivers: Declarations) -> Fleet:
    """Check the text of a fleet file; ``path`` names it in messages."""
    document = FleetDocument(text, path)
    mistakes = list(document.mistakes)
    fleet: Fleet | None = None
    if not isinstance(document.data, dict):
        expected = "expected a mapping with the key sites"
        raise FleetFileError(path, [*mistakes, document.mistake((), expected)])
    sites = document.data.get("sites")
    if isinstance(sites, list) and len(sites) > MOST_SITES:
        expected = f"has {len(sites)} sites; expected {MOST_SITES} at most"
        raise FleetFileError(path, [*mistakes, document.mistake(("sites",), expected)])
    common, options, found = _options_of_sites(document, path.parent, drivers)
    try:
        fleet = Fleet.model_validate(common, context=drivers)
    except ValidationError as error:
        found += error.errors(include_url=False)
    explainer = _Explainer(document, drivers)
    found = [d for d in found if d["loc"] not in document.left_out]
    # To explain them takes longer than to find them.
    mistakes += [explainer.explain(detail) for detail in found[:MOST_EXPLAINED]]
    mistakes += cross_checks(document, drivers)
    if fleet is None or mistakes:
        raise FleetFileError(path, mistakes)
    with_options = (
        _with_options(site, chosen).completed()
        for site, chosen in zip(fleet.sites, options, strict=True)
    )
    return fleet.model_copy(update={"sites": tuple(with_options)})


def _with_options(site: Site, chosen: _Options) -> Site:
    if isinstance(chosen, list):
        return site.with_ways(chosen)
    return site.with_options(chosen) if chosen else site


def _options_of_sites(
    document: FleetDocument, folder: Path, drivers: Declarations
) -> tuple[dict[str, Any], list[_Options], list[ErrorDetails]]:
    """The data without options of drivers; the options of each site, a list for one with several
    ways in; what is wrong with them."""
    sites = document.data.get("sites")
    if not isinstance(sites, list):
        return document.data, [], []
    common: list[Any] = []
    options: list[_Options] = []
    found: list[ErrorDetails] = []
    for index, site in enumerate(sites):
        if not isinstance(site, dict):
            common.append(site)
            options.append(None)
            continue
        rest, chosen, wrong = _options_of_site(site, drivers, folder)
        common.append(rest)
        options.append(chosen)
        for detail in wrong:
            detail["loc"] = ("sites", index, *detail["loc"])
        found += wrong
    return document.data | {"sites": common}, options, found


def _options_of_site(
    site: dict[str, Any], drivers: Declarations, folder: Path
) -> tuple[dict[str, Any], _Options, list[ErrorDetails]]:
    """As :func:`take_options`, of each of its ways where it has several."""
    entries = site.get("drivers")
    if not isinstance(entries, list):
        return take_options(site, drivers, folder)
    rest: list[Any] = []
    chosen: list[DriverOptions | None] = []
    found: list[ErrorDetails] = []
    for number, entry in enumerate(entries):
        if not isinstance(entry, dict):
            rest.append(entry)
            chosen.append(None)
            continue
        common, options, wrong = take_options(entry, drivers, folder)
        rest.append(common)
        chosen.append(options)
        for detail in wrong:
            detail["loc"] = ("drivers", number, *detail["loc"])
        found += wrong
    return site | {"drivers": rest}, chosen, found


def _read(path: Path) -> str:
    try:
        if path.stat().st_size > _LARGEST_FILE:
            raise FleetFileError(path, [Mistake(0, 0, "", "is larger than 64 MiB")])
        return path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise FleetFileError(path, [Mistake(0, 0, "", f"cannot be read: {reason}")]) from error
    except UnicodeDecodeError as error:
        message = f"is not UTF-8 (byte {error.start + 1}); save it as UTF-8"
        raise FleetFileError(path, [Mistake(0, 0, "", message)]) from error


def _limit(value: float) -> str:
    return f"{value:g}" if abs(value) < 1e6 else f"{value:.0f}"


class _Explainer:
    """Explains errors of the validator in terms of the fleet file."""

    def __init__(self, document: FleetDocument, drivers: Declarations) -> None:
        self._document = document
        self._drivers = drivers

    def explain(self, detail: ErrorDetails) -> Mistake:
        """The mistake behind one error of the validator."""
        where, kind = detail["loc"], detail["type"]
        if kind == "extra_forbidden":
            return self._document.mistake(where, self._unknown_key(where))
        if kind == "missing":
            return self._document.mistake(where, "is missing; it is required")
        value = detail.get("input")
        message = message_of(kind, where, value, detail.get("ctx", {})) or detail["msg"]
        return self._document.mistake(where, f"{self._shown(value, where)}: {message}")

    def _shown(self, value: Any, where: Where) -> str:
        """The value as it may be shown: short, on one line, and never a secret."""
        # User names and passwords come before an @, which may be missing or encoded.
        if where[-1:] == ("api_endpoint",) and not _WITHOUT_SECRET.match(str(value)):
            return "(value not shown)"
        if isinstance(value, dict):
            return "a mapping"
        if isinstance(value, (list, tuple)):
            return "a list" if value else "an empty list"
        if value is None:
            return "nothing"
        written = self._document.as_written(where)
        if written is None:
            written = json.dumps(value, ensure_ascii=False)
        return shown_text(written)

    def _unknown_key(self, where: Where) -> str:
        known = self._known_keys(where)
        name = str(where[-1])
        if name.lower() in known:
            return f"unknown key; did you mean {name.lower()}?"
        if _SECRET_KEY.search(name):
            return "unknown key; secrets come from the environment, never from this file"
        owners = [driver for driver, d in self._drivers.items() if name in d.options.model_fields]
        of_way = len(where) == 5 and where[2] == "drivers"
        if where[:1] == ("sites",) and (len(where) == 3 or of_way) and owners:
            return f"is an option of the driver {' and '.join(sorted(owners))}, not of this one"
        near = difflib.get_close_matches(name, known, n=1, cutoff=0.7)
        if near:
            return f"unknown key; did you mean {near[0]}?"
        return f"unknown key; expected one of: {', '.join(known)}"

    def _known_keys(self, where: Where) -> list[str]:
        # The keys of projects are names that the file gives.
        named = where[:1] if where[0] == "projects" and len(where) > 2 else where[:-1]
        group = ".".join(part for part in named if isinstance(part, str))
        known = list(_KEYS.get(group, ()))
        if group.partition(".")[0] == "sites" and not (
            known and len(where) > 3 and group != "sites.drivers"
        ):
            holder, depth = self._document.data["sites"][where[1]], 2
            if where[2] == "drivers" and len(where) > 4:
                holder, depth = holder["drivers"][where[3]], 4
            driver = driver_of(holder, self._drivers)
            model: type[BaseModel] | None = driver.options if driver else None
            for part in where[depth:-1]:
                info = model.model_fields.get(str(part)) if model else None
                model = block_of(info) if info else None
            known += model.model_fields if model else ()
        return known


def message_of(kind: str, where: Where, value: Any, context: dict[str, Any]) -> str | None:
    """What would be right; None for a kind of error that has no text here."""
    if kind == "string_pattern_mismatch":
        if where[-1] == "email":
            return "expected an e-mail address"
        return "expected a letter or digit, then letters, digits and _ . : - (64 at most)"
    quote = isinstance(value, (bool, int, float))
    limits = {key: _limit(context[key]) for key in ("gt", "ge", "lt", "le") if key in context}
    return {
        "string_type": "expected text; put it in quotes" if quote else "expected text",
        "string_unicode": "expected text; it holds half of a character",
        "string_too_short": "expected text that is not empty",
        "string_too_long": f"is too long; expected at most {context.get('max_length')} characters",
        "bool_type": "expected true or false, without quotes",
        "greater_than": f"expected more than {limits.get('gt')}",
        "greater_than_equal": f"expected {limits.get('ge')} or more",
        "less_than": f"expected less than {limits.get('lt')}",
        "less_than_equal": f"expected {limits.get('le')} or less",
        "literal_error": f"expected one of {context.get('expected')}",
        "float_type": "expected a number",
        "finite_number": "expected a finite number",
        "tuple_type": "expected a list",
        "too_long": f"is too long; expected at most {context.get('max_length')} entries",
        "model_type": "expected a mapping of keys and values",
        ERROR_TYPE: str(context.get("message", "")),
    }.get(kind)
