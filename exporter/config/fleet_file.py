"""Reads the fleet file, and reports all mistakes at once: place, key, and what would be right."""

from __future__ import annotations

import difflib
import json
import re
import unicodedata
from collections import Counter
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from exporter.config.dispatch_block import DispatchBlock
from exporter.config.driver_options import (
    DEFAULT_DRIVER,
    Declarations,
    DriverDeclaration,
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
)
from exporter.config.positions import FleetDocument, FleetFileError, Mistake, Where, shown_text
from exporter.config.thresholds import ThresholdOverrides, Thresholds, contradictions

__all__ = ["FleetFileError", "Mistake", "load_fleet", "parse_fleet"]

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
    "sites.contact": list(Contact.model_fields),
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
    taken = {_folded(site.id) for site in fleet.sites}
    mistakes = [
        Mistake(0, 0, f"sites[{index}].id", f"{site.id}: is an id of {path.name} too")
        for index, site in enumerate(registered)
        if _folded(site.id) in taken
    ]
    if mistakes:
        raise FleetFileError(beside, mistakes)
    return fleet.model_copy(update={"sites": (*fleet.sites, *registered)})


def _folded(name: str) -> str:
    """Equal for ids that are alike to a reader, and to whoever is called at night."""
    return unicodedata.normalize("NFKC", name).casefold()


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
    mistakes += [*_duplicate_ids(document), *_half_coordinates(document), *_impossible(document)]
    mistakes += [*_backward_windows(document), *_wrong_schemes(document, drivers)]
    mistakes += _missing_endpoints(document, drivers)
    mistakes += _wrong_projects(document)
    if fleet is None or mistakes:
        raise FleetFileError(path, mistakes)
    with_options = (
        site.with_options(chosen) if chosen else site
        for site, chosen in zip(fleet.sites, options, strict=True)
    )
    return fleet.model_copy(update={"sites": tuple(with_options)})


def _options_of_sites(
    document: FleetDocument, folder: Path, drivers: Declarations
) -> tuple[dict[str, Any], list[DriverOptions | None], list[ErrorDetails]]:
    """The data without options of drivers; the options of each site; what is wrong with them."""
    sites = document.data.get("sites")
    if not isinstance(sites, list):
        return document.data, [], []
    common: list[Any] = []
    options: list[DriverOptions | None] = []
    found: list[ErrorDetails] = []
    for index, site in enumerate(sites):
        if not isinstance(site, dict):
            common.append(site)
            options.append(None)
            continue
        rest, chosen, wrong = take_options(site, drivers, folder)
        common.append(rest)
        options.append(chosen)
        for detail in wrong:
            detail["loc"] = ("sites", index, *detail["loc"])
        found += wrong
    return document.data | {"sites": common}, options, found


def _wrong_schemes(document: FleetDocument, drivers: Declarations) -> list[Mistake]:
    """Endpoints that another driver can reach, but not the site's own."""
    mistakes = []
    for index, site in _raw_sites(document):
        driver = _driver_of(site, drivers)
        endpoint = site.get("api_endpoint")
        if driver is None or not isinstance(endpoint, str):
            continue
        scheme = endpoint.partition("://")[0]
        if scheme not in driver.schemes and any(scheme in d.schemes for d in drivers.values()):
            message = f"the site's driver needs an endpoint with {' or '.join(driver.schemes)}"
            mistakes.append(document.mistake(("sites", index, "api_endpoint"), message))
    return mistakes


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


def _missing_endpoints(document: FleetDocument, drivers: Declarations) -> list[Mistake]:
    """Sites without an endpoint whose driver needs one."""
    found = []
    for index, site in _raw_sites(document):
        driver = _driver_of(site, drivers)
        where = ("sites", index, "api_endpoint")
        needs = driver is None or driver.needs_endpoint
        if needs and "api_endpoint" not in site and where not in document.left_out:
            found.append(document.mistake(where, "is missing; it is required"))
    return found


def _driver_of(site: dict[str, Any], drivers: Declarations) -> type[DriverDeclaration] | None:
    name = site.get("driver", DEFAULT_DRIVER)
    return drivers.get(name) if isinstance(name, str) else None


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


def _duplicate_ids(document: FleetDocument) -> list[Mistake]:
    seen: dict[str, tuple[int, str]] = {}
    mistakes = []
    for index, site in _raw_sites(document):
        name = site.get("id")
        if not isinstance(name, str):
            continue
        folded = _folded(name)
        first, other = seen.setdefault(folded, (index, name))
        if first != index:
            shown = shown_text(json.dumps(name))
            but = "" if name == other else " but for capital letters"
            message = f"{shown}: is the id of sites[{first}] too{but}; ids are unique"
            mistakes.append(document.mistake(("sites", index, "id"), message))
    return mistakes


def _raw_sites(document: FleetDocument) -> list[tuple[int, dict[str, Any]]]:
    sites = document.data.get("sites")
    if not isinstance(sites, list):
        return []
    return [(index, site) for index, site in enumerate(sites) if isinstance(site, dict)]


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
        if where[:1] == ("sites",) and len(where) == 3 and owners:
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
        if group.partition(".")[0] == "sites" and not (known and len(where) > 3):
            driver = _driver_of(self._document.data["sites"][where[1]], self._drivers)
            model: type[BaseModel] | None = driver.options if driver else None
            for part in where[2:-1]:
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
