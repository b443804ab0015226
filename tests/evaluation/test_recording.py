"""A recording from its files to its tables, and what its reader says of mistakes."""

from __future__ import annotations

import csv
import math
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from exporter.cli.commands import app
from exporter.evaluation.findings import COLUMNS
from exporter.evaluation.recording import RecordingError, open_recording
from exporter.model.snapshot import Outcome

RULES = Path(__file__).parents[2] / "provisioning/prometheus/rules"
SITE = """\
  - id: {id}
    name: {name}
    location: Leeds
    api_endpoint: http://192.0.2.{number}
    battery_type: X
    capacity_kwh: 10
    solar_capacity_kw: 0
    priority: {priority}
    contact: {{name: Operations}}
"""
FLEET = (
    "sites:\n"
    + SITE.format(id="a", name="A", number=1, priority="high")
    + SITE.format(id="b", name="B", number=2, priority="low")
)
START = 1_750_000_000
LABELS = f"""\
site,from,until,fault,strength,codes,paging
a,{START + 1800},{START + 5400},hot battery,58 °C,battery_temperature,due
"""


def readings() -> str:
    lines = ["time,site,outcome,soc_percent,soh_percent,temperature_c,grid_connected"]
    for second in range(0, 7200, 60):
        hot = 58 if 1800 <= second < 5400 else 25
        lines.append(f"{START + second},a,ok,60,97,{hot},1")
        # The second site has no temperature and is not heard for two minutes.
        outcome = "timeout" if second in {600, 660} else "ok"
        lines.append(f"{START + second},b,{outcome},60,97,,1")
    return "\n".join(lines) + "\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "fleet.yaml").write_text(FLEET, "utf-8")
    (tmp_path / "labels.csv").write_text(LABELS, "utf-8")
    (tmp_path / "readings.csv").write_text(readings(), "utf-8")
    return tmp_path


def test_a_recording_becomes_snapshots(folder: Path) -> None:
    recording = open_recording(folder)
    assert recording.interval_seconds == 60
    moments = list(recording.moments())
    assert len(moments) == 120
    time, (first, second) = moments[10]
    assert time == START + 600
    assert (first.site, second.site) == ("a", "b")
    assert second.outcome is Outcome.TIMEOUT
    assert first.batteries[0].readings["temperature_c"] == 25
    empty = moments[0][1][1].batteries[0].readings["temperature_c"]
    assert math.isnan(empty)


def test_evaluate_finds_the_fault_and_accuses_nobody_else(folder: Path) -> None:
    result = CliRunner().invoke(app, ["evaluate", str(folder)])
    assert result.exit_code == 0, result.output
    assert "| hot battery | 58 °C | 1 | 1 | 1 min | 1 | 0 | 1 | 0 |" in result.output
    assert "| Fleetscope | 0.0 | 0 | 0 | 0 | – |" in result.output
    assert "Pages were not judged" in result.output


@pytest.mark.stack
def test_evaluate_judges_pages_by_the_real_rules(folder: Path) -> None:
    if shutil.which("promtool") is None:
        pytest.skip("promtool is not installed")
    result = CliRunner().invoke(app, ["evaluate", str(folder), "--rules", str(RULES)])
    assert result.exit_code == 0, result.output
    assert "| hot battery | 58 °C | 1 | 1 | 1 min | 1 | 2 | 1 | 0 |" in result.output
    assert "Pages were not judged" not in result.output


