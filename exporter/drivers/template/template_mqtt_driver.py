"""Driver ``template-mqtt``: devices that publish JSON, or plain numbers, as a template says."""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Self

import orjson
from pydantic import AfterValidator, Field, ValidationInfo, model_validator

from exporter.config.field_types import Text, field_error
from exporter.drivers.base import Capability, Driver, DriverContext, Endpoint, RawValue
from exporter.drivers.template.json_path import look_up, parse_path
from exporter.drivers.template.template_driver import checked_template
from exporter.drivers.template.template_file import load_template
from exporter.drivers.template.template_model import Source, Template, filled
from exporter.drivers.template.template_reader import TemplateReader
from exporter.drivers.template.template_setpoint import MqttAccess, TemplateSetpoints
from exporter.drivers.template.template_values import NOT_READ, Raw
from exporter.drivers.transport.http.options import HttpOptions
from exporter.drivers.transport.mqtt.broker import Broker, Subscription, resubscribe
from exporter.drivers.venus.values import text
from exporter.model.snapshot import Outcome, ScrapeError, Snapshot

_LARGEST_MESSAGE = 65_536


def _check(value: str, info: ValidationInfo) -> str:
    return checked_template(value, info, "template-mqtt")


class TemplateMqttOptions(HttpOptions):
    """Options of a site whose device publishes what a template describes."""

    template: Annotated[Text, AfterValidator(_check)] = Field(
        description="File of a template over MQTT ([devices.md](devices.md)), relative to this file"
    )
    parameters: dict[str, Text] = Field(
        default={}, description="What the template asks for, such as names of devices"
    )

    @model_validator(mode="after")
    def _check_parameters(self) -> Self:
        try:
            load_template(self.template, Path()).values_of(dict(self.parameters))
        except ValueError as error:
            raise field_error(f"parameters: {error}") from None
        return self

    def identity(self) -> tuple[object, ...]:
        """What makes it another device."""
        return (self.template, tuple(sorted(self.parameters.items())))


@dataclass(slots=True, eq=False)
class LatestMessages:
    """The latest message of each topic, as the source of a template's values.

    Attributes
    ----------
    template : Template
    parameters : dict
    monotonic : callable
    heard : float
        Monotonic seconds of the latest message; minus infinity before the first.
    """

    template: Template
    parameters: dict[str, str]
    monotonic: Callable[[], float]
    heard: float = -math.inf
    _messages: dict[str, tuple[float, bytes]] = field(default_factory=dict)

    @property
    def topics(self) -> dict[str, str]:
        """Topic to its name in the template."""
        return {filled(t, self.parameters): name for name, t in self.template.topics.items()}

    def take(self, topic: str, payload: bytes) -> None:
        """Keep a message; one that is too large is none."""
        name = self.topics.get(topic)
        if name is not None and len(payload) <= _LARGEST_MESSAGE:
            self.heard = self.monotonic()
            self._messages[name] = (self.heard, payload)

    def since(self, source: Source, moment: float) -> tuple[bool, Any]:
        """See :class:`exporter.drivers.template.template_setpoint.MessageSource`.

        Raises
        ------
        ScrapeError
        """
        heard, payload = self._messages.get(self.template.request_of(source), (-math.inf, b""))
        if heard < moment:
            return False, None
        try:
            found = _document(payload)
        except ValueError as error:
            detail = "MQTT: a message is neither JSON nor a number"
            raise ScrapeError(Outcome.MALFORMED, detail) from error
        if source.path is not None:
            found = look_up(found, parse_path(filled(source.path, self.parameters)))
        return True, found

    async def read(self) -> tuple[Raw, list[ScrapeError]]:
        """See :class:`exporter.drivers.template.template_sources.RawSource`."""
        oldest = self.monotonic() - self.template.expires_seconds
        documents: dict[str, Any] = {}
        failed: list[ScrapeError] = []
        for name, topic in self.template.topics.items():
            heard, payload = self._messages.get(name, (-math.inf, b""))
            try:
                if heard >= oldest:
                    documents[name] = _document(payload)
                    continue
                detail = f"MQTT: nothing came under {filled(topic, self.parameters)}"
                failed.append(ScrapeError(Outcome.TIMEOUT, detail))
            except ValueError:
                detail = f"MQTT: {filled(topic, self.parameters)} is neither JSON nor a number"
                failed.append(ScrapeError(Outcome.MALFORMED, detail))
        if failed and not documents:
            raise failed[0]

        def raw_of(source: Source) -> Any:
            found = documents.get(self.template.request_of(source), NOT_READ)
            if found is NOT_READ or source.path is None:
                return found
            return look_up(found, parse_path(filled(source.path, self.parameters)))

        return raw_of, failed

    def place(self, source: Source) -> str:
        """See :class:`exporter.drivers.template.template_sources.RawSource`."""
        topic = filled(self.template.topics[self.template.request_of(source)], self.parameters)
        return f"{topic} {filled(source.path or '', self.parameters)}".rstrip()


