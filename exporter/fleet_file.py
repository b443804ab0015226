"""Reading the fleet file: every mistake at once, each with its place and what would be right."""

from __future__ import annotations

import difflib
import json
import re
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from exporter.config import Contact, Fleet, Site, ThresholdOverrides, Thresholds, contradictions
from exporter.fleet_document import FleetDocument, FleetFileError, Mistake, Where, shown_text

__all__ = ["FleetFileError", "Mistake", "load_fleet", "parse_fleet"]

_LARGEST_FILE = 64 * 1024 * 1024
_SECRET_KEY = re.compile(
    r"pass(?:word|wd|phrase)|secret|token|credential|(?:api|access|private)[_-]?key"
    r"|(?:^|[_-])(?:auth|authorization|pass|pwd|key)(?:[_-]|$)",
    re.IGNORECASE,
)
_KEYS: dict[str, list[str]] = {
    "": list(Fleet.model_fields),
    "sites": list(Site.model_fields),
    "thresholds": list(Thresholds.model_fields),
    "sites.thresholds": list(ThresholdOverrides.model_fields),
    "sites.contact": list(Contact.model_fields),
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
    try:
        fleet = Fleet.model_validate(document.data)
    except ValidationError as error:
        for detail in error.errors(include_url=False):
            mistakes.append(_explain(detail, document))
    mistakes += [*_duplicate_ids(document), *_half_coordinates(document), *_impossible(document)]
    if fleet is None or mistakes:
        raise FleetFileError(path, mistakes)
    return fleet


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
    where = tuple(part for part in detail["loc"] if part != "function-after")
    kind, context = detail["type"], detail.get("ctx", {})
    value = detail.get("input")
    if kind == "extra_forbidden":
        return document.mistake(where, _unknown_key(where))
    if kind == "missing":
        return document.mistake(where, "is missing; it is required")
    shown = _show(value, where)
    messages = {
        "string_type": "expected text",
        "string_too_short": "expected text that is not empty",
        "string_too_long": f"is too long; expected at most {context.get('max_length')} characters",
        "bool_type": "expected true or false",
        "greater_than": f"expected more than {context.get('gt')}",
        "greater_than_equal": f"expected {context.get('ge')} or more",
        "less_than": f"expected less than {context.get('lt')}",
        "less_than_equal": f"expected {context.get('le')} or less",
        "literal_error": f"expected one of {context.get('expected')}",
        "float_type": "expected a number",
        "float_parsing": "expected a number",
        "finite_number": "expected a finite number",
        "too_short": "expected at least one site",
        "tuple_type": "expected a list",
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
    nested = isinstance(value, (dict, list)) and kind == "fleet_file"
    return document.mistake(where, message if nested else f"{shown}: {message}")


def _show(value: Any, where: Where) -> str:
    """The value as it may be shown: short, on one line, and never a secret."""
    if any(isinstance(part, str) and _SECRET_KEY.search(part) for part in where):
        return "(value not shown)"
    if where and where[-1] == "api_endpoint" and "@" in str(value):
        return "(value not shown)"
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, (list, tuple)):
        return "a list"
    if value is None:
        return "nothing"
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 80 else text[:77] + "…"


def _unknown_key(where: Where) -> str:
    group = ".".join(part for part in where[:-1] if isinstance(part, str))
    known = _KEYS.get(group, [])
    name = str(where[-1])
    if _SECRET_KEY.search(name):
        return "unknown key; secrets come from the environment, never from this file"
    near = difflib.get_close_matches(name, known, n=1)
    if near:
        return f"unknown key; did you mean {near[0]}?"
    return f"unknown key; expected one of: {', '.join(known)}"


def _duplicate_ids(document: FleetDocument) -> list[Mistake]:
    seen: dict[str, int] = {}
    mistakes = []
    for index, site in _raw_sites(document):
        name = site.get("id")
        if not isinstance(name, str):
            continue
        if name in seen:
            message = f"{json.dumps(name)}: is the id of sites[{seen[name]}] too; ids are unique"
            mistakes.append(document.mistake(("sites", index, "id"), message))
        seen.setdefault(name, index)
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
            if site.get(given) is not None and site.get(lacking) is None:
                message = f"is given without {lacking}; give both or neither"
                mistakes.append(document.mistake(("sites", index, given), message))
    return mistakes


def _impossible(document: FleetDocument) -> list[Mistake]:
    """Thresholds that contradict each other, the fleet's and those laid over them by a site."""
    fleet = Thresholds.model_construct(
        **Thresholds().model_dump() | _usable(Thresholds, document.data.get("thresholds"))
    )
    mistakes = [document.mistake(("thresholds",), message) for message in contradictions(fleet)]
    for index, site in _raw_sites(document):
        own = _usable(ThresholdOverrides, site.get("thresholds"))
        if not own:
            continue
        nominal = 60 if site.get("grid_nominal_hz") == 60 else 50
        values = fleet.model_dump()
        values["grid_frequency_min"] += nominal - 50
        values["grid_frequency_max"] += nominal - 50
        merged = Thresholds.model_construct(**values | own)
        mistakes += [
            document.mistake(("sites", index, "thresholds"), f"with the fleet's: {message}")
            for message in contradictions(merged, nominal)
        ]
    return mistakes


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
