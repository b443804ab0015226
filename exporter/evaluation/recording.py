"""A past that somebody else recorded: a folder with a fleet file, readings and labels, as CSV.

``fleet.yaml`` is a fleet file. ``readings.csv`` has columns ``time`` and ``site``, further ones
named after quantities of the glossary, and optionally ``outcome`` of the scrape. ``labels.csv`` has
columns ``site``, ``from``, ``until`` and ``fault``, and optionally ``strength``, ``codes``,
``tolerated``, ``paging`` and ``innocent``. An empty cell is a value that the device did not give;
a value outside physics, such as 65535 for "not available", is kept out of scores and counted.
Without a ``grid_frequency_step_hz`` the step of a site's frequency is what its values show.
"""

from __future__ import annotations

import csv
import difflib
import math
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import groupby
from pathlib import Path

import numpy as np

from exporter.config.fleet import Fleet
from exporter.config.fleet_file import load_fleet
from exporter.drivers import DRIVERS
from exporter.evaluation.labels import Label, Paging
from exporter.model.frequency_step import SAMPLES, smallest_step, vebus_step
from exporter.model.quantities import BATTERY_QUANTITIES, QUANTITIES, SITE_QUANTITIES
from exporter.model.snapshot import MISSING, BatterySnapshot, Implausible, Outcome, Snapshot
from scoring.rules import BY_CODE

READINGS, LABELS = "readings.csv", "labels.csv"
FLEET_FILES = ("fleet.yaml", "fleet.yml", "fleet.json")
BATTERY = "battery/recorded"
SAMPLED_ROWS = 20_000
MOMENTS_OF_AN_INTERVAL = 4
MOST_MISTAKES = 20
"""Of labels that one message names."""
LATEST_SECONDS = 1e11
"""Of Unix time, in the year 5138: a larger number counts milliseconds."""
_STEP = "grid_frequency_step_hz"
_TAIL_BYTES = 65536
_KEYS = ("time", "site", "outcome")
_TRUE = {"yes", "true", "1"}
_FALSE = {"", "no", "false", "0"}


class RecordingError(Exception):
    """A recording cannot be read; the text names file and line, and what would be right."""