@pytest.mark.parametrize(
    ("name", "old", "new", "message"),
    [
        ("labels.csv", "battery_temperature", "battery_heat", "line 2: battery_heat is no code"),
        ("labels.csv", f"a,{START + 1800}", f"z,{START + 1800}", "no site 'z'"),
        ("labels.csv", str(START + 5400), "15.06.2025 17:00", "is no time; write 2026-03-01T12"),
        ("labels.csv", str(START + 5400), "2025-06-15T12:00", "has no time zone; write 2026-03-01"),
        ("labels.csv", str(START + 5400), f"{START + 5400}000", "divide milliseconds"),
        ("labels.csv", "battery_temperature", "battery_temprature", "mean battery_temperature?"),
        ("labels.csv", "due", "soon", "paging is one of due, allowed, wrong"),
        ("readings.csv", "soc_percent", "soc_per_cent", "soc_per_cent (did you mean soc_percent?)"),
        ("readings.csv", "soc_percent", "soh_percent", "column soh_percent stands twice"),
        ("readings.csv", "time,site", "time,place", "no column site; each row holds"),
        ("readings.csv", f"{START},a,ok,60", f'{START},a,ok,"60,5"', "write decimals with a point"),
        ("readings.csv", f"{START},a,ok,60", f"{START},a,ok,full", "soc_percent is 'full'"),
        ("readings.csv", f"{START},a,ok,60", f"{START},a,fine,60", "outcome is one of ok"),
        ("readings.csv", f"{START},a,ok,60", f"{START},a,ok,60,9", "not as many cells"),
        ("readings.csv", f"{START + 60},a", f"{START - 60},a", "times must ascend"),
        ("fleet.yaml", "priority: high", "priority: urgent", "fleet.yaml"),
    ],
)
def test_a_mistake_is_named_with_its_place(
    folder: Path, name: str, old: str, new: str, message: str
) -> None:
    path = folder / name
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), "utf-8")
    result = CliRunner().invoke(app, ["evaluate", str(folder)])
    assert result.exit_code == 1
    assert message in result.output
    assert name in result.output


def test_semicolons_are_named(folder: Path) -> None:
    (folder / "readings.csv").write_text(readings().replace(",", ";"), "utf-8")
    with pytest.raises(RecordingError, match="separated by semicolons"):
        open_recording(folder)


def test_all_mistakes_of_labels_are_named_at_once(folder: Path) -> None:
    wrong = f"c,{START},{START + 60},x,,battery_soc,\na,{START + 60},{START},y,,battery_soc,\n"
    (folder / "labels.csv").write_text(LABELS + wrong, "utf-8")
    with pytest.raises(RecordingError, match="line 3: the fleet file has no site 'c'") as caught:
        open_recording(folder)
    assert "line 4: a: y ends before it begins" in str(caught.value)


def test_a_value_outside_physics_is_kept_out_of_scores_and_counted(folder: Path) -> None:
    text = readings().replace(f"{START},a,ok,60,97,25", f"{START},a,ok,60,97,65535")
    (folder / "readings.csv").write_text(text, "utf-8")
    _, (first, _) = next(iter(open_recording(folder).moments()))
    assert math.isnan(first.batteries[0].readings["temperature_c"])
    assert [(wrong.quantity, wrong.value) for wrong in first.implausible] == [
        ("temperature_c", 65535)
    ]


def test_what_a_recording_lacks_is_named(folder: Path) -> None:
    lines = readings().splitlines()
    kept = [lines[0], *(x for x in lines[1:] if ",b," not in x and not _in_gap(x))]
    (folder / "readings.csv").write_text("\n".join(kept) + "\n", "utf-8")
    late = f"a,{START + 86400},{START + 90000},late,,battery_soc,\n"
    vague = f"a,{START + 60},{START + 600},noise,,,\n"
    (folder / "labels.csv").write_text(LABELS + late + vague, "utf-8")
    output = CliRunner().invoke(app, ["evaluate", str(folder)]).output
    assert "No site has a reading for 29 min of 2.0 h, in 1 gap, the longest of 30 min" in output
    assert "1 of 2 sites have no readings: b." in output
    assert "outside of it lie 1 of 3 labels: late of a" in output
    assert "1 of 3 labels name no codes, so that nothing can count as found: noise of a" in output


def _in_gap(line: str) -> bool:
    return 600 < int(line.partition(",")[0]) - START < 2400


