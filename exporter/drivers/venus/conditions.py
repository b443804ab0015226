"""What a device says of its own condition: alarms, error codes and states. Pure, no I/O."""

from __future__ import annotations

import functools
import math
import re
from dataclasses import dataclass, field
from typing import Any

from exporter.drivers.venus.device_codes import ANY_CLASS, CODES, NORMAL_ALARMS, Level, meaning
from exporter.drivers.venus.layout import Layout, layout_of
from exporter.drivers.venus.tree import Tree
from exporter.drivers.venus.values import flag, number

MOST_ALARMS = 256
# Of the values of one layout; a site that makes up values pushes out those of others.
_MOST_KNOWN = 64
_ALARM_GROUPS = ("Alarms/", "Dvcc/Alarms/", "Dc/Battery/Alarms/", "Ac/Alarms/")
_ALARM_NAME = re.compile(r"[A-Za-z0-9 _./-]{1,100}\Z")


# Without truth values, which are equal to numbers and mean something else, and without texts.
_SIMPLE = frozenset({int, float, type(None)})


@dataclass(frozen=True, slots=True)
class Conditions:
    """Alarms and codes of one device.

    Attributes
    ----------
    levels : dict
        0 ok, 1 warning, 2 alarm, by name; per-phase ones as ``L1/Overload``, codes by their path.
    texts : dict
        What the codes among them mean, with the number.
    information : list of str
        States that are no fault and yet not work as usual, in words: ``is switched off``.
    """

    levels: dict[str, int] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)
    information: list[str] = field(default_factory=list)


def read_conditions(device_class: str, tree: Tree, layout: Layout | None = None) -> Conditions:
    """The condition of a device of a class, from its tree; ``layout`` where it is known.

    What is returned may be that of other trees as well; nobody changes it.
    """
    places = _places_of(device_class, layout or layout_of(tree))
    values = tuple(map(tree.get, places.paths))
    if not _SIMPLE.issuperset(map(type, values)):
        # The bridge writes [] for no value.
        values = tuple([None if value == [] else value for value in values])
        if not _SIMPLE.issuperset(map(type, values)):
            return _read(device_class, places.paths, values)
    # Devices say the same for days, and those of a kind say the same.
    known = places.known.get(values)
    if known is None:
        if len(places.known) >= _MOST_KNOWN:
            places.known.clear()
        known = places.known[values] = _read(device_class, places.paths, values)
    return known


@dataclass(frozen=True, slots=True)
class _Places:
    """Paths of a layout that hold alarms and codes, and what was made of their values."""

    paths: tuple[str, ...]
    known: dict[tuple[Any, ...], Conditions] = field(default_factory=dict)


@functools.lru_cache(maxsize=512)
def _places_of(device_class: str, layout: Layout) -> _Places:
    return _Places((*layout.alarms, *[p for p in _code_paths(device_class) if p in layout.paths]))


def _read(device_class: str, paths: tuple[str, ...], values: tuple[Any, ...]) -> Conditions:
    found = Conditions()
    normal = NORMAL_ALARMS.get(device_class, frozenset())
    tree = dict(zip(paths, values, strict=True))
    for path, value in tree.items():
        if "Alarms/" in path and len(found.levels) < MOST_ALARMS:
            name = _alarm_name(path)
            level = flag(value)
            if name is not None and level in (0.0, 1.0, 2.0):
                found.levels[name] = 0 if name in normal else int(level)
    for path in _code_paths(device_class):
        value = tree.get(path)
        if value is not None:
            _read_code(device_class, path, value, found)
    return found


@functools.cache
def _code_paths(device_class: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*CODES.get(device_class, {}), *ANY_CLASS)))


# Sites of one kind have the same paths; those of one that makes up names push each other out.
@functools.lru_cache(maxsize=4096)
def _alarm_name(path: str) -> str | None:
    group = next((g for g in _ALARM_GROUPS if path.startswith(g)), None)
    if group is None:
        return None
    name = path[len(group) :] if group == "Alarms/" else path.replace("Alarms/", "")
    return name if _ALARM_NAME.match(name) else None


def _read_code(device_class: str, path: str, value: Any, found: Conditions) -> None:
    code = number(value)
    if math.isnan(code) or not code.is_integer():
        return
    what = meaning(device_class, path, int(code))
    if what is None:
        return
    if what.level is Level.INFORMATION:
        found.information.append(f"{what.text} ({path} {code:.0f})")
    # States that are no fault are no alarms; errors are listed with level 0 too.
    if path in ANY_CLASS or what.level >= Level.WARNING:
        found.levels[path] = max(0, int(what.level))
        found.texts[path] = f"{path} {code:.0f}, {what.text}"
