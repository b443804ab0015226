"""Packed cells have the values of the cells that they were made of, bit by bit."""

from __future__ import annotations

import math
import random
import struct
from array import array
from collections.abc import Sequence

from exporter.model.packed_cells import PackedCells, pack_cells, pack_many
from exporter.model.snapshot import Cells


def bits(values: Sequence[float]) -> list[bytes]:
    """Each value as it lies in memory; every NaN is missing alike."""
    return [b"missing" if math.isnan(value) else struct.pack("d", value) for value in values]


def kept(cells: Cells) -> PackedCells:
    found = pack_cells(cells)
    as_arrays = Cells(cells.labels, array("d", cells.voltages_v), array("d", cells.temperatures_c))
    assert [found, found] == pack_many([cells, as_arrays])
    assert found.labels == cells.labels
    assert bits(found.voltages_v) == bits(cells.voltages_v)
    assert bits(found.temperatures_c) == bits(cells.temperatures_c)
    return found


def labels(count: int) -> tuple[str, ...]:
    return tuple(str(number) for number in range(count))


def test_what_devices_write_takes_four_bytes_a_cell() -> None:
    rng = random.Random(15)
    for digits in (2, 3, 4):
        volts = array("d", [round(rng.uniform(0.0, 4.3), digits) for _ in range(260)])
        celsius = array("d", [round(rng.uniform(-40.0, 120.0), digits - 2) for _ in range(260)])
        for missing in rng.sample(range(260), 5):
            volts[missing] = celsius[missing] = math.nan
        assert len(kept(Cells(labels(260), volts, celsius)).data) == 4 * 260


def test_any_other_value_is_kept_as_it_is() -> None:
    rng = random.Random(16)
    odd = (3.30001, -0.0, math.inf, -math.inf, 1e-300, -1.0, 6.5535, 6.5536, 355.35, 355.34, 1e300)
    for value in odd:
        for place in ("volts", "celsius"):
            given = {
                name: [round(rng.uniform(2.0, 4.0), 3) for _ in range(8)]
                for name in ("volts", "celsius")
            }
            given[place][rng.randrange(8)] = value
            kept(Cells(labels(8), tuple(given["volts"]), tuple(given["celsius"])))
    for _ in range(200):
        count = rng.randrange(1, 40)
        volts = [struct.unpack("d", rng.randbytes(8))[0] for _ in range(count)]
        kept(Cells(labels(count), volts, [rng.choice([*odd, math.nan]) for _ in range(count)]))


def test_packs_without_cells_and_packed_ones() -> None:
    kept(Cells((), (), ()))
    kept(Cells(("1",), (math.nan,), (math.nan,)))
    packed = pack_cells(Cells(("1",), (3.3,), (20.0,)))
    assert pack_cells(packed) is packed


def test_many_packs_are_packed_as_each_alone() -> None:
    rng = random.Random(17)
    packs = []
    for _ in range(150):
        count = rng.choice([1, 8, 16])
        columns = [
            array("d", [rng.choice([round(rng.uniform(0, high), 2), *odd]) for _ in range(count)])
            for high, odd in ((4.0, rng.choice([(), (0.0,), (math.nan,)])), (60.0, ()))
        ]
        packs.append(Cells(labels(count), *columns))
    found = pack_many(packs)
    assert found == [pack_cells(cells) for cells in packs]
    assert any(len(cells.data) == 4 * 16 for cells in found)
