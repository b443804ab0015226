"""The trees of a Venus device as its MQTT messages build them up.

A device publishes what changes, and all that it has when it is asked for a full publication. Values
are decoded when they are read, so that a message costs little however often one repeats.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from exporter.drivers.transport.http.json_client import NotFoundError
from exporter.drivers.venus.battery import listed_batteries
from exporter.drivers.venus.tree import (
    PREFIX,
    SYSTEM,
    Tree,
    battery_service,
    mapped_services,
    service_class,
    service_name,
)
from exporter.drivers.venus.values import text

HEARTBEAT_SECONDS = 20.0
"""A device that lives sends a heartbeat every 3 s; some may be late or lost on the way."""
SILENT_SECONDS = 70.0
"""For firmware without heartbeats: a device publishes for 60 s after each keepalive."""

MOST_VALUES = 6000
MOST_DEVICES = 256
LONGEST_VALUE = 64 * 1024
ANNOUNCEMENT = b"system/0/Serial"
"""What a device publishes as soon as it is connected, before anybody asks it for values: it is no
sign that values will follow."""
FLOOD_MESSAGES = 50_000
FLOOD_SECONDS = 10.0
# Paths that no reading is made of are most of what a device has; the history of solar chargers
# alone is 400 values.
_KEPT = re.compile(
    r"(?:.*Alarms/.*|ServiceMapping/.*|(?:Voltages|Temperatures)/Cell\d+|(?:Battery/\d+/)?Cell/\d+/.*"
    r"|Ac/(?:Grid|Genset|Consumption|PvOn\w+|ActiveIn|In|State|Control|Energy)/.*"
    r"|Ac/L[123]/(?:Voltage|Frequency|Power)|Ac/(?:Frequency|Power|PowerFactor|NumberOf\w+)"
    r"|NrOfPhases"
    r"|Dc/(?:0|Battery)/[A-Za-z]+|Dc/Pv/Power|Pv/Disable|SystemState/State|System/[A-Za-z]+"
    r"|Info/Max(?:Charge|Discharge)Current|History/(?:ChargeCycles|ChargedEnergy|DischargedEnergy)"
    r"|Active(?:BatteryService|BmsService)|VebusService|SystemType|Serial|FirmwareBuild|Batteries"
    r"|DeviceInstance|Connected|State|Mode|ErrorCode|VebusError|StatusCode|Error|Warning\w*"
    r"|Soc|Soh|Capacity|InstalledCapacity|ConsumedAmphours|TimeToGo|Settings/SystemSetup/AcInput\d"
    r"|Control/ActiveSocLimit|Settings/CGwacs/BatteryLife/MinimumSocLimit)"
    r"\Z"
)
_MOST_PATHS = 20_000
_paths: dict[bytes, str | None] = {}
_UNREADABLE: dict[str, None] = {"": None}
"""Stands for a payload that is not what the protocol says: a value of a wrong type."""


def kept_path(raw: bytes) -> str | None:
    """The path of a topic where a reading may be made of it, else None. One object for all sites
    that have it."""
    try:
        return _paths[raw]
    except KeyError:
        pass
    path = raw.decode("utf-8", "replace")
    found = path if len(path) <= 200 and _KEPT.match(path) else None
    if len(_paths) >= _MOST_PATHS:
        # A site makes up paths; the usual ones are soon here again.
        _paths.clear()
    _paths[raw] = found
    return found


def decoded(payload: bytes) -> Any:
    """The value of a payload ``{"value": …}``; :data:`_UNREADABLE` where it is something else."""
    try:
        document = orjson.loads(payload)
    except orjson.JSONDecodeError:
        try:
            # Bare Infinity, which no strict parser takes.
            document = json.loads(payload)
        except (ValueError, RecursionError):
            return _UNREADABLE
    if not isinstance(document, dict) or "value" not in document:
        return _UNREADABLE
    value = document["value"]
    if payload.count(b'"value"') > 1 and not isinstance(value, (list, dict)):
        # Written twice, and which one is meant cannot be known.
        return _UNREADABLE
    return value


@dataclass(slots=True)
class Device:
    """What one device has sent: decoded values, paths without a value, and payloads that came since
    it was read."""

    values: dict[str, Any] = field(default_factory=dict)
    empty: set[str] = field(default_factory=set)
    changed: dict[str, bytes] = field(default_factory=dict)

    def knows(self, path: str) -> bool:
        """Whether a path was heard of before."""
        return path in self.changed or path in self.values or path in self.empty

    def read(self) -> dict[str, Any]:
        """The tree of the device, as the HTTP bridge has it: without what has no value."""
        for path, payload in self.changed.items():
            self.values.pop(path, None)
            self.empty.discard(path)
            if payload:
                value = decoded(payload)
                if value is None:
                    self.empty.add(path)
                else:
                    self.values[path] = value
        self.changed.clear()
        return self.values

    def is_there(self) -> bool:
        """Whether it is on the bus; of one that is gone every path is gone."""
        return bool(self.read()) or bool(self.empty)


class Replica:
    """What one site has sent. A listener of its broker, and the bridge that its reader asks.

    Parameters
    ----------
    monotonic : callable

    Attributes
    ----------
    heard : float
        Monotonic seconds of its latest message; what the broker had retained is no sign of life,
        nor is its announcement.
    complete : bool
        Whether all that it has was received since :meth:`expect_all`.
    flooded : bool
        Whether it sent more than any device does; then nothing more is taken.
    on_sign : callable or None
        Called when a publication is complete, when the site is heard again after a silence, and
        when it floods.
    watched : dict
        Topic of a value that no reading is made of, to what takes its payload.
    """

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self.heard = -math.inf
        self.complete = False
        self.flooded = False
        self.dropped = 0
        self.on_sign: Callable[[], None] | None = None
        self.watched: dict[bytes, Callable[[bytes], None]] = {}
        self._has_heartbeat = False
        self._expected_since = -math.inf
        self._devices: dict[bytes, Device] = {}
        self._values = 0
        self._current: dict[bytes, Device] = {}
        self._current_heard = -math.inf
        self._window_begin = -math.inf
        self._window_left = FLOOD_MESSAGES

    @property
    def patience_seconds(self) -> float:
        """How long the site may be silent and count as alive."""
        return HEARTBEAT_SECONDS if self._has_heartbeat else SILENT_SECONDS

    def is_silent(self, now: float) -> bool:
        """Whether the site gave no sign of life for longer than its protocol allows."""
        return now - self.heard > self.patience_seconds

    def is_fresh(self, now: float) -> bool:
        """Whether there is a whole tree, and it holds what the site has now."""
        heard = self.heard if self.complete else self._current_heard
        return bool(self._current) and now - heard <= self.patience_seconds

    def expect_all(self) -> None:
        """All values are sent again from here on: what does not come is gone.

        The tree from before stays readable until then, as long as it is fresh.
        """
        if self.complete:
            self._current_heard = self.heard
        self._devices, self._values, self.complete = {}, 0, False
        self._expected_since = self._monotonic()

    def take_all(self) -> None:
        """All values have come."""
        if not self.complete and self._devices and self.heard > -math.inf:
            self.complete = True
            self._current = self._devices

    def take_what_came(self) -> None:
        """Nothing more comes: take it for all that a device has which never says so itself.

        A device that sends heartbeats says when all is sent. Until then what came is a part, such
        as the announcement and changes of one that did not hear the request.
        """
        if not self._has_heartbeat and self.heard >= self._expected_since:
            self.take_all()

    @property
    def size(self) -> int:
        """Values that were received since :meth:`expect_all`."""
        return self._values

    # -- messages -----------------------------------------------------------------------------

    def connected(self) -> None:
        """See :class:`exporter.drivers.transport.mqtt.broker.Listener`."""
        self._sign()

    def receive(self, topic: bytes, payload: bytes, retained: bool) -> None:
        """See :class:`exporter.drivers.transport.mqtt.broker.Listener`."""
        if retained or self.flooded:
            return
        now = self._monotonic()
        silence = now - self.heard
        if topic != ANNOUNCEMENT:
            self.heard = now
        self._window_left -= 1
        if self._window_left <= 0:
            self._open_window(now)
        if self.complete and silence > self.patience_seconds:
            # Changes may have been missed.
            self.expect_all()
            self._current_heard = -math.inf
            self._sign()
        if self.watched and (watcher := self.watched.get(topic)) is not None:
            watcher(payload)
        end = topic.find(b"/", topic.find(b"/") + 1)
        if end > 0:
            self._put(topic[:end], topic[end + 1 :], payload)
        elif topic == b"heartbeat":
            self._has_heartbeat = True
        elif topic == b"full_publish_completed":
            self.take_all()
            self._sign()

    def _put(self, name: bytes, raw_path: bytes, payload: bytes) -> None:
        path = kept_path(raw_path)
        if path is None:
            return
        device = self._devices.get(name)
        if device is None:
            if not payload or len(self._devices) >= MOST_DEVICES or not _is_device(name):
                self.dropped += bool(payload)
                return
            device = self._devices[name] = Device()
        if not device.knows(path):
            if self._values >= MOST_VALUES:
                self.dropped += 1
                return
            self._values += 1
        device.changed[path] = payload if len(payload) <= LONGEST_VALUE else b"?"

    def _open_window(self, now: float) -> None:
        self.flooded = now - self._window_begin < FLOOD_SECONDS
        self._window_begin, self._window_left = now, FLOOD_MESSAGES
        if self.flooded:
            self._sign()

    def _sign(self) -> None:
        if self.on_sign is not None:
            self.on_sign()

    # -- the bridge of exporter.drivers.venus.site_reader ---------------------------------------

    async def get_json(
        self, path: str, params: dict[str, str], *, patience_seconds: float | None = None
    ) -> Any:
        """Answer as the HTTP bridge of the same device would."""
        del patience_seconds
        system = self._tree(b"system/0") or {}
        names = self._names(system)
        if path == "/services":
            return {"services": sorted(names)}
        service, wanted = params["service"], params["path"]
        name = b"system/0" if service == SYSTEM else names.get(service)
        tree = self._tree(name) if name is not None else None
        if tree is None and service == PREFIX + "settings":
            tree = self._tree(b"settings/0")
        leaf = wanted.strip("/")
        if tree is None or (leaf and leaf not in tree):
            raise NotFoundError(f"{service} is not on MQTT")
        return {"value": tree[leaf] if leaf else tree}

    def _tree(self, name: bytes) -> dict[str, Any] | None:
        device = self._current.get(name)
        if device is None or not device.is_there():
            return None
        tree = device.read()
        if "DeviceInstance" not in tree and name != b"system/0":
            return {**tree, "DeviceInstance": int(name.rpartition(b"/")[2])}
        return tree

    def _names(self, system: Tree) -> dict[str, bytes]:
        """Full service names of all devices. Topics have class and instance alone; the names stand
        in the system tree."""
        present = {
            name.decode(): name
            for name, device in self._current.items()
            if not name.startswith((b"system/", b"settings/")) and device.is_there()
        }
        names: dict[str, bytes] = {}
        for service, device in self._known_names(system, present).items():
            name = present.pop(device, None)
            if name is not None:
                names[service] = name
        # Without a name of its own a device has the one that its topic makes.
        return names | {PREFIX + d.replace("/", "."): name for d, name in present.items()}

    @staticmethod
    def _known_names(system: Tree, present: Mapping[str, bytes]) -> dict[str, str]:
        known = mapped_services(system)
        for listed in listed_batteries(system, None):
            known.setdefault(listed.service, f"battery/{listed.instance}")
        active = text(system.get("ActiveBatteryService"))
        named = battery_service(system, ())
        if named and active and "/" in active:
            known.setdefault(named, active.removeprefix(PREFIX))
        for service in filter(None, (named, service_name(system.get("VebusService")))):
            alike = [d for d in present if d.partition("/")[0] == service_class(service)]
            if len(alike) == 1:
                known.setdefault(service, alike[0])
        return known


def _is_device(name: bytes) -> bool:
    kind, _, instance = name.partition(b"/")
    return kind.isalnum() and kind.isascii() and instance.isdigit() and len(instance) <= 7
