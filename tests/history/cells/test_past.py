"""What is kept of a site's past between rounds, and what is made of it."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import pytest

from exporter.history.cells.analysis import judge
from exporter.history.cells.pack_cache import SitePast, _save, load
from exporter.history.cells.pack_grid import Grid, Known, PackHistory, PackPast, history_of
from exporter.history.cells.wear import DEPTHS, HEAT, MEANINGS, wear_lines
from exporter.model.cell_findings import FORMULA, SiteCells
from scoring.cells.cycles import DEPTH_EDGES, TEMPERATURE_EDGES
from tests.scoring.cells.packs import CAPACITY_AH, DAY, START, Pack
from tests.store.test_line_protocol import parse

STEP = 600
NAN = float("nan")


def grid(begin: float, cells: dict[str, list[tuple[float | None, float | None]]]) -> Grid:
    steps = max(len(values) for values in cells.values())
    made = Grid.empty(begin, STEP, steps)
    for label, values in cells.items():
        made.put_cell(label, [[(begin + n * STEP) * 1000, v, c] for n, (v, c) in enumerate(values)])
    made.put_battery([[begin * 1000, 12.5, 50.0, -600.0]])
    return made


def past() -> PackPast:
    old = grid(0.0, {"10": [(3.3, 20.0), (3.3004, None)], "2": [(None, -12.25), (3.299, 21.0)]})
    new = grid(1200.0, {"2": [(3.301, 22.0)], "3": [(5.0, 130.0)]})
    return PackPast(old, new, Known(97.0, 280.0))


def test_a_history_is_that_of_both_parts_with_cells_in_their_order() -> None:
    found = history_of("bms/1", past())
    assert found.labels == ("2", "3", "10")
    np.testing.assert_array_equal(found.t, [0.0, 600.0, 1200.0])
    np.testing.assert_allclose(
        found.voltages, [[NAN, NAN, 3.3], [3.299, NAN, 3.3004], [3.301, 5.0, NAN]], rtol=1e-7
    )
    np.testing.assert_allclose(
        found.temperatures, [[-12.25, NAN, 20.0], [21.0, NAN, NAN], [22.0, 130.0, NAN]]
    )
    np.testing.assert_array_equal(found.power_w, [-600.0, NAN, -600.0])


def test_what_is_kept_comes_back_and_what_is_damaged_is_nothing(tmp_path: Path) -> None:
    kept = SitePast(1.7e9, 1.7e9 - 5, {"bms/1": past(), "bms/2": past()})
    _save(tmp_path, "alpha", kept, whole=True)
    back = load(tmp_path, "alpha")
    assert back is not None
    assert (back.whole, back.seen, list(back.packs)) == (1.7e9, 1.7e9 - 5, ["bms/1", "bms/2"])
    for name in kept.packs:
        one, other = history_of(name, kept.packs[name]), history_of(name, back.packs[name])
        np.testing.assert_array_equal(one.voltages, other.voltages)
        np.testing.assert_array_equal(one.temperatures, other.temperatures)
        np.testing.assert_array_equal(one.current_a, other.current_a)
        assert one.known.soh_percent == other.known.soh_percent
        assert np.isnan(other.known.charged_kwh)
    assert load(tmp_path, "beta") is None
    files = sorted(tmp_path.iterdir())
    assert len(files) == 2
    for path in files:
        whole = path.read_bytes()
        for wrong in (b"", whole[:-9], b"x" + whole, whole[:40] + b"\0" + whole[41:]):
            path.write_bytes(wrong)
            assert load(tmp_path, "alpha") is None
        path.write_bytes(whole)
    # The newer part of a reading that the older part does not belong to.
    _save(tmp_path, "alpha", SitePast(1.8e9, 1.8e9, kept.packs), whole=False)
    assert load(tmp_path, "alpha") is None


def test_what_was_not_told_lately_is_what_it_was() -> None:
    newer = Known(NAN, NAN, 5000.0, NAN).over(Known(97.0, 280.0, 4000.0, NAN))
    assert (newer.soh_percent, newer.capacity_ah, newer.charged_kwh) == (97.0, 280.0, 5000.0)
    assert np.isnan(newer.discharged_kwh)
    assert not newer.whole


def history(known: Known) -> PackHistory:
    made = Pack(days=30, step=900.0, swing=(10.0, 90.0)).run()
    return PackHistory(
        pack="bms/1",
        labels=tuple(str(n + 1) for n in range(16)),
        step=900.0,
        t=made.t,
        voltages=made.voltages.astype(np.float32),
        temperatures=made.temperature.astype(np.float32),
        current_a=made.current,
        soc_percent=made.soc,
        power_w=made.current * 53.0,
        known=known,
    )


def test_the_estimate_stands_beside_the_reported_value_with_its_parts() -> None:
    last = START + 30 * DAY
    # 2.5 points a year.
    day = date.fromordinal(datetime.fromtimestamp(last, UTC).date().toordinal() - 730)
    volts = 16 * 3.2  # it rests near empty for longer
    energy = 200 * CAPACITY_AH * volts / 1000
    found = judge(history(Known(97.0, CAPACITY_AH, energy, energy)), ["bms/1"], day)
    assert found is not None
    assert found.health is not None
    assert (found.health.reported_percent, found.health.reported_class) == (97.0, "nominal")
    made = found.health.estimate
    assert made is not None
    assert (made.cycles_basis, made.formula) == ("counters", FORMULA)
    assert made.years == pytest.approx(2.0, abs=0.01)
    assert made.full_cycles == pytest.approx(200, rel=0.03)
    assert made.calendar == pytest.approx(5.0, abs=0.02)
    assert made.cycles == pytest.approx(7.0, rel=0.03)
    assert made.imbalance == 0.0
    assert made.percent == pytest.approx(88.0, abs=0.3)


def test_without_counters_the_use_seen_stands_for_the_whole_life() -> None:
    day = datetime.fromtimestamp(START - 335 * DAY, UTC).date()
    found = judge(history(Known(NAN, CAPACITY_AH)), ["bms/1"], day)
    assert found is not None
    assert found.health is not None
    made = found.health.estimate
    assert made is not None
    # 80 % down and up a day, of which 365 days.
    assert made.cycles_basis == "use seen"
    assert made.full_cycles == pytest.approx(0.8 * 365, rel=0.03)
    assert found.health.reported_percent is None


@pytest.mark.parametrize("day", [None, date(2031, 1, 1)])
def test_without_an_age_there_is_no_estimate(day: date | None) -> None:
    found = judge(history(Known(97.0, CAPACITY_AH)), ["bms/1"], day)
    assert found is not None
    assert found.health is not None
    assert found.health.estimate is None


def test_what_is_stored_of_an_analysis() -> None:
    pack = judge(history(Known(97.0, CAPACITY_AH, 5000.0, 4900.0)), ["bms/1"], date(2022, 1, 1))
    assert pack is not None
    (line,) = wear_lines(SiteCells("alpha", 1.7e9, (pack,)))
    point = parse(line)
    assert (point.measurement, point.stamp) == ("wear", 1_700_000_000_000)
    assert point.tags == {"site": "alpha", "pack": "bms/1"}
    assert set(point.fields) <= set(MEANINGS)
    assert pack.cycling is not None
    assert [point.fields[name] for name in DEPTHS] == list(pack.cycling.depth_counts)
    assert [point.fields[name] for name in HEAT] == list(pack.cycling.temperature_hours)
    # Sixteen cells for thirty days, at about 25 °C.
    assert sum(pack.cycling.temperature_hours) == pytest.approx(16 * 30 * 24, rel=0.01)
    warm = ("hours_15_to_20_c", "hours_20_to_25_c", "hours_25_to_30_c", "hours_30_to_35_c")
    assert {name for name in HEAT if point.fields[name]} <= set(warm)
    assert point.fields["soh_reported_percent"] == 97.0
    assert pack.health is not None
    assert pack.health.estimate is not None
    assert point.fields["soh_estimate_percent"] == pack.health.estimate.percent
    assert len(DEPTHS) == DEPTH_EDGES.size - 1
    assert len(HEAT) == TEMPERATURE_EDGES.size - 1
    assert list(HEAT)[:2] == ["hours_below_m10_c", "hours_m10_to_m5_c"]
    assert wear_lines(SiteCells("alpha", 1.7e9, fault="none")) == []


def test_hours_by_temperature_are_whole_where_it_is_stored_seldom() -> None:
    past = history(Known(97.0, CAPACITY_AH))
    past.temperatures[np.arange(past.t.size) % 4 != 0] = np.nan
    found = judge(past, ["bms/1"])
    assert found is not None
    assert found.cycling is not None
    assert sum(found.cycling.temperature_hours) == pytest.approx(16 * 30 * 24, rel=0.01)