@dataclass(frozen=True, slots=True)
class Recording:
    """A folder that holds a recording.

    Attributes
    ----------
    fleet : Fleet
    labels : tuple of Label
    interval_seconds : float
        Usual time from one reading of a site to its next, the median of all sites; that of each is
        in ``fleet``.
    """

    folder: Path
    fleet: Fleet
    labels: tuple[Label, ...]
    interval_seconds: float

    def moments(self) -> Iterator[tuple[float, list[Snapshot]]]:
        """What came together in the file: Unix seconds of the last, and the Snapshots, ascending.

        Sites that are each read at a time of their own come together in a quarter of the shortest
        interval: nothing is assessed once for every reading, as it is not in the service.

        Raises
        ------
        RecordingError
        """
        known = {site.id for site in self.fleet.sites}
        shortest = min(site.interval_seconds or self.interval_seconds for site in self.fleet.sites)
        slot = shortest / MOMENTS_OF_AN_INTERVAL
        rows = _ascending(_snapshots(self.folder / READINGS, known))
        for _, group in groupby(rows, key=lambda snapshot: snapshot.time // slot):
            snapshots = list(group)
            yield snapshots[-1].time, snapshots

    def span(self) -> tuple[float, float]:
        """First and last time of the readings, Unix seconds, from the ends of the file alone; NaN
        where these cannot be read."""
        with (self.folder / READINGS).open("rb") as file:
            heading = file.readline().decode("utf-8-sig", "replace")
            first = file.readline().decode("utf-8", "replace")
            file.seek(max(file.seek(0, 2) - _TAIL_BYTES, 0))
            last = file.read().decode("utf-8", "replace").strip().rpartition("\n")[2]
        found = []
        for line in (first, last):
            cells = dict(
                zip(*(next(csv.reader([text]), []) for text in (heading, line)), strict=False)
            )
            try:
                found.append(_time(cells.get("time", "").strip(), READINGS))
            except RecordingError:
                found.append(MISSING)
        return found[0], found[1]


def _ascending(rows: Iterable[tuple[int, Snapshot]]) -> Iterator[Snapshot]:
    before = -math.inf
    for line, snapshot in rows:
        if snapshot.time < before:
            raise RecordingError(
                f"{READINGS}, line {line}: times must ascend; sort the file by time"
            )
        before = snapshot.time
        yield snapshot


def open_recording(folder: Path) -> Recording:
    """Read fleet and labels of a recording, and how often it has readings.

    Raises
    ------
    RecordingError
        Something is missing or wrong.
    exporter.config.positions.FleetFileError
        Its fleet file is wrong.
    """
    fleet_file = next((folder / n for n in FLEET_FILES if (folder / n).is_file()), None)
    if fleet_file is None:
        raise RecordingError(f"{folder}: no {FLEET_FILES[0]}; it names the sites of the recording")
    for name in (READINGS, LABELS):
        if not (folder / name).is_file():
            raise RecordingError(f"{folder}: no {name}")
    fleet = load_fleet(fleet_file, DRIVERS)
    known = {site.id for site in fleet.sites}
    labels = _labels(folder / LABELS, known)
    usual = _intervals(folder / READINGS, known)
    interval = float(np.median(list(usual.values())))
    sites = tuple(
        site.model_copy(update={"interval_seconds": usual.get(site.id, interval)})
        for site in fleet.sites
    )
    return Recording(folder, fleet.model_copy(update={"sites": sites}), labels, interval)


def _intervals(path: Path, known: set[str]) -> dict[str, float]:
    """Median time between readings of each site, in the first rows of a file."""
    last: dict[str, float] = {}
    gaps: dict[str, list[float]] = {}
    for index, (_, snapshot) in enumerate(_snapshots(path, known)):
        if snapshot.site in last:
            gaps.setdefault(snapshot.site, []).append(snapshot.time - last[snapshot.site])
        last[snapshot.site] = snapshot.time
        if index >= SAMPLED_ROWS:
            break
    if not gaps:
        raise RecordingError(f"{path.name}: no site has two readings")
    found = {site: float(np.median(times)) for site, times in gaps.items()}
    if min(found.values()) <= 0:
        raise RecordingError(f"{path.name}: times must ascend; sort the file by time")
    return found


def _rows(path: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """Each row with its file and line."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file, strict=True)
        try:
            _check_heading(path.name, reader.fieldnames)
            for row in reader:
                where = f"{path.name}, line {reader.line_num}"
                if None in row or None in row.values():
                    raise RecordingError(f"{where}: not as many cells as headings")
                yield where, {key.strip(): value.strip() for key, value in row.items()}
        except (csv.Error, UnicodeDecodeError) as error:
            raise RecordingError(f"{path.name}, line {reader.line_num}: {error}") from error


def _check_heading(name: str, columns: Sequence[str] | None) -> None:
    if not columns:
        raise RecordingError(f"{name}: the file is empty; its first line names the columns")
    if len(columns) == 1 and ";" in columns[0]:
        raise RecordingError(
            f"{name}: columns are separated by semicolons; separate them by commas, and write "
            "decimals with a point"
        )
    twice = sorted({column for column in columns if columns.count(column) > 1})
    if twice:
        raise RecordingError(f"{name}: column {twice[0]} stands twice")


def _snapshots(path: Path, known: set[str]) -> Iterator[tuple[int, Snapshot]]:
    quantities: tuple[str, ...] | None = None
    seen: defaultdict[str, _Frequencies] = defaultdict(_Frequencies)
    for number, (where, row) in enumerate(_rows(path), start=2):
        if quantities is None:
            quantities = _quantities(row, where)
        snapshot = _snapshot(row, where, known, quantities)
        # Another site of the file may have a column for it.
        if math.isnan(snapshot.readings.get(_STEP, MISSING)):
            snapshot = _with_step(snapshot, seen[snapshot.site])
        yield number, snapshot


@dataclass(slots=True)
class _Frequencies:
    """The latest frequencies of a site, and the step that they showed last, Hz."""

    latest: deque[float] = field(default_factory=lambda: deque(maxlen=SAMPLES))
    step_hz: float = MISSING

    def step_with(self, hertz: float) -> float:
        """The step, after one more frequency; that of VE.Bus first, as drivers know it."""
        self.latest.append(hertz)
        for step in (vebus_step(self.latest), smallest_step(self.latest)):
            if not math.isnan(step):
                self.step_hz = step
                break
        return self.step_hz


def _with_step(snapshot: Snapshot, seen: _Frequencies) -> Snapshot:
    """A Snapshot with the step of its frequency, where it has one."""
    hertz = snapshot.readings.get("grid_frequency_hz", MISSING)
    if math.isnan(hertz):
        return snapshot
    return replace(snapshot, readings={**snapshot.readings, _STEP: seen.step_with(hertz)})


def _quantities(row: Mapping[str, str], where: str) -> tuple[str, ...]:
    for key in ("time", "site"):
        if key not in row:
            raise RecordingError(
                f"{where}: no column {key}; each row holds the readings of one site at one time"
            )
    names = tuple(name for name in row if name not in _KEYS)
    unknown = [name for name in names if name not in QUANTITIES]
    if unknown:
        hints = ", ".join(f"{name}{_near(name, QUANTITIES)}" for name in unknown)
        raise RecordingError(
            f"{where}: no quantity of the glossary (docs/glossary.md): {hints}; rename the columns "
            "or leave them out"
        )
    return names


def _near(name: str, known: Iterable[str]) -> str:
    """The known name that somebody may have meant, in brackets."""
    near = difflib.get_close_matches(name.lower(), known, n=1, cutoff=0.6)
    return f" (did you mean {near[0]}?)" if near else ""


def _snapshot(
    row: Mapping[str, str], where: str, known: set[str], quantities: Iterable[str]
) -> Snapshot:
    site = _known_site(row["site"], where, known)
    values = {name: _number(row[name], name, where) for name in quantities}
    impossible = tuple(
        Implausible(BATTERY if name in BATTERY_QUANTITIES else "site", name, value)
        for name, value in values.items()
        if not math.isnan(value) and not QUANTITIES[name].plausible(value)
    )
    values |= {wrong.quantity: MISSING for wrong in impossible}
    battery = {name: value for name, value in values.items() if name in BATTERY_QUANTITIES}
    try:
        outcome = Outcome(row.get("outcome") or Outcome.OK)
    except ValueError:
        known_outcomes = ", ".join(Outcome)
        raise RecordingError(f"{where}: outcome is one of {known_outcomes}") from None
    return Snapshot(
        site=site,
        time=_time(row["time"], where),
        duration=0.0,
        outcome=outcome,
        readings={name: value for name, value in values.items() if name in SITE_QUANTITIES},
        batteries=(BatterySnapshot(BATTERY, True, battery),) if battery else (),
        implausible=impossible,
    )


def _labels(path: Path, known: set[str]) -> tuple[Label, ...]:
    """All labels of a file; all mistakes in it at once."""
    labels, mistakes = [], []
    for where, row in _rows(path):
        try:
            labels.append(_label(row, where, known))
        except RecordingError as error:
            mistakes.append(str(error))
    if mistakes:
        more = len(mistakes) - MOST_MISTAKES
        shown = mistakes[:MOST_MISTAKES] + ([f"and {more} more"] if more > 0 else [])
        raise RecordingError("\n".join(shown))
    return tuple(labels)


def _label(row: Mapping[str, str], where: str, known: set[str]) -> Label:
    for key in ("site", "from", "until", "fault"):
        if not row.get(key):
            raise RecordingError(f"{where}: no {key}")
    given = row.get("paging", "")
    try:
        paging = Paging(given) if given else Paging.ALLOWED
    except ValueError:
        raise RecordingError(f"{where}: paging is one of {', '.join(Paging)}") from None
    try:
        return Label(
            site=_known_site(row["site"], where, known),
            fault=row["fault"],
            begin=_time(row["from"], where),
            end=_time(row["until"], where),
            strength=row.get("strength", ""),
            codes=_codes(row.get("codes", ""), where),
            tolerated=_codes(row.get("tolerated", ""), where),
            paging=paging,
            innocent=_flag(row.get("innocent", ""), where),
        )
    except ValueError as error:
        raise RecordingError(f"{where}: {error}") from error


def _codes(text: str, where: str) -> frozenset[str]:
    codes = frozenset(text.split())
    for code in sorted(codes):
        if code not in BY_CODE:
            raise RecordingError(
                f"{where}: {code} is no code of an issue{_near(code, BY_CODE)}; see docs/scoring.md"
            )
    return codes


def _flag(text: str, where: str) -> bool:
    if text.lower() not in _TRUE | _FALSE:
        raise RecordingError(f"{where}: innocent is yes or no")
    return text.lower() in _TRUE


def _known_site(site: str, where: str, known: set[str]) -> str:
    if site not in known:
        raise RecordingError(f"{where}: the fleet file has no site {site!r}{_near(site, known)}")
    return site


def _number(text: str, name: str, where: str) -> float:
    if not text:
        return MISSING
    try:
        value = float(text)
    except ValueError:
        value = math.inf
    if math.isinf(value):
        raise RecordingError(
            f"{where}: {name} is {text!r}, which is no number; write decimals with a point, and "
            "leave a cell empty where the device gave nothing"
        )
    return value


def _time(text: str, where: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        pass
    else:
        if not 0 <= seconds < LATEST_SECONDS:
            raise RecordingError(f"{where}: {text} is no time in Unix seconds; divide milliseconds")
        return seconds
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None:
        raise RecordingError(
            f"{where}: {text!r} is no time; write 2026-03-01T12:00:00Z or Unix seconds"
        )
    if moment.tzinfo is None:
        raise RecordingError(
            f"{where}: {text!r} has no time zone; write 2026-03-01T12:00:00+01:00 or, in UTC, "
            "2026-03-01T12:00:00Z"
        )
    return moment.timestamp()
