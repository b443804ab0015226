"""What is written is parsed back, by a parser that knows nothing of the writer."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.assess.assessment import assess
from exporter.collect.state import FleetState
from exporter.config.fleet import Fleet
from exporter.model.snapshot import BatterySnapshot, Cells, Outcome, Snapshot
from exporter.store.cell_cadence import CellStore
from exporter.store.line_protocol import assessment_lines, snapshot_lines, tag, text

nan = math.nan
TIME = 1_780_000_000.25
STAMP = 1_780_000_000_250


@dataclass(frozen=True)
class Point:
    measurement: str
    tags: dict[str, str]
    fields: dict[str, float | str]
    stamp: int


def _split(data: str, separator: str, *, quotes: bool = False) -> list[str]:
    """Split where the separator is neither escaped nor, among fields, inside quotes."""
    parts, current, quoted, index = [], "", False, 0
    while index < len(data):
        char = data[index]
        if quoted and char == "\\" and data[index + 1 : index + 2] in ('"', "\\"):
            current += data[index : index + 2]
            index += 2
            continue
        if not quoted and char == "\\" and data[index + 1 : index + 2] in (",", "=", " "):
            current += data[index : index + 2]
            index += 2
            continue
        if char == '"' and quotes:
            quoted = not quoted
        if char == separator and not quoted:
            parts.append(current)
            current = ""
        else:
            current += char
        index += 1
    return [*parts, current]


def _plain(escaped: str) -> str:
    for char in ",= ":
        escaped = escaped.replace("\\" + char, char)
    return escaped


def _value(written: str) -> float | str:
    if written.startswith('"'):
        assert written.endswith('"')
        inner, out, index = written[1:-1], "", 0
        while index < len(inner):
            if inner[index] == "\\" and inner[index + 1 : index + 2] in ('"', "\\"):
                index += 1
            else:
                assert inner[index] != '"'
            out += inner[index]
            index += 1
        return out
    assert not written.endswith(("i", "u")), "an integer field would clash with a float"
    number = float(written)
    assert math.isfinite(number)
    return number


def parse(line: str) -> Point:
    """One line, by the rules of InfluxDB's line protocol reference."""
    assert "\n" not in line
    assert "\r" not in line
    key, _, rest = _first_space(line)
    measurement, *tags = _split(key, ",")
    fields, _, stamp = rest.rpartition(" ")
    pairs = [field.split("=", 1) for field in _split(fields, ",", quotes=True)]
    split_tags = [_split(t, "=") for t in tags]
    assert all(len(pair) == 2 for pair in split_tags)
    found = {_plain(k): _plain(v) for k, v in split_tags}
    assert all(found.values()), "an empty tag value is refused"
    assert len(found) == len(tags)
    return Point(measurement, found, {k: _value(v) for k, v in pairs}, int(stamp))


def _first_space(line: str) -> tuple[str, str, str]:
    for index, char in enumerate(line):
        if char == " " and line[index - 1] != "\\":
            return line[:index], " ", line[index + 1 :]
    raise AssertionError("no fields")


def cleaned(value: str) -> str:
    """What may become of a tag value: line breaks and tabs, and backslashes at its end."""
    for char in "\n\r\t":
        value = value.replace(char, "_")
    return value.rstrip("\\") or "_"


NASTY = st.text(
    st.sampled_from(list(" ,=\"\\\n\r\té🔋ab'#")) | st.characters(exclude_categories=["Cs"]),
    max_size=12,
)


@given(NASTY, NASTY, NASTY)
def test_tags_come_back(site: str, device: str, name: str) -> None:
    snapshot = Snapshot(site, TIME, 0.5, Outcome.OK, alarms={device: {name: 2}})
    first, second = (parse(line) for line in snapshot_lines(snapshot))
    assert first.tags == {"site": cleaned(site)}
    assert second.tags == {
        "site": cleaned(site),
        "device": cleaned(device),
        "alarm": cleaned(name),
    }
    assert second.fields == {"level": 2.0}


@given(NASTY)
def test_texts_come_back(value: str) -> None:
    point = parse(f"m,a=b x=1.0,t={text(value)},y=2.0 5")
    assert point.fields["t"] == value.replace("\n", " ").replace("\r", " ")
    assert (point.fields["x"], point.fields["y"]) == (1.0, 2.0)


@given(NASTY, NASTY, st.floats(), st.floats())
def test_battery_readings_come_back(device: str, cell: str, volts: float, soc: float) -> None:
    battery = BatterySnapshot(
        device,
        True,
        {"soc_percent": soc, "voltage_v": 52.0},
        cell_min_id=cell,
        cells=Cells((cell,), (volts,), (nan,)),
    )
    snapshot = Snapshot("a", TIME, 0.5, Outcome.OK, batteries=(battery,))
    lines = snapshot_lines(snapshot) + CellStore(0.0, None, 0.0).lines(snapshot, every=False)
    points = [parse(line) for line in lines]
    kept = points[1].fields
    assert points[1].tags["device"] == cleaned(device)
    assert kept.get("soc_percent") == (soc if math.isfinite(soc) else None)
    assert kept["voltage_v"] == 52.0
    cells = [p for p in points if p.measurement == "cell"]
    if math.isfinite(volts):
        assert cells[0].fields == {"voltage_v": volts}
        assert cells[0].tags == {"site": "a", "pack": cleaned(device), "cell": cleaned(cell)}
    else:
        assert cells == []