@pytest.mark.parametrize("name", ["fleet.yaml", "labels.csv", "readings.csv"])
def test_a_missing_file_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(RecordingError, match=f"no {name}"):
        open_recording(folder)


def test_findings_are_listed_with_site_time_and_sentence(folder: Path) -> None:
    listed = folder / "findings.csv"
    result = CliRunner().invoke(app, ["evaluate", str(folder), "--findings", str(listed)])
    assert result.exit_code == 0, result.output
    with listed.open(encoding="utf-8", newline="") as file:
        found = list(csv.DictReader(file))
    assert [tuple(row) for row in found] == len(found) * [COLUMNS]
    right = [row for row in found if row["verdict"] == "right"]
    assert {row["site"] for row in right} == {"a"}
    assert all(row["sentence"] and row["from"].endswith("Z") for row in right)
    result = CliRunner().invoke(app, ["evaluate", str(folder), "--findings", str(folder)])
    assert result.exit_code == 1
    assert "fleetscope: " in result.output


def test_each_site_has_its_own_interval(folder: Path) -> None:
    kept = [
        line
        for line in readings().splitlines()
        if ",b," not in line or (int(line.partition(",")[0]) - START) % 900 == 0
    ]
    (folder / "readings.csv").write_text("\n".join(kept) + "\n", "utf-8")
    recording = open_recording(folder)
    assert [site.interval_seconds for site in recording.fleet.sites] == [60, 900]
    output = CliRunner().invoke(app, ["evaluate", str(folder)]).output
    assert "| Fleetscope | 0.0 | 0 | 0 | 0 | – |" in output


def test_sites_read_at_times_of_their_own_are_assessed_together(tmp_path: Path) -> None:
    """Thirty sites, each every five minutes at a second of its own."""
    names = [f"s{n:02}" for n in range(30)]
    sites = "".join(SITE.format(id=n, name=n, number=1, priority="low") for n in names)
    (tmp_path / "fleet.yaml").write_text("sites:\n" + sites, "utf-8")
    (tmp_path / "labels.csv").write_text("site,from,until,fault\n", "utf-8")
    rows = [
        f"{START + 300 * turn + 7 * number},{name},60"
        for turn in range(20)
        for number, name in enumerate(names)
    ]
    text = "\n".join(["time,site,soc_percent", *rows]) + "\n"
    (tmp_path / "readings.csv").write_text(text, "utf-8")
    moments = list(open_recording(tmp_path).moments())
    assert len(moments) <= 4 * 20 + 1
    taken = [(snapshot.time, snapshot.site) for _, group in moments for snapshot in group]
    assert len(taken) == len(rows)
    assert taken == sorted(taken)
    assert all(time == group[-1].time for time, group in moments)


def test_a_site_whose_readings_end_first_has_not_fallen_silent(folder: Path) -> None:
    def kept(line: str) -> bool:
        return ",b," not in line or int(line.partition(",")[0]) < START + 3600

    lines = [line for line in readings().splitlines() if kept(line)]
    (folder / "readings.csv").write_text("\n".join(lines) + "\n", "utf-8")
    output = CliRunner().invoke(app, ["evaluate", str(folder)]).output
    assert "| Fleetscope | 0.0 | 0 | 0 | 0 | – |" in output
    assert "The readings of 1 of 2 sites end before the recording does" in output
    assert "afterwards counts only under a label: b at 2025-06-15 16:05 UTC" in output
    silent = f"b,{START + 3600},{START + 7200},silent,,site_offline,\n"
    (folder / "labels.csv").write_text(LABELS + silent, "utf-8")
    output = CliRunner().invoke(app, ["evaluate", str(folder)]).output
    assert "| silent | – | 1 | 1 | " in output, output


