"""Replies of Modbus and JSON devices, and templates: what must hold for any of them whatever."""

from __future__ import annotations

import json
import math
import random
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from exporter.config.fleet_file import FleetFileError
from exporter.drivers.modbus_tcp.gx_map import gx_map
from exporter.drivers.sunspec.model_rows import Model, Place, model_rows
from exporter.drivers.sunspec.site_models import SunSpecReadings
from exporter.drivers.template.json_path import look_up, parse_path
from exporter.drivers.template.template_file import (
    load_template,
    parse_template,
    shipped,
)
from exporter.drivers.template.template_model import Source, Template
from exporter.drivers.template.template_sources import ModbusSource
from exporter.drivers.template.template_values import DeviceReadings, Raw
from exporter.drivers.transport.modbus.frames import (
    HEADER_BYTES,
    Function,
    Request,
    parse_header,
    parse_registers,
)
from exporter.drivers.transport.modbus.gateway import Gateway
from exporter.drivers.venus import ac_input
from exporter.drivers.venus import tree as venus_tree
from exporter.drivers.venus.ac_sources import AcSources
from exporter.drivers.venus.battery import read_battery
from exporter.drivers.venus.conditions import read_conditions
from exporter.drivers.venus.readings import Collector
from exporter.model.quantities import QUANTITIES
from exporter.model.snapshot import BatterySnapshot, Outcome, Readings, ScrapeError, Snapshot

Shown = Callable[[Snapshot], None]
_ASKED = Request(3, Function.HOLDING, 40_000, 5)
_RIGHT = struct.pack(">HHHBBB5H", 7, 0, 13, 3, 3, 10, 1, 2, 3, 4, 5)
_WORDS = st.sampled_from([0, 1, 0x7FFF, 0x8000, 0xFFFF, 0xFFFE, 10, 200, 500]) | st.integers(
    0, 65535
)
# Inputs in one call: to make up one costs more than to read it.
EACH = 20
_TEMPLATES = [load_template(name, Path()) for name in shipped()]


def _plausible(readings: Readings) -> None:
    for name, value in readings.items():
        assert math.isnan(value) or QUANTITIES[name].plausible(value), (name, value)


@given(st.integers(0, 2**32), st.binary(max_size=40))
def modbus_reply(seed: int, noise: bytes) -> None:
    """Any bytes are the registers that were asked for, or a reason."""
    rng = random.Random(seed)
    damaged = bytearray(_RIGHT)
    for _ in range(rng.choice([0, 1, 2, 4])):
        damaged[rng.randrange(len(damaged))] = rng.randrange(256)
    for data in (bytes(damaged), bytes(damaged[: rng.randrange(len(damaged))]), noise):
        if len(data) < HEADER_BYTES:
            continue
        try:
            header = parse_header(data[:HEADER_BYTES], str(_ASKED))
            body = data[HEADER_BYTES : HEADER_BYTES + header.following]
            if len(body) < header.following:
                continue
            reason = ""
            words: tuple[int, ...] | None = parse_registers(_ASKED, header, body)
        except ScrapeError as error:
            words, reason = None, error.detail
        if words is None:
            assert reason.isprintable()
            continue
        assert header.unit == _ASKED.unit
        assert len(words) == _ASKED.count
        assert struct.pack(">5H", *words) == body[2:]


def modbus_registers(shown: Shown) -> Any:
    """The target; ``shown`` takes a Snapshot to every output."""

    @given(st.lists(_WORDS, min_size=4, max_size=20), st.integers(0, 2**32))
    def target(held: list[int], seed: int) -> None:
        """Any registers of a GX or a SunSpec device are plausible readings, or none."""
        rng = random.Random(seed)
        for _ in range(EACH):
            of_gx, of_sunspec = _gx_of(held, rng), _sunspec_of(held, rng)
        shown(of_gx)
        shown(of_sunspec)

    return target


def _word(held: list[int], rng: random.Random) -> int:
    return rng.choice(held) if rng.random() < 0.7 else rng.randrange(65536)


def _gx_of(held: list[int], rng: random.Random) -> Snapshot:
    trees = {}
    for kind, service in gx_map().services.items():
        numbers = (n for first, count in service.spans for n in range(first, first + count))
        trees[kind] = service.tree({n: _word(held, rng) for n in numbers})
    return _gx_snapshot(trees)


def _sunspec_of(held: list[int], rng: random.Random) -> Snapshot:
    known, models = sorted(model_rows()), []
    for _ in range(rng.randrange(6)):
        number, length = rng.choice(known), rng.randrange(1, 120)
        body = [_word(held, rng) for _ in range(length)]
        models.append(Model(Place(number, 40_002, length), [number, length, *body]))
    found = SunSpecReadings()
    found.add_unit(1, models)
    found.finish()
    return _snapshot(found.site.readings, found.batteries, found.alarms)


