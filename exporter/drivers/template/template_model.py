"""The models of a template: a device family, its readings, and where each one is."""

from __future__ import annotations

import difflib
import re
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue

from exporter.config.field_types import Number, Text, field_error
from exporter.drivers.template.json_path import parse_path
from exporter.drivers.transport.modbus.words import WordOrder, WordType, registers_of
from exporter.model.quantities import BATTERY_QUANTITIES, QUANTITIES

_NAME = re.compile(r"[a-z][a-z0-9_-]{0,40}\Z")
_DEVICE = re.compile(r"[a-z]{1,20}/[A-Za-z0-9_.-]{1,40}\Z")
_PLACEHOLDER = re.compile(r"\$\{([^}]*)\}")
MOST_REQUESTS = 20
MOST_READINGS = 200
SETPOINT = "setpoint"
"""Name that stands for the figure of a set-point in what is written."""


def placeholders(text: str) -> list[str]:
    """Names of the parameters in a text: ``${name}``."""
    return _PLACEHOLDER.findall(text)


def filled(text: str, values: dict[str, str]) -> str:
    """The text with its parameters put in."""
    return _PLACEHOLDER.sub(lambda match: values[match[1]], text)


def _check_path(value: str) -> str:
    try:
        parse_path(_PLACEHOLDER.sub("x", value))
    except ValueError as error:
        raise field_error(str(error)) from None
    return value


def _check_target(value: str) -> str:
    if not value.startswith("/") or any(c.isspace() or c in "#\\" for c in value):
        raise field_error("expected a path such as /status, with a query if need be")
    return value


def _check_topic(value: str) -> str:
    if value.startswith("/") or value.endswith("/") or any(c in "+#\0" for c in value):
        raise field_error("expected the one topic of a message, without + and #")
    return value


def _check_quantity(value: str) -> str:
    if value not in QUANTITIES:
        near = difflib.get_close_matches(value, QUANTITIES, n=1, cutoff=0.6)
        hint = f"did you mean {near[0]}?" if near else "docs/glossary.md has their names"
        raise field_error(f"no such quantity; {hint}")
    return value


def _check_device(value: str) -> str:
    if not _DEVICE.match(value):
        raise field_error("expected a class and a number such as battery/0")
    return value


