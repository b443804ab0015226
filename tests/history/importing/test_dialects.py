"""Files as meters, utilities and loggers write them: found, or refused with both readings shown."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.history.importing.folders import checked, local_minutes, run

TIMES = local_minutes("2025-03-02T23:00", 96, step=15)
ENERGY = ("--unit", "meter.energy_import_kwh=kWh")
POWER = ("--unit", "meter.active_power_w=kW")


@pytest.fixture(autouse=True)
def _no_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("FLEETSCOPE_FLEET", raising=False)


def german(times: list[str]) -> list[str]:
    """``03.03.2025 00:15`` of ``2025-03-03 00:15:00``."""
    return [f"{t[8:10]}.{t[5:7]}.{t[:4]} {t[11:16]}" for t in times]


def read(path: Path, text: str | bytes, *options: str | Path) -> dict[str, Any]:
    """The report of one file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    given = ("--site", "s1", "--timezone", "Europe/Berlin", *options)
    report = checked(path, *given)
    (found,) = report["files"]
    return {**found, "exit_code": report["exit_code"]}


def first(found: dict[str, Any]) -> list[str]:
    """The first readings of the only signal."""
    assert found["fault"] is None
    (readings,) = found["first_readings"].values()
    return list(readings)


def table(head: str, rows: list[str], before: str = "", end: str = "\n") -> str:
    return end.join([*([before] if before else []), head, *rows, ""])


def counter(text: str) -> list[str]:
    """A counter from 995 on, as a format writes it."""
    return [text.format(995 + n) for n in range(96)]


@pytest.mark.parametrize(
    ("values", "options", "said"),
    [
        (counter("{:,}"), ("--decimal", "."), "1,000 kWh"),
        ([v.replace(",", ".") for v in counter("{:,}")], ("--decimal", ","), "1,000 kWh"),
        ([v.replace(",", ".") for v in counter("{:,}")], ("--decimal", "."), "1 kWh"),
        ([v.replace(",", "'") for v in counter("{:,}")], (), "1,000 kWh"),
        ([v.replace(",", "\u202f") for v in counter("{:,}")], (), "1,000 kWh"),
        ([v.replace(",", " ") for v in counter("{:,.1f}")], (), "1,000 kWh"),
        ([f"{995 + n:,}.5" for n in range(96)], (), "1,000.5 kWh"),
        (
            [f"{995 + n:,}.25".translate(str.maketrans(",.", ".,")) for n in range(96)],
            (),
            "1,000.25",
        ),
        (counter("{} kWh"), (), "1,000 kWh"),
        (counter("+{}"), (), "1,000 kWh"),
        (counter('="{}"'), (), "1,000 kWh"),
        (counter("{:.3f}"), (), "1,000 kWh"),
    ],
)
def test_thousands_signs_and_units(
    tmp_path: Path, values: list[str], options: tuple[str, ...], said: str
) -> None:
    rows = [f"{t};{v}" for t, v in zip(german(TIMES), values, strict=True)]
    found = read(tmp_path / "m1_ae.csv", table("Zeit;Stand [kWh]", rows), *options)
    assert (found["readings"], found["bad"], found["exit_code"]) == (96, {}, 0)
    readings = read(tmp_path / "m1_ae.csv", table("Zeit;Stand [kWh]", rows[5:]), *options)
    assert said in first(readings)[0]


@pytest.mark.parametrize("mark", [".", ","])
def test_a_number_with_two_readings_is_asked_for(tmp_path: Path, mark: str) -> None:
    values = [v.replace(",", mark) for v in counter("{:,}")]
    rows = [f"{t};{v}" for t, v in zip(german(TIMES), values, strict=True)]
    found = read(tmp_path / "m1_ae.csv", table("Zeit;Stand [kWh]", rows))
    assert found["exit_code"] == 1
    other = {".": ",", ",": "."}[mark]
    assert (
        f"1{mark}000 in line 7 may be 1 or 1,000, and nothing else in the column decides it; say "
        f"--decimal {mark} for 1 or --decimal {other} for 1,000" in found["fault"]
    )


