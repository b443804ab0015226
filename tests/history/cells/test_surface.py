"""The surface of cells, read from a real InfluxDB: values, gaps, levels and steps."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from exporter.history.cells import surface
from exporter.history.cells.surface import MISSING, TooManyCellsError, read_surface
from exporter.history.influxql import InfluxQL
from tests.serve.api.influx import influx

pytestmark = pytest.mark.stack

DAY = 86_400
END = 20_000 * DAY
CELLS = range(1, 12)


def volts(day: int, pack: int, cell: int) -> float:
    return round(3.3 + day / 10_000 + (0.08 if (pack, cell) == (2, 7) else 0.0), 4)


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Iterator[InfluxQL]:
    """300 days as roll-ups of a day, and three hours in full detail, of two packs."""
    with influx(tmp_path_factory.mktemp("influx")) as server:
        for level in ("rollup_5m", "rollup_15m", "rollup_1h", "rollup_1d"):
            server.query(f'CREATE RETENTION POLICY "{level}" ON "fleet" DURATION INF REPLICATION 1')
        daily, raw = [], []
        for pack in (1, 2):
            for cell in CELLS:
                head = f"cell,site=plant,pack=bms/{pack},cell={cell}"
                for day in range(300):
                    if 100 <= day < 110 or ((pack, cell) == (1, 3) and day > 200):
                        continue
                    stamp = (END - (300 - day) * DAY) * 1000
                    v = volts(day, pack, cell)
                    daily.append(
                        f"{head} voltage_v_mean={v},voltage_v_min={v - 0.1},"
                        f"voltage_v_max={v + 0.1},"
                        f"temperature_c_min=10,temperature_c_max={20 + cell} {stamp}"
                    )
                for minute in range(180):
                    if 60 <= minute < 80:
                        continue
                    stamp = (END - 180 * 60 + minute * 60 + 7) * 1000
                    raw.append(f"{head} voltage_v={3.2 + cell / 1000},temperature_c=25 {stamp}")
        slow = [
            f"cell,site=slow,pack=p,cell=1 voltage_v=3.3 {(END - n * 900 - 300) * 1000}"
            for n in range(96)
        ]
        server.write(daily, "rollup_1d")
        server.write(raw + slow)
        yield InfluxQL(server.url, "fleet", {})


async def test_a_long_range_comes_from_the_longest_windows(stored: InfluxQL) -> None:
    since, until = END - 300 * DAY, END - DAY
    found = await read_surface(stored, "plant", (), "voltage", "mean", since, until)
    assert (found.level, found.step, found.begin) == ("rollup_1d", DAY, since)
    assert found.values.shape == (22, 299)
    assert found.packs == ("bms/1",) * 11 + ("bms/2",) * 11
    assert found.cells[:11] == tuple(str(n) for n in CELLS), "in physical order, 2 before 10"
    assert found.values[0, 5] == volts(5, 1, 1)
    assert np.isnan(found.values[:, 100:110]).all(), "a gap is a gap"
    assert np.isnan(found.values[2, 201:]).all(), "a cell that is silent is silent"
    assert np.isfinite(found.values[3]).sum() == 289


async def test_deviation_is_from_the_median_of_the_own_pack(stored: InfluxQL) -> None:
    since, until = END - 300 * DAY, END - DAY
    found = await read_surface(stored, "plant", ("bms/2",), "deviation", "mean", since, until)
    assert set(found.packs) == {"bms/2"}
    assert np.nanmax(np.abs(found.values[6] - 0.08)) < 1e-9
    assert np.nanmax(np.abs(np.delete(found.values, 6, axis=0))) < 1e-9
    assert found.query.count("SELECT") == 1


async def test_temperatures_have_no_mean(stored: InfluxQL) -> None:
    since, until = END - 300 * DAY, END - DAY
    found = await read_surface(stored, "plant", ("bms/1",), "temperature", "mean", since, until)
    assert found.kept == "max"
    assert found.values[10, 0] == 31
    coldest = await read_surface(stored, "plant", ("bms/1",), "temperature", "min", since, until)
    assert coldest.values[10, 0] == 10


async def test_full_detail_is_thinned_by_the_server(stored: InfluxQL) -> None:
    since, until = END - 3 * 3600, END
    found = await read_surface(stored, "plant", ("bms/1",), "voltage", "max", since, until)
    assert (found.level, found.step) == (None, 120)
    assert found.values.shape == (11, 90)
    assert "time(120s)" in found.query
    assert np.flatnonzero(np.isnan(found.values[0])).tolist() == list(range(30, 40))
    assert found.values[4, 0] == 3.205


async def test_what_is_stored_seldom_has_no_gaps_in_between(stored: InfluxQL) -> None:
    found = await read_surface(stored, "slow", (), "voltage", "mean", END - DAY, END)
    assert found.step >= 900
    assert np.isfinite(found.values[0, 1:-1]).all()


async def test_no_cells_and_too_many(stored: InfluxQL, monkeypatch: pytest.MonkeyPatch) -> None:
    none = await read_surface(stored, "nobody", (), "voltage", "mean", END - DAY, END)
    assert none.values.shape[0] == 0
    assert none.packed()[0].size == 0
    monkeypatch.setattr(surface, "MOST_CELLS", 21)
    with pytest.raises(TooManyCellsError, match="22 cells"):
        await read_surface(stored, "plant", (), "voltage", "mean", END - 300 * DAY, END - DAY)


@pytest.mark.parametrize("quantity", ["voltage", "deviation", "temperature"])
async def test_packing_keeps_what_can_be_told_apart(
    stored: InfluxQL, quantity: surface.Quantity
) -> None:
    since, until = END - 300 * DAY, END - DAY
    found = await read_surface(stored, "plant", (), quantity, "mean", since, until)
    integers, scale, offset = found.packed()
    values = np.where(integers == MISSING, np.nan, offset + scale * integers)
    assert (np.isnan(values) == np.isnan(found.values)).all()
    assert np.nanmax(np.abs(values - found.values)) <= scale / 2 + 1e-9
