"""Exports of utilities, inverters and loggers after public reports."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.history.importing.folders import checked

START = datetime(2025, 3, 3)
POWER = ("--unit", "meter.active_power_w=kW")
INTERVAL = ("--quantity", "meter.energy_import_kwh=meter.interval_import_kwh")


@pytest.fixture(autouse=True)
def _no_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("FLEETSCOPE_FLEET", raising=False)


def times(form: str, count: int = 96, minutes: int = 15) -> list[str]:
    return [(START + timedelta(minutes=minutes * n)).strftime(form) for n in range(count)]


def energies(count: int = 96) -> list[float]:
    """Energy per interval."""
    return [round(0.1 + n * 37 % 89 / 100, 3) for n in range(count)]


def lines(row: str, **columns: list[Any]) -> str:
    names = list(columns)
    rows = zip(*columns.values(), strict=True)
    return "".join(row.format(**dict(zip(names, values, strict=True))) + "\n" for values in rows)


def nem12(register: str, days: int, step: int) -> str:
    """Records of one register, as a retailer writes them, without a load time."""
    text = f"200,NMI1,E1E2,{register},{register},N1,METER1,KWH,{step},\n"
    for day in range(days):
        values = [f"{(n + day) % 3 / 10 + len(register):.3f}" for n in range(1440 // step)]
        text += f"300,{START + timedelta(days=day):%Y%m%d},{','.join(values)},A,,\n"
    return text


def quarters(first: int = 0) -> str:
    minutes = [m + first for m in range(0, 1440, 15)]
    return ";".join(f"{m // 60:02}:{m % 60:02}" for m in minutes)


def of_day(day: int, count: int) -> str:
    return ";".join(f"{n % 7},{day}" for n in range(count))


CLOCKS: dict[str, list[Any]] = {"d": times("%Y-%m-%d"), "c": times("%H:%M"), "v": energies()}
READ = {
    "rows of a bill before the table": (
        "m1_ae.csv",
        '"Name : X",,,,\n"Account: 1",,,,\n"Reading Start: 12/31/1969",,,,\n,,,,\n'
        '"Meter Number","Date","Start Time","Duration","Used (kWh)"\n'
        + lines(
            '"0000001","{d}","{c}","Hour","{v}"',
            d=times("%m/%d/%Y", 480, 60),
            c=times("%I:%M:%S %p", 480, 60),
            v=energies(480),
        ),
        INTERVAL,
        (480, "3 Mar 2025 00:00 Berlin: 0.1 kWh"),
    ),
    "headings of something else above": (
        "m1_ap.csv",
        "Identifiant;Type;Debut;Fin;Unite\n123;Courbe;01/03/2025;31/03/2025;W\nHorodate;Valeur\n"
        + lines("{t}+01:00;{v}", t=times("%Y-%m-%dT%H:%M:%S"), v=list(range(400, 496))),
        ("--unit", "meter.active_power_w=W"),
        (96, "3 Mar 2025 00:00 Berlin: 400 W"),
    ),
    "blanks behind separators": (
        "m1_ae.csv",
        "Consumption (kwh), Start, End\n"
        + lines("{v:.6f}, {t}+00:00, {t}+00:00", t=times("%Y-%m-%dT%H:%M:%S"), v=energies()),
        INTERVAL,
        (96, "3 Mar 2025 01:00 Berlin: 0.1 kWh"),
    ),
    "a price in another column": (
        "m1_ae.csv",
        "Name,J D\n\nTYPE,DATE,START TIME,END TIME,USAGE (kWh),COST\n"
        + lines("usage,{d},{c},{c},{v},$0.12", **CLOCKS),
        INTERVAL,
        (96, "3 Mar 2025 00:15 Berlin: 0.47 kWh"),
    ),
    "a column of row numbers": (
        "bms1_p1_v1.csv",
        ",time,value\n" + lines("{n},{t},3.31", n=list(range(96)), t=times("%Y-%m-%d %H:%M:%S")),
        (),
        (96, "3.31 V"),
    ),
    "formats in the row of units": (
        "m1_ae.csv",
        "sep=;\nVersion|Precision 3\n\n;SN: 2001\n;Counter\ndd.MM.yyyy HH:mm:ss;kWh\n"
        + lines("{t};{v},500", t=times("%d.%m.%Y %H:%M:%S"), v=list(range(1000, 1096))),
        (),
        (96, "3 Mar 2025 00:00 Berlin: 1,000.5 kWh"),
    ),
    "a table drawn with lines": (
        "m1_ap.csv",
        "| time | kW |\n|------|----|\n" + lines("| {t} | 1.5 |", t=times("%Y-%m-%d %H:%M:%S")),
        (),
        (96, "1,500 W"),
    ),
    "days as rows": (
        "m1_ap.csv",
        f"Tag;{quarters()}\n"
        + "".join(f"{START + timedelta(days=d):%d.%m.%Y};{of_day(d, 96)}\n" for d in range(4)),
        POWER,
        (384, "3 Mar 2025 00:15 Berlin: 1,000 W"),
    ),
    "days as rows that end with 24:00": (
        "m1_ap.csv",
        f"MPAN;Tag;{quarters(15)}\n"
        + "".join(f"12;{START + timedelta(days=d):%d/%m/%Y};{of_day(d, 96)}\n" for d in range(20)),
        POWER,
        (1920, "3 Mar 2025 00:15 Berlin: 0 W"),
    ),
    "hours as columns": (
        "m1_ap.csv",
        f"Tag;{';'.join(f'H{n}' for n in range(1, 25))}\n"
        + "".join(f"{START + timedelta(days=d):%d.%m.%Y};{of_day(d, 24)}\n" for d in range(4)),
        POWER,
        (96, "3 Mar 2025 01:00 Berlin: 1,000 W"),
    ),
    "NEM12 without its first record": (
        "m1_ae.csv",
        nem12("E1", 4, 30) + nem12("B1x", 4, 30),
        ("--where", "register=E1"),
        (192, "2 Mar 2025 15:00 Berlin: 2 kWh"),
    ),
    "NEM12 every five minutes": (
        "m1_ae_exp.csv",
        f"100,NEM12,200402070911,MDA1,Ret1\n{nem12('B1', 3, 5)}400,1,20,N14,32,\n900\n",
        (),
        (864, "2 Mar 2025 15:05 Berlin: 2.1 kWh"),
    ),
    "days of a spreadsheet": (
        "m1_ae.csv",
        "Datum;Stand kWh\n"
        + "".join(f"{45719 + n / 96:.6f};{500 + n}\n".replace(".", ",") for n in range(96)),
        ("--time-format", "excel"),
        (96, "3 Mar 2025 00:15 Berlin: 501 kWh"),
    ),
}
REFUSED = {
    "two registers": (
        "m1_ae.csv",
        "Zeit;OBIS;Wert;Einheit\n"
        + lines("{t};1.8.0;{v};kWh\n{t};2.8.0;7;kWh", t=times("%Y-%m-%d %H:%M"), v=energies()),
        (),
        "'OBIS' is 1.8.0, 2.8.0; say --where OBIS=1.8.0",
    ),
    "two registers of NEM12": (
        "m1_ae.csv",
        nem12("E1", 4, 30) + nem12("B1x", 4, 30),
        (),
        "'register' is E1, B1x; say --where register=E1",
    ),
    "a unit of something else": (
        "m1_ap.csv",
        "Zeit;Verbrauch\n;[Wh]\n" + lines("{t};{v}", t=times("%Y-%m-%d %H:%M"), v=energies()),
        (),
        "is in Wh, which is no unit of meter.active_power_w",
    ),
    "days of a spreadsheet that nobody named": (
        "m1_ae.csv",
        "Datum;Stand kWh\n" + "".join(f"{45719 + n / 96:.6f};{n}\n" for n in range(96)),
        (),
        "say --time-format excel",
    ),
    "several columns": (
        "m1_ae.csv",
        "Zeit;Bezug (kWh);Rest (kWh)\n"
        + lines("{t};{v};{v}", t=times("%Y-%m-%d %H:%M"), v=energies()),
        INTERVAL,
        "say --value-column, one of: Bezug (kWh), Rest (kWh)",
    ),
    "a web page": ("m1_ap.csv", "<html>\n<p>Session expired</p>\n</html>\n", (), "separator"),
    "a spreadsheet": ("m1_ap.csv", "PK\x03\x04" + "\x01\x02\xe9" * 500, (), "say --separator"),
}


def read(folder: Path, name: str, text: str, options: tuple[str, ...]) -> dict[str, Any]:
    (folder / name).write_text(text, "utf-8")
    given = ("--site", "s1", "--timezone", "Europe/Berlin", *options)
    report = checked(folder / name, *given)
    (found,) = report["files"]
    return {**found, "exit_code": report["exit_code"]}


@pytest.mark.parametrize("kind", sorted(READ))
def test_what_is_read(tmp_path: Path, kind: str) -> None:
    name, text, options, (readings, said) = READ[kind]
    found = read(tmp_path, name, text, options)
    assert (found["fault"], found["readings"], found["bad"]) == (None, readings, {})
    assert found["exit_code"] == 0
    (shown,) = found["first_readings"].values()
    assert any(said in reading for reading in shown), shown


@pytest.mark.parametrize("kind", sorted(REFUSED))
def test_what_is_refused_with_advice(tmp_path: Path, kind: str) -> None:
    name, text, options, said = REFUSED[kind]
    found = read(tmp_path, name, text, options)
    assert (found["exit_code"], found["readings"]) == (1, 0)
    assert said in found["fault"]


HISTORY = """
site: s1
files:
- match: history
  quantity: cell.voltage_v
  series: {cell: SERIES}
  tags: {pack: 'jk/1'}