def test_physics_and_other_columns_and_files_decide_a_number(tmp_path: Path) -> None:
    volts = [f"{t};3.{310 + n}" for n, t in enumerate(german(TIMES))]
    assert "3.31 V" in first(read(tmp_path / "bms1_p1_v1.csv", table("Zeit;U", volts)))[0]
    values = [v.replace(",", ".") for v in counter("{:,}")]
    rows = [f"{t};{v}" for t, v in zip(german(TIMES), values, strict=True)]
    # Another file of the same rule has decimal commas: then points divide thousands.
    folder = tmp_path / "in"
    (folder / "b").mkdir(parents=True)
    (folder / "m1_ae.csv").write_text(table("Zeit;Stand [kWh]", rows), "utf-8")
    commas = [
        f"{t};{n / 7:.2f}".replace(".", ",", 3).replace(",", ".", 2)
        for n, t in enumerate(german(TIMES))
    ]
    (folder / "b/m2_ae.csv").write_text(table("Zeit;Stand [kWh]", commas), "utf-8")
    report = checked(folder, "--site", "s1", "--timezone", "Europe/Berlin")
    assert [f["fault"] for f in report["files"]] == [None, None]
    readings = [line for f in report["files"] for line in f["first_readings"].values()]
    assert any("995 kWh" in line[0] for line in readings)
    assert report["files"][1]["last"] is not None


@pytest.mark.parametrize(
    "written", ["\u2212{}", "\u2013{}", "-{}", "{}-", "({})", "- {}", "\u2212{} kW"]
)
def test_signs(tmp_path: Path, written: str) -> None:
    rows = [f"{t};{written.format('4,660')}" for t in german(TIMES)]
    rows[1] = rows[1].split(";")[0] + ";0,5"
    found = read(tmp_path / "m1_ap.csv", table("Datum;P (kW)", rows))
    assert (found["readings"], found["exit_code"]) == (96, 0)
    assert first(found)[:2] == [
        "3 Mar 2025 00:00 Berlin: -4,660 W",
        "3 Mar 2025 00:15 Berlin: 500 W",
    ]


STAMPS = {
    "%d.%m.%Y %H:%M": german(TIMES),
    "compact": [t[:10].replace("-", "") + t[11:16].replace(":", "") for t in TIMES],
    "compact and clock": [f"{t[:10].replace('-', '')} {t[11:16].replace(':', '')}" for t in TIMES],
    "month names": [f"{int(t[8:10])}-Mar-2025 {t[11:16]}" for t in TIMES],
    "German month": [f"{int(t[8:10])}. März 2025 {t[11:16]}" for t in TIMES],
    "weekday": [f"Mo, {t}" for t in german(TIMES)],
    "dots in the clock": [t[:-3] + "." + t[-2:] for t in german(TIMES)],
    "interval": [f"{t} - {t[-5:]}" for t in german(TIMES)],
    "interval without blanks": [f"{t[:16]}-{t[11:16]}" for t in TIMES],
    "German interval without blanks": [f"{t}-{t[-5:]}" for t in german(TIMES)],
    "midnight of the day before": [
        t.replace("04.03.2025 00:00", "03.03.2025 24:00") for t in german(TIMES)
    ],
    "offset": [f"{t} +01:00" for t in german(TIMES)],
    "offset behind": [f"{t}+01:00" for t in german(TIMES)],
    "abbreviation": [f"{t} CET" for t in TIMES],
    "German abbreviation": [f"{t} MEZ" for t in german(TIMES)],
    "American": [
        f"03/{t[8:10]}/2025 {(int(t[11:13]) - 1) % 12 + 1}:{t[14:16]} {'AP'[t[11:13] > '11']}M"
        for t in local_minutes("2025-03-12T23:00", 96, step=15)
    ],
    "spreadsheet": [],
}


@pytest.mark.parametrize("kind", [k for k in STAMPS if STAMPS[k]])
def test_spellings_of_times(tmp_path: Path, kind: str) -> None:
    rows = [f"{t};{995 + n}" for n, t in enumerate(STAMPS[kind])]
    found = read(tmp_path / "m1_ae.csv", table("Zeit;Stand [kWh]", rows))
    assert (found["fault"], found["readings"], found["exit_code"]) == (None, 96, 0)
    day = 13 if kind == "American" else 3
    assert first(found)[1] == f"{day} Mar 2025 00:15 Berlin: 996 kWh"
    assert found["cadence"] == 900