def _document(payload: bytes) -> Any:
    """A message as JSON; text that is none, such as ``ON``, is that text.

    Raises
    ------
    ValueError
        For bytes that are no text on one line.
    """
    try:
        return orjson.loads(payload)
    except orjson.JSONDecodeError:
        plain = payload.decode("utf-8").strip()
        if not plain or plain[:1] in "{[" or not plain.isprintable():
            raise
        return text(plain)


@dataclass(slots=True, eq=False)
class _Listener:
    """Hears the topics below one prefix."""

    prefix: str
    messages: LatestMessages

    def connected(self) -> None:
        """See :class:`exporter.drivers.transport.mqtt.broker.Listener`."""

    def receive(self, topic: bytes, payload: bytes, retained: bool) -> None:
        """See :class:`exporter.drivers.transport.mqtt.broker.Listener`.

        A retained message may be of any age, so it is no sign of life.
        """
        if not retained:
            self.messages.take(self.prefix + topic.decode("utf-8", "replace"), payload)


class TemplateMqttDriver(Driver):
    """Keeps the latest of what one device publishes. Subscribed, and Writable where its template
    has set-points."""

    options = TemplateMqttOptions
    schemes = ("mqtt", "mqtts")
    summary = "Devices that publish JSON or numbers over MQTT, as a template of your own describes."
    gives = "What its template names"
    switch_on = "Have it publish to a broker that Fleetscope can reach"

    def __init__(self, endpoint: Endpoint, context: DriverContext) -> None:
        options = endpoint.options
        assert isinstance(options, TemplateMqttOptions)
        self._endpoint = endpoint
        self._options = options
        self._mqtt = context.transports.mqtt
        template = load_template(options.template, Path())
        values = template.values_of(dict(options.parameters))
        self._messages = LatestMessages(template, values, context.monotonic)
        self._reader = TemplateReader(endpoint.site, template, self._messages, None, context)
        self._setpoints = TemplateSetpoints(template, MqttAccess(template, self, values))
        self._broker: Broker | None = None
        self._error: ScrapeError | None = None

    @classmethod
    def open(cls, endpoint: Endpoint, context: DriverContext) -> Self:
        """See :class:`exporter.drivers.base.Driver`."""
        return cls(endpoint, context)

    async def subscribe(self) -> None:
        """See :class:`exporter.drivers.base.Subscribed`."""
        await resubscribe(self._endpoint.site, self._listen, self._failed)

    def _failed(self, error: ScrapeError) -> None:
        self._error = error

    async def _listen(self) -> None:
        """Listen to every topic until cancelled."""
        url = self._endpoint.url
        broker = self._mqtt.broker(self._endpoint.site, url, self._options.trust)
        self._broker = broker
        filters: dict[str, list[str]] = {}
        for topic in self._messages.topics:
            prefix = topic[: topic.rfind("/") + 1]
            filters.setdefault(prefix, []).append(topic)
        with contextlib.ExitStack() as opened:
            for prefix, topics in filters.items():
                listener = _Listener(prefix, self._messages)
                subscription = Subscription(prefix.encode(), tuple(topics), listener)
                opened.enter_context(broker.listening(subscription))
            self._error = None
            await asyncio.Event().wait()

    async def latest(self) -> Snapshot:
        """See :class:`exporter.drivers.base.Subscribed`."""
        expired = self._reader.template.expires_seconds
        if self._messages.heard < self._messages.monotonic() - expired:
            broker = self._broker
            reason = self._error or (broker.error if broker is not None else None)
            if reason is not None:
                raise ScrapeError(reason.outcome, reason.detail)
        return await self._reader.scrape()

    def raw_values(self) -> list[RawValue]:
        """See :class:`exporter.drivers.base.Explaining`."""
        return self._reader.raw_values()

    # -- set-points, see exporter.drivers.base.Writable -----------------------------------------

    def capabilities(self) -> Mapping[str, Capability]:
        """What the template says can be set."""
        return self._setpoints.capabilities()

    async def write(self, name: str, value: float) -> None:
        """Set it."""
        await self._setpoints.write(name, value)

    async def release(self, name: str, before: float = math.nan) -> None:
        """Give it back to the device."""
        del before
        await self._setpoints.release(name)

    async def read_setpoint(self, name: str) -> float:
        """What is in force."""
        return await self._setpoints.read(name)

    # -- exporter.drivers.template.template_setpoint.MessageSource --------------------------------

    def publish(self, topic: str, payload: bytes) -> None:
        """Send a message; raises ScrapeError without a connection."""
        if self._broker is None or not self._broker.is_connected:
            raise ScrapeError(Outcome.REFUSED, "MQTT: there is no connection to the broker")
        self._broker.publish(topic, payload)

    def since(self, source: Source, moment: float) -> tuple[bool, Any]:
        """Whether a message came at or after a monotonic moment, and the raw value in it."""
        return self._messages.since(source, moment)

    def now(self) -> float:
        """Monotonic seconds."""
        return self._messages.monotonic()
