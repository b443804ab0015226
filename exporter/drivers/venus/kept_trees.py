"""Trees of a Venus site as it gave them, kept only while somebody wants to see raw values."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Protocol

from exporter.drivers.base import RawValue
from exporter.drivers.reading_places import VENUS_BATTERY, VENUS_SITE
from exporter.drivers.venus.tree import SYSTEM, Tree, service_class
from exporter.model.text import plain_line

KEPT_SECONDS = 300.0
_PHASES = "L1-3"
_PATH = re.compile(r"[A-Z][A-Za-z0-9]*(?:/[A-Za-z0-9*-]+)+|\b(?:Soc|Soh)\b")


class KeptTrees:
    """The latest tree of each service, from the first wish to see them until some minutes after the
    last one. A tree takes some tens of kilobytes, too much to keep for every site."""

    def __init__(self) -> None:
        self._trees: dict[str, Tree] = {}
        self._until = -math.inf

    def begin(self, now: float) -> None:
        """Keep trees from now (monotonic seconds) on."""
        self._until = now + KEPT_SECONDS

    def keep(self, trees: Mapping[str, Tree], now: float) -> None:
        """Take what was read at a moment (monotonic seconds)."""
        if now <= self._until:
            self._trees.update(trees)
        elif self._trees:
            self._trees = {}

    def raw_values(self, id_of: Callable[[str], str]) -> list[RawValue]:
        """What stood at the place of each quantity; empty before anything was kept."""
        if not self._trees:
            return []
        found = [
            RawValue("site", quantity, place, raw)
            for quantity, place in VENUS_SITE.items()
            if (raw := self._raw_of(place))
        ]
        for service, tree in self._trees.items():
            if service_class(service) != "battery":
                continue
            for quantity, place in VENUS_BATTERY.items():
                if raw := _shown(tree, place):
                    found.append(RawValue(id_of(service), quantity, place, raw))
        return found

    def _raw_of(self, place: str) -> str:
        """What stands at a place such as ``vebus Ac/ActiveIn/L1/F, or grid Ac/Frequency``: of the
        first of its parts that has anything."""
        for part in place.split(", or "):
            kind, _, paths = part.partition(" ")
            for service, tree in self._trees.items():
                if _is_of(service, kind) and (raw := _shown(tree, paths)):
                    return raw
        return ""


def _is_of(service: str, kind: str) -> bool:
    return service == SYSTEM if kind == "system" else service_class(service) == kind


def _shown(tree: Tree, paths: str) -> str:
    """Every path that a text names and the tree has, with its value."""
    names: list[str] = []
    for path in _PATH.findall(paths) or [paths.removeprefix("battery ")]:
        alone = path.replace(_PHASES, "*")
        pattern = re.compile(re.escape(alone).replace(r"\*", r"[A-Za-z0-9]+") + r"\Z")
        names += [name for name in tree if pattern.match(name)]
    parts = [f"{name} = {plain_line(repr(tree[name]))[:60]}" for name in dict.fromkeys(names)]
    if len(parts) == 1:
        return parts[0].partition(" = ")[2]
    return ", ".join(parts)[:300]


class _HasReader(Protocol):
    @property
    def _reader(self) -> _Reader: ...


class _Reader(Protocol):
    def keep_raw(self) -> None: ...

    def raw_values(self) -> list[RawValue]: ...


class ReaderExplains:
    """What drivers with a SiteReader in ``_reader`` share: they are Explaining and Recording."""

    def keep_raw(self: _HasReader) -> None:
        """See :class:`exporter.drivers.base.Recording`."""
        self._reader.keep_raw()

    def raw_values(self: _HasReader) -> list[RawValue]:
        """See :class:`exporter.drivers.base.Explaining`."""
        return self._reader.raw_values()