JsonPath = Annotated[Text, AfterValidator(_check_path)]
Device = Annotated[Text, AfterValidator(_check_device)]
Address = Annotated[int, Field(ge=0, le=0xFFFF, strict=True)]
Unit = Annotated[int, Field(ge=0, le=255, strict=True)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Source(_Strict):
    """Where one raw value is, and how it becomes a number: raw x scale + offset; ``bit`` takes
    one bit of a raw whole number first."""

    request: Text | None = None
    path: JsonPath | None = None
    register_: Address | None = Field(default=None, alias="register")
    type: WordType = WordType.U16
    function: Literal["holding", "input"] = "holding"
    unit: Unit | None = None
    scale_register: Address | None = None
    scale: Number = 1.0
    offset: Number = 0.0
    missing: Annotated[tuple[float | str, ...], Field(max_length=20)] = ()
    bit: Annotated[int, Field(ge=0, le=31, strict=True)] | None = None
    values: dict[str, Number] | None = None
    optional: bool = False

    @property
    def places(self) -> int:
        """How many places it names: a path or a register."""
        return (self.path is not None) + (self.register_ is not None)


class Reading(Source):
    """One quantity: a source of its own, or the sum of several."""

    quantity: Annotated[Text, AfterValidator(_check_quantity)]
    device: Device | None = None
    sum: Annotated[tuple[Source, ...], Field(max_length=20)] = ()

    @property
    def sources(self) -> tuple[Source, ...]:
        """What it is made of."""
        return self.sum or (self,)

    @property
    def battery(self) -> str | None:
        """The battery that it belongs to; None for the site."""
        if self.quantity not in BATTERY_QUANTITIES:
            return None
        return self.device or "battery/0"


class Alarm(Source):
    """One alarm of a device: level 0 (ok), 1 (warning) or 2 (alarm), as ``values`` says."""

    alarm: Annotated[Text, Field(pattern=r"^[A-Za-z0-9 _./-]{1,60}$")]
    device: Device = "battery/0"


class WriteStep(_Strict):
    """One write: registers over Modbus, a request over HTTP, a message over MQTT.

    ``value`` is a number or the word ``setpoint``; a register holds (value - offset) / scale. In
    ``target`` and the texts of ``body``, ``${setpoint}`` stands for the same figure.
    """

    register_: Address | None = Field(default=None, alias="register")
    type: WordType = WordType.U16
    unit: Unit | None = None
    value: Number | Literal["setpoint"] = "setpoint"
    scale: Annotated[Number, Field(gt=0)] = 1.0
    offset: Number = 0.0
    method: Literal["POST", "PUT"] = "POST"
    target: Annotated[Text, AfterValidator(_check_target)] | None = None
    topic: Annotated[Text, AfterValidator(_check_topic)] | None = None
    body: JsonValue = None

    @property
    def texts(self) -> list[str]:
        """Every text that may hold a parameter."""
        return [text for text in (self.target, self.topic, *_texts(self.body)) if text]

    @property
    def has_setpoint(self) -> bool:
        """Whether what it writes depends on the set-point."""
        if self.register_ is not None or (self.topic is not None and self.body is None):
            return self.value == SETPOINT
        return any(SETPOINT in placeholders(text) for text in self.texts)


class Setpoint(_Strict):
    """One power that can be set, which the device drops by itself after ``reversion_seconds``.

    It is in force where ``in_force`` is not 0, or where ``held`` has a value.
    """

    name: Literal["battery_power_w", "grid_setpoint_w", "deferred_load_w"]
    minimum: Number
    maximum: Number
    step: Annotated[Number, Field(ge=0)] = 0.0
    reversion_seconds: Annotated[Number, Field(ge=3, le=3600)]
    held: Source
    in_force: Source | None = None
    write: Annotated[tuple[WriteStep, ...], Field(min_length=1, max_length=20)]
    release: Annotated[tuple[WriteStep, ...], Field(min_length=1, max_length=20)]

    @property
    def steps(self) -> list[tuple[tuple[str | int, ...], WriteStep]]:
        """Every write, with its place below the set-point."""
        found = [(("write", n), one) for n, one in enumerate(self.write)]
        return [*found, *((("release", n), one) for n, one in enumerate(self.release))]

    @property
    def sources(self) -> list[tuple[tuple[str | int, ...], Source]]:
        """What is read of it, with its place below the set-point."""
        found: list[tuple[tuple[str | int, ...], Source]] = [(("held",), self.held)]
        return found if self.in_force is None else [*found, (("in_force",), self.in_force)]


def _texts(value: JsonValue) -> list[str]:
    if isinstance(value, str):
        return [value]
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [text for one in inner for text in _texts(one)]


class Parameter(_Strict):
    """What a site has to say of its device."""

    meaning: Text
    default: Text | None = None


class Template(_Strict):
    """One family of devices."""

    template: Annotated[Text, Field(pattern=r"^[a-z][a-z0-9-]{0,40}$")]
    title: Text
    gives: Annotated[Text, Field(max_length=80)]
    transport: Literal["http", "modbus", "mqtt"]
    source: Annotated[str, Field(min_length=1, max_length=400)]
    switch_on: Annotated[str, Field(min_length=1, max_length=400)]
    parameters: dict[str, Parameter] = Field(default_factory=dict)
    requests: Annotated[
        dict[str, Annotated[Text, AfterValidator(_check_target)]], Field(max_length=MOST_REQUESTS)
    ] = Field(default_factory=dict)
    topics: Annotated[
        dict[str, Annotated[Text, AfterValidator(_check_topic)]], Field(max_length=MOST_REQUESTS)
    ] = Field(default_factory=dict)
    expires_seconds: Annotated[Number, Field(ge=5, le=86_400)] = 60.0
    unit: Unit = 1
    port: Annotated[int, Field(ge=1, le=65535, strict=True)] | None = None
    word_order: WordOrder = WordOrder.BIG
    largest_gap: Annotated[int, Field(ge=0, le=100, strict=True)] = 8
    serial: Source | None = None
    readings: Annotated[tuple[Reading, ...], Field(max_length=MOST_READINGS)]
    alarms: Annotated[tuple[Alarm, ...], Field(max_length=MOST_READINGS)] = ()
    setpoints: Annotated[tuple[Setpoint, ...], Field(max_length=3)] = ()

    @property
    def rows(self) -> list[tuple[tuple[str | int, ...], Source]]:
        """Every source, with its place in the file."""
        found: list[tuple[tuple[str | int, ...], Source]] = []
        for index, reading in enumerate(self.readings):
            if reading.sum:
                found += [(("readings", index, "sum", n), s) for n, s in enumerate(reading.sum)]
            else:
                found.append((("readings", index), reading))
        found += [(("alarms", index), alarm) for index, alarm in enumerate(self.alarms)]
        if self.serial is not None:
            found.append((("serial",), self.serial))
        return found

    @property
    def documents(self) -> dict[str, str]:
        """Where documents come from, by name: requests over HTTP, topics over MQTT."""
        return self.topics if self.transport == "mqtt" else self.requests

    def request_of(self, source: Source) -> str:
        """Name of the request or topic whose document holds a source."""
        return source.request or next(iter(self.documents))

    def mistakes(self) -> list[tuple[tuple[str | int, ...], str]]:
        """What no single row can know: its place in the file, and what would be right."""
        found = self._document_mistakes()
        if not self.readings:
            found.append((("readings",), "is empty; expected at least one reading"))
        seen: set[tuple[str, str | None]] = set()
        for index, reading in enumerate(self.readings):
            if reading.sum and reading.places:
                found.append((("readings", index), "has both a sum and a place of its own"))
            if reading.device is not None and reading.battery is None:
                message = "is given for a quantity of the site, which has no device"
                found.append((("readings", index, "device"), message))
            key = (reading.quantity, reading.battery)
            if key in seen:
                found.append((("readings", index, "quantity"), "is given twice"))
            seen.add(key)
        for where, source in self.rows:
            found += [(where, message) for message in self._source_mistakes(source)]
        for index, setpoint in enumerate(self.setpoints):
            place = ("setpoints", index)
            found += [((*place, *where), message) for where, message in self._unset(setpoint)]
            if setpoint.name in {one.name for one in self.setpoints[:index]}:
                found.append(((*place, "name"), "is given twice"))
        return found

    def _unset(self, setpoint: Setpoint) -> list[tuple[tuple[str | int, ...], str]]:
        """What is wrong with a set-point, with the place below it."""
        found: list[tuple[tuple[str | int, ...], str]] = []
        if not setpoint.minimum < setpoint.maximum:
            found.append((("minimum",), "must be below maximum"))
        for where, source in setpoint.sources:
            found += [(where, message) for message in self._source_mistakes(source)]
            if source.scale_register is not None:
                found.append(((*where, "scale_register"), "a set-point has none; give scale"))
        for where, step in setpoint.steps:
            found += [(where, message) for message in self._step_mistakes(step)]
        if not any(step.has_setpoint for step in setpoint.write):
            found.append((("write",), "writes the set-point nowhere"))
        return found

    def _step_mistakes(self, step: WriteStep) -> list[str]:
        wanted = {"modbus": "register", "http": "target", "mqtt": "topic"}[self.transport]
        given = {"register": step.register_, "target": step.target, "topic": step.topic}
        found = [name for name, value in given.items() if value is not None]
        if found != [wanted]:
            return [f"a write over {self.transport} has a {wanted}"]
        return [m for text in step.texts for m in self._unknown_parameters(text, SETPOINT)]

    def _document_mistakes(self) -> list[tuple[tuple[str | int, ...], str]]:
        found: list[tuple[tuple[str | int, ...], str]] = []
        wanted = {"http": "requests", "mqtt": "topics"}.get(self.transport)
        for name in ("requests", "topics"):
            if name == wanted and not self.documents:
                message = f"is missing; a template over {self.transport} has at least one"
                found.append(((name,), message))
            elif name != wanted and getattr(self, name):
                found.append(((name,), f"a template over {self.transport} has none"))
        for name in self.parameters:
            if not _NAME.match(name):
                found.append((("parameters", name), "expected lower-case letters, digits, _ and -"))
        for name, target in self.documents.items():
            found += [((wanted or "", name), m) for m in self._unknown_parameters(target)]
        return found

    def _source_mistakes(self, source: Source) -> list[str]:
        registers = self.transport == "modbus"
        # A message may be the value itself.
        whole = self.transport == "mqtt" and source.places == 0
        if source.places != 1 and not whole:
            return [f"expected {'a register' if registers else 'a path'}"]
        if not whole and registers != (source.register_ is not None):
            return [f"a template over {self.transport} has {'registers' if registers else 'paths'}"]
        if source.bit is not None and source.register_ is not None:
            bits = 16 * registers_of(source.type)
            if not source.bit < bits <= 32 or source.type is WordType.F32:
                return [f"bit: {source.bit}: {source.type} has no such bit"]
        if not registers and source.request is not None and source.request not in self.documents:
            return [f"request: no such request; one of: {', '.join(self.documents)}"]
        return self._unknown_parameters(source.path or "")

    def _unknown_parameters(self, text: str, *known: str) -> list[str]:
        return [
            f"no such parameter {name}; one of: {', '.join(self.parameters) or 'none'}"
            for name in placeholders(text)
            if name not in self.parameters and name not in known
        ]

    def values_of(self, given: dict[str, str]) -> dict[str, str]:
        """The parameters of a site.

        Raises
        ------
        ValueError
            For a parameter that is unknown, missing, or would change the request's form.
        """
        unknown = [name for name in given if name not in self.parameters]
        if unknown:
            known = ", ".join(self.parameters) or "none"
            raise ValueError(f"no such parameter {unknown[0]}; one of: {known}")
        values = {n: p.default for n, p in self.parameters.items() if p.default is not None} | given
        lacking = [name for name in self.parameters if name not in values]
        if lacking:
            meaning = self.parameters[lacking[0]].meaning
            raise ValueError(f"the parameter {lacking[0]} is missing: {meaning}")
        for name, value in values.items():
            if not re.fullmatch(r"[A-Za-z0-9_.:-]{1,100}", value):
                raise ValueError(f"parameter {name}: expected letters, digits and _ . : -")
        return values