@given(st.dictionaries(st.sampled_from(["grid_power_w", "pv_power_w"]), st.floats()))
def test_a_missing_reading_is_not_written(readings: dict[str, float]) -> None:
    snapshot = Snapshot("a", TIME, 0.5, Outcome.PARTIAL, readings=readings)
    (point,) = map(parse, snapshot_lines(snapshot))
    expected = {k: v for k, v in readings.items() if math.isfinite(v)}
    assert point.fields == {
        "online": 1.0,
        "scrape_seconds": 0.5,
        "outcome": "partial",
        **expected,
    }
    assert point.stamp == STAMP


@pytest.mark.parametrize("outcome", list(Outcome))
def test_online_and_offline_are_written(outcome: Outcome) -> None:
    (point,) = map(parse, snapshot_lines(Snapshot("a", TIME, 0.5, outcome)))
    assert point.measurement == "site"
    assert point.fields["online"] == (1.0 if outcome in (Outcome.OK, Outcome.PARTIAL) else 0.0)
    assert point.fields["outcome"] == outcome.value


def test_a_battery_without_readings_writes_no_line() -> None:
    battery = BatterySnapshot(
        "b", True, {"soc_percent": nan}, cells=Cells(("1", "2"), (nan, nan), (nan, nan))
    )
    lines = snapshot_lines(Snapshot("a", TIME, 0.5, Outcome.OK, batteries=(battery,)))
    assert [parse(line).measurement for line in lines] == ["site"]


@pytest.mark.parametrize("value", [0.0, -0.0, 5.0, 1e-7, 1e22, -3.25, 5e-324, 1.7e308])
def test_numbers_keep_every_bit(value: float) -> None:
    snapshot = Snapshot("a", TIME, 0.5, Outcome.OK, readings={"grid_power_w": value})
    (point,) = map(parse, snapshot_lines(snapshot))
    assert point.fields["grid_power_w"] == value


@pytest.mark.parametrize("value", ["", "\\", "\\\\\\"])
def test_a_tag_is_never_empty_nor_ends_in_a_backslash(value: str) -> None:
    assert tag(value) == "_"


def _state() -> FleetState:
    fleet = Fleet.model_validate(
        {
            "sites": [
                {"id": "low", "api_endpoint": "http://low.example.com"},
                {"id": "new", "api_endpoint": "http://new.example.com"},
            ]
        }
    )
    state = FleetState(fleet, 10.0)
    battery = BatterySnapshot("b", True, {"soh_percent": 65.0, "soc_percent": 60.0})
    state.apply(Snapshot("low", TIME, 0.1, Outcome.OK, batteries=(battery,)), 1000.0)
    return state


def test_an_assessment_writes_scores_and_issues() -> None:
    assessment = assess(_state(), 1000.0, TIME)
    points = [parse(line) for line in assessment_lines(assessment, [])]
    health = {p.tags["component"]: p.fields for p in points if p.measurement == "health"}
    assert all(p.tags["site"] == "low" for p in points), "nothing is known of the other one yet"
    assert {p.stamp for p in points} == {STAMP}
    assert health["battery"]["score"] == 50.0
    assert health["overall"]["score"] == 49.0
    assert "grid" not in health
    (issue,) = [p for p in points if p.measurement == "issue" and p.tags["code"] == "battery_soh"]
    assert issue.fields["active"] == 1.0
    assert issue.fields["severity"] == 3.0
    assert (issue.fields["value"], issue.fields["threshold"]) == (65.0, 70.0)
    assert issue.fields["deduction"] == 50.0
    assert health["overall"]["issue"] == issue.fields["sentence"]


def test_an_issue_that_is_gone_is_written_inactive() -> None:
    assessment = assess(_state(), 1000.0, TIME)
    issue = assessment.issues[0][0]
    points = [parse(line) for line in assessment_lines(assessment, [("gone", issue)])]
    (cleared,) = [p for p in points if p.tags["site"] == "gone"]
    assert cleared.measurement == "issue"
    assert cleared.fields["active"] == 0.0
    assert cleared.fields["sentence"] == issue.sentence
    away = replace(issue, sentence="No answer for 24 s (timeout: gave up after 2 s)", value=24.6)
    (point,) = [parse(x) for x in assessment_lines(assessment, [("gone", away)]) if "gone" in x]
    assert point.fields["sentence"] == "No answer (timeout: gave up after 2 s)"


def test_a_change_of_the_way_in_is_written_once() -> None:
    read = Snapshot("a b", TIME, 0.1, Outcome.OK, way="venus-http")
    assert snapshot_lines(read, "venus-mqtt")[1:] == [
        f'way_in,site=a\\ b text="Read over venus-http instead of venus-mqtt" {STAMP}'
    ]
    assert len(snapshot_lines(read, "venus-http")) == 1
    assert len(snapshot_lines(read)) == 1