def test_the_end_of_the_day_written_as_24(tmp_path: Path) -> None:
    times = german(local_minutes("2025-03-02T23:15", 96, step=15))
    assert times[-1] == "04.03.2025 00:00"
    times[-1] = "03.03.2025 24:00"
    rows = [f"{t};{995 + n}" for n, t in enumerate(times)]
    found = read(tmp_path / "m1_ae.csv", table("Zeit;Stand [kWh]", rows))
    assert (found["readings"], found["gaps"], found["longest_gap"]) == (96, 0, 0)


@pytest.mark.parametrize(
    ("summer", "winter"), [("{}A", "{}B"), ("{} S", "{} W"), ("{} CEST", "{} CET")]
)
def test_letters_mark_the_two_hours_at_the_end_of_summer_time(
    tmp_path: Path, summer: str, winter: str
) -> None:
    times = local_minutes("2025-10-25T22:00", 100, step=15)
    marked = []
    for n, time in enumerate(times):
        twice = time[11:13] == "02" or "C" in summer
        marked.append((summer if n < 12 else winter).format(time) if twice else time)
    # The order of the rows says nothing here.
    rows = sorted(f"{t};{1000 + n}" for n, t in enumerate(marked))
    found = read(tmp_path / "m1_ae.csv", table("Zeit;Stand [kWh]", rows))
    assert (found["readings"], found["bad"], found["gaps"]) == (100, {}, 0)


def test_offsets_to_the_west_are_no_intervals(tmp_path: Path) -> None:
    for written in ("{} -05:00", "{}-05:00", "{} UTC-5", "{} (UTC-05:00)"):
        rows = [f"{written.format(t)};{995 + n}" for n, t in enumerate(german(TIMES))]
        found = read(tmp_path / "m1_ae.csv", table("Zeit;Stand [kWh]", rows))
        assert first(found)[0] == "3 Mar 2025 06:00 Berlin: 995 kWh", written


def test_an_abbreviation_of_several_zones_is_asked_for(tmp_path: Path) -> None:
    rows = [f"{t} CST;{995 + n}" for n, t in enumerate(TIMES)]
    found = read(tmp_path / "m1_ae.csv", table("Zeit;Stand [kWh]", rows))
    assert "CST of '2025-03-03 00:00:00 CST' is the abbreviation of several" in found["fault"]
    found = read(
        *(tmp_path / "m1_ae.csv", table("Zeit;Stand [kWh]", rows)),
        *("--timezone", "America/Chicago"),
    )
    assert first(found)[0] == "3 Mar 2025 00:00 Chicago: 995 kWh"


def test_day_and_month_are_decided_by_the_whole_file(tmp_path: Path) -> None:
    # The first 64 KiB hold the first days of a month only, each the same in both readings.
    same = [
        f"05/05/2025 {h:02}:{m:02}:{s:02};1"
        for h in range(24)
        for m in range(60)
        for s in (0, 20, 40)
    ]
    late = [f"13/05/2025 {h:02}:00:00;1" for h in range(24)]
    text = table("Zeit;P [kW]", same)
    assert len(text) > 1 << 16
    found = read(tmp_path / "m1_ap.csv", text)
    assert "may be 5 May 2025 00:00" in found["fault"]
    found = read(tmp_path / "m1_ap.csv", table("Zeit;P [kW]", same + late))
    assert (found["fault"], found["bad"]) == (None, {})
    # A neighbour of the same rule decides as well.
    (tmp_path / "in").mkdir()
    (tmp_path / "in/m1_ap.csv").write_text(text, "utf-8")
    (tmp_path / "in/m2_ap.csv").write_text(table("Zeit;P [kW]", late), "utf-8")
    report = checked(tmp_path / "in", "--site", "s1", "--timezone", "UTC")
    assert [f["fault"] for f in report["files"]] == [None, None]


def test_days_that_follow_each_other_prove_the_order(tmp_path: Path) -> None:
    rows = [f"{d:02}/03/2025 {h:02}:00;{d * 24 + h}" for d in range(1, 6) for h in range(24)]
    found = read(tmp_path / "m1_ae.csv", table("Zeit;Stand [kWh]", rows))
    assert first(found)[0] == "1 Mar 2025 00:00 Berlin: 24 kWh"