def _gx_snapshot(trees: dict[str, dict[str, Any]]) -> Snapshot:
    system = trees["system"]
    into = Collector("site", "system")
    venus_tree.read_system(system, into)
    service = venus_tree.PREFIX + "battery.unit225"
    pack, _ = read_battery(service, trees["battery"], active=True, system=system)
    inputs = {
        venus_tree.PREFIX + kind: ac_input.read_ac_input(venus_tree.PREFIX + kind, trees[kind])
        for kind in ("vebus", "multi", "grid")
    }
    AcSources().judge(system, inputs, inputs, into)
    ac_input.read_grid_energy(trees["grid"], into)
    conditions = read_conditions("vebus", trees["vebus"])
    return _snapshot(into.readings, [pack], {"vebus/276": conditions.levels})


def _snapshot(
    readings: Readings, batteries: list[BatterySnapshot], alarms: dict[str, dict[str, int]]
) -> Snapshot:
    _plausible(readings)
    for battery in batteries:
        _plausible(battery.readings)
    return Snapshot(
        "alpha",
        1.7e9,
        0.1,
        Outcome.OK,
        readings=readings,
        batteries=tuple(batteries),
        alarms=alarms,
    )


def template_reply(shown: Shown, values: st.SearchStrategy[Any]) -> Any:
    """The target; ``values`` makes up JSON values."""

    @given(st.lists(values, min_size=4, max_size=8), st.integers(0, 2**32))
    def target(drawn: list[Any], seed: int) -> None:
        """Any document or registers under a template are plausible readings, or none."""
        rng = random.Random(seed)
        for _ in range(EACH):
            template = rng.choice(_TEMPLATES)
            of = _raw_registers if template.transport == "modbus" else _raw_documents
            found = DeviceReadings(template, of(template, drawn, rng))
            snapshot = _snapshot(found.site.readings, found.batteries, found.alarms)
        shown(snapshot)

    return target


def _raw_registers(template: Template, drawn: list[Any], rng: random.Random) -> Raw:
    source = ModbusSource(template, Gateway("127.0.0.1", 1), None, float)
    held = [0, 1, 0x7FFF, 0x8000, 0xFFFF, rng.randrange(65536)]
    spans = (span for _, row in template.rows for span in source._spans(row))
    numbers = (n for first, count in spans for n in range(first, first + count))
    words = {n: _word(held, rng) for n in numbers if rng.random() < 0.9}
    return lambda row: source._raw(row, words)


def _raw_documents(template: Template, drawn: list[Any], rng: random.Random) -> Raw:
    document = {"x": drawn, "Body": {"Data": drawn}, "emeters": drawn}

    def raw_of(row: Source) -> Any:
        found = look_up(document, parse_path((row.path or "x").replace("$", "")))
        return rng.choice(drawn) if found is None else found

    return raw_of


_KEYS = [*Template.model_fields, "quantity", "path", "register", "sum", "scale", "type", "values"]
_BITS = ["- ", ": ", "\n", "  ", "{", "}", "[", "]", ",", '"', "&a ", "*a", "!!x ", "${", "1e400"]
_BITS += [".inf", "70000", "soc_percent", "http", "modbus", "/s", "a.b", "[a=b].c", "\x00", "---\n"]


def template_file(text: st.SearchStrategy[str], values: st.SearchStrategy[Any]) -> Any:
    """The target; ``text`` and ``values`` make up what stands in files."""
    whole = (
        Path(__file__).parents[2] / "exporter/drivers/template/devices/sma-hybrid.yaml"
    ).read_text()

    def changed(bits: list[str], seed: int) -> str:
        rng = random.Random(seed)
        found = whole
        for bit in bits:
            place = rng.randrange(len(found))
            found = found[:place] + bit + found[place + rng.randrange(4) :]
        return found

    bits = st.sampled_from([*_KEYS, *_BITS]) | text

    @given(
        st.one_of(
            st.lists(bits, max_size=25).map("".join),
            st.builds(changed, st.lists(bits, max_size=4), st.integers(0, 2**32)),
            st.dictionaries(st.sampled_from(_KEYS), values, max_size=8).map(
                lambda found: json.dumps(found, default=str)
            ),
        )
    )
    def target(written: str) -> None:
        """Any text is a template, or is refused with places and words that act on no terminal."""
        lines = []
        # A file is read as UTF-8, which has no halves of characters.
        written = written.encode("utf-8", "replace").decode()
        try:
            template = parse_template(written, Path("box.yaml"))
        except FleetFileError as error:
            lines = str(error).splitlines()
        else:
            DeviceReadings(template, lambda source: None)
        for line in lines:
            assert line.isprintable(), line

    return target
