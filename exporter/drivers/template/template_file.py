"""Reads templates: those that ship with the driver, and files of the user, with every mistake at
its place."""

from __future__ import annotations

import difflib
import functools
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from exporter.config.fleet_file import message_of
from exporter.config.positions import FleetDocument, FleetFileError, Mistake, shown_text
from exporter.drivers.template.template_model import (
    Alarm,
    Parameter,
    Reading,
    Setpoint,
    Source,
    Template,
    WriteStep,
)

FOLDER = Path(__file__).parent / "devices"
_LARGEST_FILE = 1024 * 1024
_KEYS: dict[str, type[BaseModel]] = {
    "": Template,
    "readings": Reading,
    "readings.sum": Source,
    "alarms": Alarm,
    "serial": Source,
    "parameters": Parameter,
    "setpoints": Setpoint,
    "setpoints.held": Source,
    "setpoints.in_force": Source,
    "setpoints.write": WriteStep,
    "setpoints.release": WriteStep,
}


def shipped() -> list[str]:
    """Names of the templates that ship with the driver."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def load_template(name: str, folder: Path) -> Template:
    """A template by its name, or from a file, YAML or JSON.

    Parameters
    ----------
    name : str
        A shipped one, or a path relative to ``folder``.
    folder : Path
        Folder of the fleet file.

    Raises
    ------
    FleetFileError
        With every mistake found; the first says what there is where the name is none.
    """
    if name in shipped():
        return _shipped(name)
    path = folder / name
    if path.suffix not in (".yaml", ".yml", ".json"):
        near = difflib.get_close_matches(name, shipped(), n=1, cutoff=0.6)
        hint = f"did you mean {near[0]}?" if near else f"one of: {', '.join(shipped())}"
        message = f"no such template; {hint} Or a file that ends in .yaml"
        raise FleetFileError(path, [Mistake(0, 0, "", message)])
    try:
        if path.stat().st_size > _LARGEST_FILE:
            raise FleetFileError(path, [Mistake(0, 0, "", "is larger than 1 MiB")])
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        message = f"cannot be read: {error.strerror or type(error).__name__}"
        raise FleetFileError(path, [Mistake(0, 0, "", message)]) from error
    except UnicodeDecodeError as error:
        raise FleetFileError(path, [Mistake(0, 0, "", "is not UTF-8")]) from error
    return parse_template(text, path)


@functools.cache
def _shipped(name: str) -> Template:
    path = FOLDER / f"{name}.yaml"
    return parse_template(path.read_text("utf-8"), path)


def parse_template(text: str, path: Path) -> Template:
    """Check the text of a template; ``path`` names it in messages.

    Raises
    ------
    FleetFileError
        With every mistake found.
    """
    document = FleetDocument(text, path)
    mistakes = list(document.mistakes)
    if not isinstance(document.data, dict):
        raise FleetFileError(path, [*mistakes, document.mistake((), "expected a mapping")])
    try:
        template = Template.model_validate(document.data)
    except ValidationError as error:
        found = [d for d in error.errors(include_url=False) if d["loc"] not in document.left_out]
        mistakes += [_explain(document, detail) for detail in found]
        raise FleetFileError(path, mistakes) from None
    mistakes += [document.mistake(where, message) for where, message in template.mistakes()]
    if mistakes:
        raise FleetFileError(path, mistakes)
    return template


def _explain(document: FleetDocument, detail: ErrorDetails) -> Mistake:
    where, kind = detail["loc"], detail["type"]
    if kind == "extra_forbidden":
        group = ".".join(part for part in where[:-1] if isinstance(part, str))
        group = "parameters" if where[0] == "parameters" else group
        known = _names(_KEYS[group]) if group in _KEYS else []
        near = difflib.get_close_matches(str(where[-1]), known, n=1, cutoff=0.7)
        hint = f"did you mean {near[0]}?" if near else f"expected one of: {', '.join(known)}"
        return document.mistake(where, f"unknown key; {hint}")
    if kind == "missing":
        return document.mistake(where, "is missing; it is required")
    context: dict[str, Any] = detail.get("ctx", {})
    message = message_of(kind, where, detail.get("input"), context) or _other(kind, context, detail)
    written = document.as_written(where)
    shown = shown_text(written) if written is not None else None
    return document.mistake(where, f"{shown}: {message}" if shown else message)


def _names(model: type[BaseModel]) -> list[str]:
    return [info.alias or name for name, info in model.model_fields.items()]


def _other(kind: str, context: dict[str, Any], detail: ErrorDetails) -> str:
    if kind == "enum":
        return f"expected one of {context.get('expected')}"
    if kind in ("int_type", "int_parsing", "int_from_float"):
        return "expected a whole number"
    if kind in ("dict_type", "mapping_type"):
        return "expected a mapping of keys and values"
    return detail["msg"]