BEFORE = {
    "customer": "Kunde;Muster AG\nVertrag;4711\nVon;03.03.2025\n",
    "plain": "Lastgang\nZeitraum: 03.03.2025 bis 04.03.2025\n",
    "as wide": "Zaehlpunkt;AT0012345\nNetzbetreiber;Stadtwerke\n",
    "comment": "# export of a logger\n",
    "quoted": '"Bericht";"Lastgang"\n\n"erstellt";"04.03.2025 08:00"\n',
    "number": "Kundennummer;100200\n",
}


@pytest.mark.parametrize("before", sorted(BEFORE))
def test_what_stands_before_the_headings(tmp_path: Path, before: str) -> None:
    rows = [f"{t};{n / 4:.2f}".replace(".", ",", 9) for n, t in enumerate(TIMES)]
    found = read(tmp_path / "m1_ap.csv", table("Zeit;Leistung [kW]", rows, BEFORE[before]))
    assert (found["fault"], found["rows"], found["readings"], found["bad"]) == (None, 96, 96, {})
    assert first(found)[1] == "3 Mar 2025 00:15 Berlin: 250 W"


@pytest.mark.parametrize(
    ("head", "row", "readings"),
    [
        ("Datum;Von;Bis;8591824000017", "{d};{c};{e};{v}", 96),
        ("Zeit;P [kW]", "{t};{v};;;", 96),
        ("Zeit;P [kW];;", "{t};{v}", 96),
        ("Zeit;P [kW];", "{t};{v};", 96),
        ("Zeit;P\n[dd.mm.yyyy];[kW]", "{t};{v}", 96),
        ("Zeit;P\n;kW", "{t};{v}", 96),
        ("Zeit;P [kW]\n-----;-----", "{t};{v}", 96),
        ("Zeit;Status;P [kW]", "{t};W;{v}", 96),
        ("Einheit;Zeit;Wert", "kW;{t};{v}", 96),
    ],
)
def test_headings_units_and_separators_behind(
    tmp_path: Path, head: str, row: str, readings: int
) -> None:
    rows = [
        row.format(t=t, d=t[:10], c=t[11:], e=t[11:], v=f"{n / 4:.2f}".replace(".", ","))
        for n, t in enumerate(german(TIMES))
    ]
    options = POWER if "kW" not in head + row else ()
    found = read(tmp_path / "m1_ap.csv", table(head, rows), *options)
    assert (found["fault"], found["readings"], found["bad"]) == (None, readings, {})
    assert first(found)[1] == "3 Mar 2025 00:15 Berlin: 250 W"


def test_the_line_of_the_headings_can_be_said(tmp_path: Path) -> None:
    rows = [f"{t};{n}" for n, t in enumerate(german(TIMES))]
    text = "a;b\n" + table("Zeit;P [kW]", rows, "2025;x\n")
    found = read(tmp_path / "m1_ap.csv", text, "--skip-lines", "3")
    assert (found["readings"], found["bad"]) == (96, {})


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "cp1252"])
def test_encodings_without_a_mark(tmp_path: Path, encoding: str) -> None:
    rows = [f"{t};1 00{n % 10},5".replace(" 00", "\xa000") for n, t in enumerate(german(TIMES))]
    text = table("Zeit;Zähler (kW) - Verbräuche", rows)
    found = read(tmp_path / "m1_ap.csv", text.encode(encoding))
    assert (found["readings"], found["bad"]) == (96, {})
    assert first(found)[0].endswith("1,000,500 W")


def test_energy_per_interval_is_no_counter(tmp_path: Path) -> None:
    rows = [f"{t};0,{(n * 37) % 89:03}" for n, t in enumerate(german(TIMES))]
    text = table("Zeit;Verbrauch [kWh]", rows)
    found = read(tmp_path / "m1_ae.csv", text)
    assert found["exit_code"] == 1
    option = "meter.energy_import_kwh=meter.interval_import_kwh"
    assert (
        f"a counter does not fall; if they are energy per interval, say --quantity {option}"
        in (found["fault"])
    )
    found = read(tmp_path / "m1_ae.csv", text, "--quantity", option)
    assert (found["readings"], found["signals"]) == (96, ["meter.interval_import_kwh meter=m1"])


