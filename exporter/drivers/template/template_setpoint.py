"""Set-points of a device that a template describes: how each is written, given back and read."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import parse_qsl, urlsplit

import orjson
from pydantic import JsonValue

from exporter.drivers.base import Capability
from exporter.drivers.template.json_path import look_up, parse_path
from exporter.drivers.template.template_model import (
    SETPOINT,
    Setpoint,
    Source,
    Template,
    WriteStep,
    filled,
)
from exporter.drivers.template.template_values import value_of
from exporter.drivers.transport.http.site_client import SiteHttp
from exporter.drivers.transport.modbus.frames import Function, Request, WriteRequest
from exporter.drivers.transport.modbus.gateway import Gateway
from exporter.drivers.transport.modbus.words import WordType, decode, encode, registers_of
from exporter.model.snapshot import Outcome, ScrapeError

_WHOLE = f"${{{SETPOINT}}}"


class SetpointAccess(Protocol):
    """A device, as far as set-points need it."""

    async def write(self, step: WriteStep, figure: float) -> None:
        """Carry out one write; raises ScrapeError."""

    async def raw(self, source: Source) -> Any:
        """The raw value of a source now, None without one; raises ScrapeError."""


class TemplateSetpoints:
    """The set-points of one site.

    Parameters
    ----------
    template : Template
    access : SetpointAccess
    """

    def __init__(self, template: Template, access: SetpointAccess) -> None:
        self._by_name: Mapping[str, Setpoint] = {one.name: one for one in template.setpoints}
        self._access = access
        self._capabilities = {
            name: Capability(
                "W", one.minimum, one.maximum, True, float(one.reversion_seconds), one.step
            )
            for name, one in self._by_name.items()
        }

    def capabilities(self) -> Mapping[str, Capability]:
        """See :class:`exporter.drivers.base.Writable`."""
        return self._capabilities

    async def write(self, name: str, value: float) -> None:
        """Carry out the writes of a set-point in their order.

        Raises
        ------
        ScrapeError
        """
        for step in self._of(name).write:
            await self._access.write(step, figure_of(step, value))

    async def release(self, name: str) -> None:
        """Carry out the writes that give it back. Raises as :meth:`write` does."""
        for step in self._of(name).release:
            await self._access.write(step, figure_of(step, 0.0))

    async def read(self, name: str) -> float:
        """The set-point in force; NaN without one. Raises as :meth:`write` does."""
        setpoint = self._of(name)
        if setpoint.in_force is not None:
            active = _number(setpoint.in_force, await self._access.raw(setpoint.in_force))
            if not active or math.isnan(active):
                return math.nan
        return _number(setpoint.held, await self._access.raw(setpoint.held))

    def _of(self, name: str) -> Setpoint:
        found = self._by_name.get(name)
        if found is None:
            raise ScrapeError(Outcome.MALFORMED, f"{name}: the template has no such set-point")
        return found


def figure_of(step: WriteStep, setpoint: float) -> float:
    """What a step writes for a set-point."""
    wanted = setpoint if step.value == SETPOINT else float(step.value)
    return (wanted - step.offset) / step.scale


def _number(source: Source, raw: Any) -> float:
    value = value_of(source, raw)
    if value is None:
        return math.nan
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ScrapeError(Outcome.MALFORMED, "the set-point that is read is not a number")
    return float(value)


def _plain(figure: float) -> float | int:
    return int(figure) if figure == int(figure) else round(figure, 6)


def _with_figure(value: JsonValue, figure: float, parameters: dict[str, str]) -> JsonValue:
    """A body with its parameters, and with the figure where it stands alone or within a text."""
    if isinstance(value, str):
        if value == _WHOLE:
            return _plain(figure)
        return filled(value, {**parameters, SETPOINT: str(_plain(figure))})
    if isinstance(value, dict):
        return {key: _with_figure(one, figure, parameters) for key, one in value.items()}
    if isinstance(value, list):
        return [_with_figure(one, figure, parameters) for one in value]
    return value


@dataclass(frozen=True, slots=True)
class ModbusAccess:
    """Registers of a unit.

    Attributes
    ----------
    template : Template
    gateway : Gateway
    unit : int
        Where a row names none.
    """

    template: Template
    gateway: Gateway
    unit: int

    async def write(self, step: WriteStep, figure: float) -> None:
        """See :class:`SetpointAccess`."""
        assert step.register_ is not None
        try:
            words = encode(figure, WordType(step.type), self.template.word_order)
        except ValueError as error:
            raise ScrapeError(Outcome.MALFORMED, f"register {step.register_}: {error}") from error
        unit = self.unit if step.unit is None else step.unit
        await self.gateway.write(WriteRequest(unit, step.register_, words))

    async def raw(self, source: Source) -> Any:
        """See :class:`SetpointAccess`."""
        assert source.register_ is not None
        unit = self.unit if source.unit is None else source.unit
        function = Function.INPUT if source.function == "input" else Function.HOLDING
        count = registers_of(source.type)
        words = await self.gateway.read(Request(unit, function, source.register_, count))
        return decode(words, WordType(source.type), self.template.word_order)


@dataclass(frozen=True, slots=True)
class HttpAccess:
    """Documents of a device.

    Attributes
    ----------
    template : Template
    http : SiteHttp
    parameters : dict
    """

    template: Template
    http: SiteHttp
    parameters: dict[str, str]

    async def write(self, step: WriteStep, figure: float) -> None:
        """See :class:`SetpointAccess`."""
        target = _with_figure(step.target, figure, self.parameters)
        body = _with_figure(step.body, figure, self.parameters)
        await self.http.send_json(step.method, str(target), body)

    async def raw(self, source: Source) -> Any:
        """See :class:`SetpointAccess`."""
        target = filled(self.template.requests[self.template.request_of(source)], self.parameters)
        parts = urlsplit(target)
        document = await self.http.get_json(parts.path, dict(parse_qsl(parts.query)))
        return look_up(document, parse_path(filled(source.path or "", self.parameters)))


class MessageSource(Protocol):
    """What a device has published last, and a way to publish to it."""

    def publish(self, topic: str, payload: bytes) -> None:
        """Send a message; raises ScrapeError without a connection."""

    def since(self, source: Source, moment: float) -> tuple[bool, Any]:
        """Whether a message came at or after a monotonic moment, and the raw value in it."""

    def now(self) -> float:
        """Monotonic seconds."""


class MqttAccess:
    """Messages of a device. What it says after the latest write counts as read back.

    Parameters
    ----------
    template : Template
    messages : MessageSource
    parameters : dict
    """

    READ_SECONDS = 8.0

    def __init__(
        self, template: Template, messages: MessageSource, parameters: dict[str, str]
    ) -> None:
        self._template = template
        self._messages = messages
        self._parameters = parameters
        self._written = -math.inf

    async def write(self, step: WriteStep, figure: float) -> None:
        """See :class:`SetpointAccess`."""
        assert step.topic is not None
        body = _with_figure(_WHOLE if step.body is None else step.body, figure, self._parameters)
        payload = body.encode() if isinstance(body, str) else orjson.dumps(body)
        self._messages.publish(filled(step.topic, self._parameters), payload)
        self._written = self._messages.now()

    async def raw(self, source: Source) -> Any:
        """See :class:`SetpointAccess`."""
        oldest = max(self._written, self._messages.now() - self._template.expires_seconds)
        end = self._messages.now() + self.READ_SECONDS
        while self._messages.now() < end:
            came, raw = self._messages.since(source, oldest)
            if came:
                return raw
            await asyncio.sleep(0.05)
        topic = filled(self._template.topics[self._template.request_of(source)], self._parameters)
        detail = f"MQTT: nothing came under {topic} since the set-point was written"
        raise ScrapeError(Outcome.TIMEOUT, detail)