"""


def test_entities_of_home_assistant(tmp_path: Path) -> None:
    rows = lines(
        "sensor.bms_cell_voltage_1,3.31{n},{t}Z\nsensor.bms_cell_voltage_2,unavailable,{t}Z",
        t=times("%Y-%m-%dT%H:%M:%S.123"),
        n=[n % 10 for n in range(96)],
    )
    head = "entity_id,state,last_changed\n"
    (tmp_path / "map.yaml").write_text(HISTORY.replace("SERIES", "entity_id"), "utf-8")
    (tmp_path / "history.csv").write_text(head + rows, "utf-8")
    report = checked(tmp_path / "history.csv", "--mapping", tmp_path / "map.yaml")
    (found,) = report["files"]
    assert (found["readings"], found["missing"], found["bad"]) == (96, 96, {})
    # With others among them, one must be chosen, and the rest is left out.
    others = lines("sensor.bms_temperature_1,21.5,{t}Z", t=times("%Y-%m-%dT%H:%M:%S.000"))
    (tmp_path / "history.csv").write_text(head + others + rows, "utf-8")
    (found,) = checked(tmp_path / "history.csv", "--mapping", tmp_path / "map.yaml")["files"]
    assert "its rows are of several kinds: sensor.bms_" in found["fault"]
    match = "{column: entity_id, match: 'sensor.bms_cell_voltage_{cell}'}"
    (tmp_path / "map.yaml").write_text(HISTORY.replace("SERIES", match), "utf-8")
    report = checked(tmp_path / "history.csv", "--mapping", tmp_path / "map.yaml")
    (found,) = report["files"]
    assert (found["readings"], found["left_out"], found["bad"]) == (96, 96, {})
    assert (found["rows"], report["exit_code"]) == (192, 0)


def test_registers_of_one_file_become_several_signals(tmp_path: Path) -> None:
    (tmp_path / "map.yaml").write_text(
        "site: s1\ntimezone: UTC\nfiles:\n"
        "- {match: '{meter}_obis', where: {OBIS: 1.8.0}, quantity: meter.energy_import_kwh}\n"
        "- {match: '{meter}_obis', where: {OBIS: 2.8.0}, quantity: meter.energy_export_kwh}\n",
        "utf-8",
    )
    rows = lines("{t};1.8.0;{v};kWh\n{t};2.8.0;7;kWh", t=times("%Y-%m-%d %H:%M"), v=list(range(96)))
    (tmp_path / "z1_obis.csv").write_text("Zeit;OBIS;Wert;Einheit\n" + rows, "utf-8")
    report = checked(tmp_path / "z1_obis.csv", "--mapping", tmp_path / "map.yaml")
    assert [(f["file"], f["readings"], f["left_out"]) for f in report["files"]] == [
        ("z1_obis.csv [OBIS=1.8.0]", 96, 96),
        ("z1_obis.csv [OBIS=2.8.0]", 96, 96),
    ]
    assert report["exit_code"] == 0


def test_a_heading_that_says_utc(tmp_path: Path) -> None:
    text = "Time (UTC),kW\n" + lines("{t},1.5", t=times("%Y-%m-%d %H:%M:%S"))
    path = tmp_path / "m1_ap.csv"
    path.write_text(text, "utf-8")
    for options in ((), ("--timezone", "UTC")):
        (found,) = checked(path, "--site", "s1", *options)["files"]
        assert found["fault"] is None
        (shown,) = found["first_readings"].values()
        assert shown[0] == "3 Mar 2025 00:00 UTC: 1,500 W"
    (found,) = checked(path, "--site", "s1", "--timezone", "Europe/Berlin")["files"]
    assert "is UTC by its heading 'Time (UTC)', and Europe/Berlin by --timezone" in found["fault"]
