"""Rows of cells in one piece: the same bytes as line by line, on random packs."""

from __future__ import annotations

import gzip
import math
import random

import numpy as np

from exporter.store.cell_lines import cell_block, each_cell_line
from exporter.store.queue import Block, Kind, pack, pack_blocks

ODD = (math.nan, 0.0, -0.0, 1e-5, 9.9e-5, 1e-4, 1e15, 1e16, 1e17, -1e-5, 1e300, 5e-324, 0.1 + 0.2)
NAMES = ("site_1", "with space", "a,b=c", "back\\", "caf\u00e9", "half \ud800", "", "tab\there")


def random_pack(rng: random.Random) -> tuple[str, str, tuple[str, ...], np.ndarray, list[int]]:
    """Site, pack, labels, values and rows; one in two has values at the edge of a format."""
    count = rng.randrange(1, 40)
    kind = rng.choice(("{}", "1/{}", "C {}", "\x00{}", "a,{}"))
    labels = tuple(kind.format(n) for n in range(count))
    values = np.array(
        [
            [round(rng.gauss(3.3, 0.1), rng.randrange(1, 17)) for _ in labels],
            [round(rng.gauss(10.0, 20.0), rng.randrange(1, 17)) for _ in labels],
        ]
    )
    rows = list(range(count))
    if rng.random() < 0.5:
        for _ in range(rng.randrange(1, 4)):
            values[rng.randrange(2), rng.randrange(count)] = rng.choice(ODD)
        rows = [row for row in rows if not np.isnan(values[:, row]).all()]
    if rng.random() < 0.2:
        rows = rows[::2]
    return rng.choice(NAMES), rng.choice(NAMES), labels, values, rows


def test_a_block_is_its_lines() -> None:
    rng = random.Random(15)
    for _ in range(3000):
        site, device, labels, values, rows = random_pack(rng)
        left_out = None
        if rng.random() < 0.3:
            left_out = np.array([rng.choice((0, 0, 3)) for _ in labels])
        stamp = rng.randrange(10**12, 2 * 10**12)
        found = cell_block(site, device, labels, values, stamp, rows, left_out)
        lines = each_cell_line(site, device, labels, values, stamp, rows, left_out)
        assert found.text == "\n".join(lines).encode("utf-8", "replace")
        assert (found.points, found.stamp) == (len(rows), stamp)


def test_batches_of_blocks_are_batches_of_their_lines() -> None:
    rng = random.Random(16)
    blocks = []
    for number in range(40):
        labels = tuple(str(n) for n in range(rng.randrange(1, 30)))
        values = np.array([[3.3] * len(labels), [25.0] * len(labels)])
        stamp = 1_700_000_000_000 + number * 7000
        blocks.append(cell_block(f"s{number}", "p", labels, values, stamp, range(len(labels))))
    lines = [line for block in blocks for line in block.text.decode().split("\n")]
    batches = pack_blocks(blocks, 1.0, 100)
    assert [line for b in batches for line in gzip.decompress(b.body).decode().split("\n")] == lines
    assert all(batch.kind is Kind.CELLS and batch.points <= 100 for batch in batches)
    (whole,) = pack_blocks(blocks, 1.0, 10**6)
    (expected,) = pack(lines, 1.0, 10**6)
    assert (whole.points, whole.census) == (expected.points, dict(expected.census))
    assert gzip.decompress(whole.body) == gzip.decompress(expected.body)


def test_a_block_larger_than_a_batch_is_a_batch() -> None:
    block = Block(b"cell,x=1 voltage_v=1.0 1", 500, 1)
    assert [batch.points for batch in pack_blocks([block, block], 1.0, 100)] == [500, 500]
    assert pack_blocks([], 1.0, 100) == []
