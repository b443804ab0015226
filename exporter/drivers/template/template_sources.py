"""Raw values of a device: documents over HTTP, or registers over Modbus."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol
from urllib.parse import parse_qsl, urlsplit

from exporter.drivers.template.json_path import look_up, parse_path
from exporter.drivers.template.template_model import Source, Template, filled
from exporter.drivers.template.template_values import NOT_READ, Raw
from exporter.drivers.transport.http.site_client import SiteHttp
from exporter.drivers.transport.modbus.frames import Function
from exporter.drivers.transport.modbus.gateway import Gateway
from exporter.drivers.transport.modbus.unit_reader import Span, UnitReader
from exporter.drivers.transport.modbus.words import (
    WordType,
    decode,
    decode_text,
    registers_of,
    scale_factor,
    scaled,
)
from exporter.model.snapshot import ScrapeError

_SERIAL_REGISTERS = 16


class RawSource(Protocol):
    """Where raw values come from."""

    async def read(self) -> tuple[Raw, list[ScrapeError]]:
        """A way to look values up, and what failed of that which was asked.

        Raises
        ------
        ScrapeError
            When nothing could be read.
        """

    def place(self, source: Source) -> str:
        """Where a value is, for people: request and path, or unit and register."""


class HttpSource:
    """JSON documents, one for each request of a template."""

    def __init__(self, template: Template, http: SiteHttp, parameters: dict[str, str]) -> None:
        self._template = template
        self._http = http
        self._parameters = parameters
        self._paths = {
            source.path: parse_path(filled(source.path, parameters))
            for _, source in template.rows
            if source.path is not None
        }

    async def read(self) -> tuple[Raw, list[ScrapeError]]:
        """See :class:`RawSource`. One request at a time: small devices have one connection."""
        documents: dict[str, Any] = {}
        failed: list[ScrapeError] = []
        for name, target in self._template.requests.items():
            parts = urlsplit(filled(target, self._parameters))
            query = dict(parse_qsl(parts.query))
            try:
                documents[name] = await self._http.get_json(parts.path, query)
            except ScrapeError as error:
                failed.append(error)
        if failed and not documents:
            raise failed[0]

        def raw_of(source: Source) -> Any:
            name = self._template.request_of(source)
            if name not in documents:
                return NOT_READ
            return look_up(documents[name], self._paths[source.path or ""])

        return raw_of, failed

    def place(self, source: Source) -> str:
        """See :class:`RawSource`."""
        target = self._template.requests[self._template.request_of(source)]
        path = source.path or ""
        return f"{filled(target, self._parameters)} {filled(path, self._parameters)}"


class ModbusSource:
    """Registers of one or several units."""

    def __init__(
        self,
        template: Template,
        gateway: Gateway,
        unit: int | None,
        monotonic: Callable[[], float],
    ) -> None:
        self._template = template
        self._unit = template.unit if unit is None else unit
        spans: dict[tuple[int, Function], list[Span]] = {}
        for _, source in template.rows:
            spans.setdefault(self._reader_of(source), []).extend(self._spans(source))
        self._readers = {
            (unit, function): UnitReader(
                gateway, unit, function, tuple(found), template.largest_gap, monotonic
            )
            for (unit, function), found in spans.items()
        }

    def _reader_of(self, source: Source) -> tuple[int, Function]:
        unit = self._unit if source.unit is None else source.unit
        return unit, Function.INPUT if source.function == "input" else Function.HOLDING

    def _spans(self, source: Source) -> list[Span]:
        if source.register_ is None:
            return []
        count = registers_of(source.type)
        if source is self._template.serial:
            count = _SERIAL_REGISTERS
        found = [(source.register_, count)]
        if source.scale_register is not None:
            found.append((source.scale_register, 1))
        return found

    async def read(self) -> tuple[Raw, list[ScrapeError]]:
        """See :class:`RawSource`."""
        words: dict[tuple[int, Function], dict[int, int]] = {}
        failed: list[ScrapeError] = []
        lost: set[int] = set()
        for key, reader in self._readers.items():
            if key[0] in lost:
                continue
            try:
                words[key] = await reader.read()
            except ScrapeError as error:
                # What does not answer would not answer for its other registers either.
                lost.add(key[0])
                failed.append(error)
        if failed and not words:
            raise failed[0]

        def raw_of(source: Source) -> Any:
            found = words.get(self._reader_of(source))
            return NOT_READ if found is None else self._raw(source, found)

        return raw_of, failed

    def _raw(self, source: Source, words: dict[int, int]) -> float | str | None:
        (first, count), *factor = self._spans(source)
        found = [words[n] for n in range(first, first + count) if n in words]
        if len(found) < count:
            return None
        if source is self._template.serial:
            return decode_text(found)
        value = decode(found, WordType(source.type), self._template.word_order)
        if not factor:
            return value
        power = scale_factor(words.get(factor[0][0], 0x8000))
        return None if power is None else scaled(value, power)

    def place(self, source: Source) -> str:
        """See :class:`RawSource`."""
        unit, function = self._reader_of(source)
        kind = "input " if function is Function.INPUT else ""
        return f"unit {unit} {kind}register {source.register_} {source.type}"