def test_a_recorded_minimum_explains_a_low_charge(folder: Path) -> None:
    lines = readings().replace("ok,60,97", "ok,9.5,97").splitlines()
    plain = CliRunner().invoke(app, ["evaluate", str(folder)])
    (folder / "readings.csv").write_text("\n".join(lines) + "\n", "utf-8")
    low = CliRunner().invoke(app, ["evaluate", str(folder)])
    lines = [f"{lines[0]},minimum_soc_percent", *(f"{line},10" for line in lines[1:])]
    (folder / "readings.csv").write_text("\n".join(lines) + "\n", "utf-8")
    held = CliRunner().invoke(app, ["evaluate", str(folder)])
    said = [
        found.output.partition("| Fleetscope |")[2].partition("\n")[0]
        for found in (plain, low, held)
    ]
    assert ["`battery_soc`" in text for text in said] == [False, True, False], held.output


def test_the_step_of_a_frequency_is_seen_where_no_column_says_it(folder: Path) -> None:
    values = (50.0, 50.2, 49.8, 50.4, 49.6)
    lines = [
        f"{START + 60 * n},a,{values[n % 5]}\n{START + 60 * n},b,{50 + n % 3 / 100}"
        for n in range(12)
    ]
    (folder / "readings.csv").write_text(
        "time,site,grid_frequency_hz\n" + "\n".join(lines), "utf-8"
    )
    recording = open_recording(folder)
    steps = {
        site: [
            s.readings["grid_frequency_step_hz"]
            for _, m in recording.moments()
            for s in m
            if s.site == site
        ]
        for site in "ab"
    }
    assert math.isnan(steps["a"][3])
    assert steps["a"][4:] == [pytest.approx(0.2)] * 8
    assert all(map(math.isnan, steps["b"])), "a steady grid shows few values of any resolution"
    with_column = [f"{line.partition(chr(10))[0]},0.1" for line in lines]
    heading = "time,site,grid_frequency_hz,grid_frequency_step_hz\n"
    (folder / "readings.csv").write_text(heading + "\n".join(with_column), "utf-8")
    said = [
        s.readings["grid_frequency_step_hz"] for _, m in open_recording(folder).moments() for s in m
    ]
    assert said == [0.1] * 12


def test_a_steady_grid_over_vebus_shows_two_values_and_with_them_its_step(folder: Path) -> None:
    def steps(*values: float) -> list[float]:
        lines = [f"{START + 60 * n},a,{v}" for n, v in enumerate(values)]
        text = "time,site,grid_frequency_hz\n" + "\n".join(lines)
        (folder / "readings.csv").write_text(text, "utf-8")
        moments = open_recording(folder).moments()
        return [s.readings["grid_frequency_step_hz"] for _, m in moments for s in m]

    found = steps(50.103, 49.847, 50.103, 49.847, *[50.103] * 80)
    assert all(map(math.isnan, found[:3]))
    assert found[3:] == pytest.approx([0.254] * 81, abs=0.004), "what was seen once is known"
    lines = [f"{START + 60 * n},a,{v}," for n, v in enumerate([50.103, 49.847] * 3)]
    text = "time,site,grid_frequency_hz,grid_frequency_step_hz\n" + "\n".join(lines)
    (folder / "readings.csv").write_text(text, "utf-8")
    *_, (_, last) = open_recording(folder).moments()
    assert last[0].readings["grid_frequency_step_hz"] == pytest.approx(0.254, abs=0.004)
    # A counter whose clock is 2.5 % off.
    assert steps(49.92, 50.17, 49.92, 50.17)[-1] == pytest.approx(0.25, abs=0.01)
    # Off by a fault, or rounded to tenths: no steps of VE.Bus.
    assert all(map(math.isnan, steps(50.0, 49.3, 50.0, 49.3, 50.0, 49.3)))
    assert all(map(math.isnan, steps(50.0, 50.1, 50.0, 50.1)))
    assert all(map(math.isnan, steps(*[50.103] * 20)))


def test_the_span_of_a_recording_is_known_from_the_ends_of_its_file(folder: Path) -> None:
    assert open_recording(folder).span() == (START, START + 7140)
