"""Reading the fleet file: every mistake at once, each with its place and what would be right."""

from __future__ import annotations

import difflib
import json
import re
import unicodedata
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from exporter.config.fleet import (
    Contact,
    Fleet,
    MaintenanceWindow,
    MuteTime,
    Site,
    ThresholdOverrides,
    Thresholds,
    contradictions,
)
from exporter.config.positions import FleetDocument, FleetFileError, Mistake, Where, shown_text
from exporter.drivers.transport.http.trust import authorities

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
    "sites.contact": list(Contact.model_fields),
    "maintenance": list(MaintenanceWindow.model_fields),
    "mute_times": list(MuteTime.model_fields),
    "sites.maintenance": list(MaintenanceWindow.model_fields),
    "sites.mute_times": list(MuteTime.model_fields),
}


def load_fleet(path: Path) -> Fleet:
    """Read and check a fleet file, YAML or JSON.

    Raises
    ------
    FleetFileError
        With every mistake found.
    """
    return parse_fleet(_read(path), path)


def parse_fleet(text: str, path: Path) -> Fleet:
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
    try:
        fleet = Fleet.model_validate(document.data)
    except ValidationError as error:
        found = [d for d in error.errors(include_url=False) if d["loc"] not in document.left_out]
        # To explain them takes longer than to find them.
        mistakes += [_explain(detail, document) for detail in found[:MOST_EXPLAINED]]
    mistakes += [*_duplicate_ids(document), *_half_coordinates(document), *_impossible(document)]
    mistakes += [*_backward_windows(document), *_untrusted(document, path)]
    if fleet is None or mistakes:
        raise FleetFileError(path, mistakes)
    return _placed(fleet, path.parent)


def _placed(fleet: Fleet, folder: Path) -> Fleet:
    """The fleet with the paths of its files made whole: they are relative to the fleet file's."""
    if not any(site.ca_file for site in fleet.sites):
        return fleet
    sites = tuple(
        site.model_copy(update={"ca_file": str(folder / site.ca_file)}) if site.ca_file else site
        for site in fleet.sites
    )
    return fleet.model_copy(update={"sites": sites})


def _untrusted(document: FleetDocument, path: Path) -> list[Mistake]:
    """Certificates for sites without TLS, twice, or in files that hold none."""
    mistakes = []
    for index, site in _raw_sites(document):
        given = [key for key in ("ca_file", "certificate_sha256") if site.get(key) is not None]
        for key in given:
            where = ("sites", index, key)
            if not str(site.get("api_endpoint")).startswith("https:"):
                mistakes.append(document.mistake(where, "needs an api_endpoint with https"))
        if len(given) == 2:
            where = ("sites", index, given[1])
            mistakes.append(document.mistake(where, "is given beside ca_file; give one of them"))
        ca_file = site.get("ca_file")
        if isinstance(ca_file, str) and ca_file:
            try:
                authorities(str(path.parent / ca_file))
            except ValueError as error:
                mistakes.append(document.mistake(("sites", index, "ca_file"), str(error)))
    return mistakes


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


def _explain(detail: ErrorDetails, document: FleetDocument) -> Mistake:
    """A mistake in the words of the fleet file instead of the validator's."""
    where, kind, context = detail["loc"], detail["type"], detail.get("ctx", {})
    value = detail.get("input")
    if kind == "extra_forbidden":
        return document.mistake(where, _unknown_key(where))
    if kind == "missing":
        return document.mistake(where, "is missing; it is required")
    quote = isinstance(value, (bool, int, float))
    limits = {key: _limit(context[key]) for key in ("gt", "ge", "lt", "le") if key in context}
    messages = {
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
        "fleet_file": str(context.get("message", "")),
    }
    if kind == "string_pattern_mismatch":
        message = (
            "expected an e-mail address"
            if where[-1] == "email"
            else "expected a letter or digit, then letters, digits and _ . : - (64 at most)"
        )
    else:
        message = messages.get(kind, detail["msg"])
    return document.mistake(where, f"{_show(value, where, document)}: {message}")


def _limit(value: float) -> str:
    return f"{value:g}" if abs(value) < 1e6 else f"{value:.0f}"


def _show(value: Any, where: Where, document: FleetDocument) -> str:
    """The value as it may be shown: short, on one line, and never a secret."""
    # User names and passwords stand before an @, missing or encoded as it may be.
    if where[-1:] == ("api_endpoint",) and not _WITHOUT_SECRET.match(str(value)):
        return "(value not shown)"
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, (list, tuple)):
        return "a list" if value else "an empty list"
    if value is None:
        return "nothing"
    written = document.as_written(where)
    return shown_text(written if written is not None else json.dumps(value, ensure_ascii=False))


def _unknown_key(where: Where) -> str:
    group = ".".join(part for part in where[:-1] if isinstance(part, str))
    known = _KEYS.get(group, [])
    name = str(where[-1])
    if name.lower() in known:
        return f"unknown key; did you mean {name.lower()}?"
    if _SECRET_KEY.search(name):
        return "unknown key; secrets come from the environment, never from this file"
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.7)
    if near:
        return f"unknown key; did you mean {near[0]}?"
    return f"unknown key; expected one of: {', '.join(known)}"


def _duplicate_ids(document: FleetDocument) -> list[Mistake]:
    seen: dict[str, tuple[int, str]] = {}
    mistakes = []
    for index, site in _raw_sites(document):
        name = site.get("id")
        if not isinstance(name, str):
            continue
        # Alike to a reader, and to whoever is called at night.
        folded = unicodedata.normalize("NFKC", name).casefold()
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
