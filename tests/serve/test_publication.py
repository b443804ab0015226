"""What crosses between the processes: a reader has what was published, and is sent what is new."""

from __future__ import annotations

import dataclasses
import math
import random
import socket
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from exporter.assess.assessment import FleetAssessment, as_dict
from exporter.model.cell_findings import SiteCells
from exporter.model.packed_cells import PackedCells, pack_cells
from exporter.model.snapshot import Cells
from exporter.serve.api.views import pack_dicts
from exporter.serve.channel import LARGE_BYTES, Channel
from exporter.serve.publication import Decoder, Delta, Encoder, Publication
from tests.serve.api.served import ServedFleet, plan
from tests.serve.test_metrics import NUMBERS


def same(left: Any, right: Any) -> bool:
    """Equal in every value, arrays and NaN included."""
    if isinstance(left, np.ndarray):
        return np.array_equal(left, right, equal_nan=left.dtype.kind == "f")
    if isinstance(left, Cells | PackedCells):
        return left.labels == right.labels and all(
            list(map(repr, getattr(left, name))) == list(map(repr, getattr(right, name)))
            for name in ("voltages_v", "temperatures_c")
        )
    if dataclasses.is_dataclass(left):
        return type(left) is type(right) and all(
            same(getattr(left, f.name), getattr(right, f.name)) for f in dataclasses.fields(left)
        )
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(same(v, right[k]) for k, v in left.items())
    if isinstance(left, tuple | list):
        return len(left) == len(right) and all(map(same, left, right))
    both_nan = isinstance(left, float) and math.isnan(left) and math.isnan(right)
    return bool(both_nan or left == right)


def random_step(served: ServedFleet, rng: random.Random) -> None:
    """What may happen between two Assessments."""
    kind = rng.choice(["scrape", "some", "time", "reload", "cells", "ill"])
    ids = [site.id for site in served.fleet.sites]
    if kind == "scrape":
        served.scrape()
    elif kind == "some":
        served.scrape(**dict.fromkeys(rng.sample(ids, 3)))
    elif kind == "ill":
        served.scrape(**{rng.choice(ids): {"soh_percent": 60.0, "cell_spread_v": 0.2}})
    elif kind == "reload":
        served.reconfigure(plan(rng.randrange(4, 12)))
    elif kind == "time":
        served.now += rng.choice([1.0, 60.0, 5000.0])
        served.assess()
    else:
        chosen = rng.sample(ids, rng.randrange(len(ids)))
        found = {i: SiteCells(i, served.wall) for i in chosen}
        served.latest = replace(served.latest, cells=found)


async def channels() -> tuple[Channel, Channel]:
    one, other = socket.socketpair()
    return await Channel.over(one), await Channel.over(other)


@pytest.mark.parametrize("seed", range(8))
async def test_a_reader_has_what_was_published(seed: int) -> None:
    """Whatever happened in between, and however many Publications it was not sent."""
    rng = random.Random(seed)
    served = ServedFleet(plan(8))
    encoder, decoder = Encoder(), Decoder()
    ours, theirs = await channels()
    for step in range(25):
        for _ in range(rng.randrange(1, 3)):
            random_step(served, rng)
        waiting = rng.choice([None, "the first scrape"])
        published = Publication(served.latest, replace(NUMBERS, skipped=step), waiting)
        ours.send(encoder.encode(published))
        found = decoder.decode(await theirs.receive())
        assert (found.numbers, found.waiting) == (published.numbers, waiting)
        assert same(found.assessment, published.assessment)
        for row, site in enumerate(found.assessment):
            assert as_dict(site) == as_dict(published.assessment.site(row))
            assert pack_dicts(found.assessment, row) == pack_dicts(published.assessment, row)
    ours.close()
    theirs.close()


async def test_what_a_reader_holds_cannot_be_changed() -> None:
    served = ServedFleet(plan(3))
    ours, theirs = await channels()
    ours.send(Encoder().encode(Publication(served.latest, NUMBERS)))
    found = Decoder().decode(await theirs.receive()).assessment
    with pytest.raises(ValueError, match="read-only"):
        found.up[0] = 0.0
    ours.close()
    theirs.close()


def sent(encoder: Encoder, assessment: FleetAssessment) -> Delta:
    return encoder.encode(Publication(assessment, NUMBERS))


def test_only_what_changed_is_sent() -> None:
    served = ServedFleet(plan(50))
    served.scrape()
    encoder = Encoder()
    first = sent(encoder, served.latest)
    assert first.fleet is served.fleet
    assert len(first.records) == len(first.issues) == 50
    again = sent(encoder, served.latest)
    assert (again.fleet, again.records, again.issues, again.cells) == (None, {}, {}, {})
    # One site answers, and is ill.
    served.fleet, whole = plan(1), served.fleet
    served.scrape(s0000={"soh_percent": 60.0})
    served.fleet = whole
    third = sent(encoder, served.latest)
    assert list(third.records) == [0]
    assert list(third.issues) == [0]
    assert third.fleet is None


async def test_a_second_reader_begins_with_everything() -> None:
    served = ServedFleet(plan(5))
    served.scrape()
    sent(Encoder(), served.latest)
    decoder = Decoder()
    found = decoder.decode(sent(Encoder(), served.latest))
    assert same(found.assessment, served.latest)


async def test_large_and_small_messages_keep_their_order() -> None:
    ours, theirs = await channels()
    messages: list[Any] = [b"x" * (2 * LARGE_BYTES), 1, np.arange(3 * LARGE_BYTES), "a", None]
    for message in messages:
        ours.send(message)
    for message in messages:
        assert same(await theirs.receive(), message)
    ours.close()
    with pytest.raises(EOFError):
        await theirs.receive()
    theirs.close()


async def test_a_channel_is_busy_until_the_other_side_reads() -> None:
    ours, theirs = await channels()
    assert not ours.busy
    ours.send(bytes(50_000_000))
    assert ours.busy
    assert len(await theirs.receive()) == 50_000_000
    ours.send("small")
    assert await theirs.receive() == "small"
    assert not ours.busy
    # Nobody reads any more: dropped, not raised.
    theirs.close()
    with pytest.raises(EOFError):
        await ours.receive()
    ours.send("late")
    ours.close()


async def test_cells_keep_every_digit_and_what_is_missing() -> None:
    ours, theirs = await channels()
    odd = Cells(("1", "2", "3"), (3.3000000000000003, math.nan, -0.0), (1e-300, 25.1, math.nan))
    cells = pack_cells(odd)
    for _ in range(2):
        ours.send([cells, cells])
        first, second = await theirs.receive()
        assert same(first, cells)
        assert first.labels is second.labels
        # And on to the next process.
        cells = first
    ours.close()
    theirs.close()