def test_a_counter_that_drops_and_returns(tmp_path: Path) -> None:
    values = [float(100_000 + n) for n in range(96)]
    values[10], values[40:43], values[60] = 0, [0, 0, 0], 4294967.3
    rows = [f"{t};{v}" for t, v in zip(TIMES, values, strict=True)]
    found = read(tmp_path / "m1_ae.csv", table("time;value_kWh", rows))
    assert found["bad"] == {"a counter that leaves its course and returns: a bad sample": 5}
    assert (found["readings"], found["resets"], found["exit_code"]) == (91, 0, 0)
    reset = [*values[:5], 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0]
    rows = [f"{t};{v}" for t, v in zip(TIMES, reset, strict=False)]
    found = read(tmp_path / "m1_ae.csv", table("time;value_kWh", rows))
    assert (found["readings"], found["bad"], found["resets"]) == (12, {}, 1)


@pytest.mark.parametrize(
    ("rows", "share", "said"),
    [
        ([f"{t},n{n}x" if n % 2 else f"{t},1.5" for n, t in enumerate(TIMES)], 0.5, "--decimal"),
        ([f"{t},off" for t in TIMES], 1.0, "--value-column"),
        ([f"{t},-" for t in TIMES], 1.0, "--value-column"),
        ([f"{t if n % 4 else 'noon'},1.5" for n, t in enumerate(TIMES)], 0.25, "--time-format"),
        ([f"{t},1.5{',' * (n % 2)}" for n, t in enumerate(TIMES)], 0.5, "--separator"),
    ],
)
def test_an_import_that_read_less_than_it_should_is_no_success(
    tmp_path: Path, rows: list[str], share: float, said: str
) -> None:
    path = tmp_path / "bms1_p1_v1.csv"
    found = read(path, table("time,value", rows))
    if found["fault"] is None:
        assert (found["exit_code"], found["shortfall"]) == (3, share)
        result = run(path, "--check", "--site", "s1", "--timezone", "Europe/Berlin")
        assert result.exit_code == 3
        assert f"{share:.0%} of its rows could not be read" in result.stdout
        assert said in result.stdout


def test_a_check_shows_the_first_readings(tmp_path: Path) -> None:
    rows = [f"{t};{995 + n}" for n, t in enumerate(german(TIMES))]
    path = tmp_path / "m1_ae.csv"
    path.write_text(table("Zeit;Stand [kWh]", rows), "utf-8")
    result = run(path, "--check", "--site", "s1", "--timezone", "Europe/Berlin")
    shown = " ".join(result.stdout.split())
    assert (
        "First readings, as they would be stored: s1 meter.energy_import_kwh meter=m1: "
        "3 Mar 2025 00:00 Berlin: 995 kWh; 3 Mar 2025 00:15 Berlin: 996 kWh; "
        "3 Mar 2025 00:30 Berlin: 997 kWh" in shown
    )


def test_what_was_right_stays_so(tmp_path: Path) -> None:
    commas = [f"{t},3,{300 + n}" for n, t in enumerate(TIMES)]
    found = read(tmp_path / "bms1_p1_v1.csv", table("time,value", commas))
    assert "2 headings and the rows have 3 fields" in found["fault"]
    blank = [f" {t}:00; {t}:30;99{n % 10},5;" for n, t in enumerate(german(TIMES))]
    text = table("Beginn;Schluss;Zählerstand (kWh) - Bezug;", sorted(blank)).encode("latin-1")
    assert read(tmp_path / "m1_ap.csv", text)["fault"] is not None  # a power in kWh
    zoned = [f"{t[:10]}T{t[11:16]}+01:00;QH;KWH;{995 + n},0" for n, t in enumerate(TIMES)]
    found = read(tmp_path / "m1_ae.csv", "\ufeff" + table("Ende;Intervall;Einheit;Stand", zoned))
    assert first(found)[0] == "3 Mar 2025 00:00 Berlin: 995 kWh"
    times = german(local_minutes("2025-10-25T22:00", 100, step=15))
    newest = [f"{t};{1000 + n}" for n, t in enumerate(times)][::-1]
    found = read(tmp_path / "m1_ae.csv", table("Datum;Stand_kWh", newest))
    assert (found["readings"], found["gaps"], found["repeated"]) == (100, 0, 8)
    by_clock = sorted(newest)
    found = read(tmp_path / "m1_ae.csv", table("Datum;Stand_kWh", by_clock))
    reason = "local time exists twice, and nothing says which of the two it is"
    assert (found["readings"], found["bad"]) == (92, {reason: 8})
