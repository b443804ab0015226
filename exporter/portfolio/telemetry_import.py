"""Files of plant telemetry into InfluxDB: whole columns at a time, bad rows kept aside."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TextIO
from zoneinfo import ZoneInfo

from exporter.model.text import spreadsheet_cell
from exporter.portfolio.column_source import ColumnMapping, ColumnSource, source_of
from exporter.portfolio.ledger_import import MOST_COLUMNS, TableFileError
from exporter.portfolio.ledger_rows import (
    BadRowError,
    HeadingsError,
    Notation,
    RowReader,
    places_of,
)
from exporter.portfolio.ledger_tables import ColumnType, LedgerColumn, LedgerTable
from exporter.portfolio.measurements import TELEMETRY
from exporter.store.line_protocol import tag

if TYPE_CHECKING:
    import pyarrow as pa

ROWS_AT_ONCE = 10_000
LARGEST_GROUP_BYTES = 512 * 1024 * 1024
MOST_KEPT_ASIDE = 100_000
_BLOCK_BYTES = 4 * 1024 * 1024

HEADINGS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "power_kw": ("p_kw", "p", "activepower", "activepowerkw"),
        "reactive_kvar": ("q_kvar", "q", "reactivepower"),
        "voltage_pu": ("v_pu", "v", "gridvoltagepu"),
        "frequency_hz": ("f_hz", "f", "frequency", "gridfrequency"),
        "controller_status": ("controllerstate", "controllerok"),
        "cooling_status": ("coolingstate", "coolingok"),
        "latency_ms": ("comms_latency_ms", "commslatency"),
        "drop_ratio": ("comms_drop_rate", "droprate"),
        "inverter_efficiency_percent": ("inverter_efficiency_pct", "inverterefficiency"),
        "soc_percent": ("soc_pct", "soc"),
        "soh_percent": ("soh_pct", "soh"),
        "temperature_c": ("temp_c_avg", "temperaturemean", "tempavg"),
        "temperature_max_c": ("temp_c_max", "temperaturemax", "tempmax"),
        "voltage_v": ("batteryvoltage", "dcvoltage"),
        "current_a": ("batterycurrent", "dccurrent"),
        "cycles": ("cycle_count", "cyclecount"),
    }
)
"""Headings of files for each field, beside its own name; compared as those of the ledger."""
LIMITS: Mapping[str, tuple[float, float]] = MappingProxyType(
    {
        "power_kw": (-1e7, 1e7),
        "reactive_kvar": (-1e7, 1e7),
        "voltage_pu": (0.0, 2.0),
        "frequency_hz": (40.0, 70.0),
        "controller_status": (0.0, 1.0),
        "cooling_status": (0.0, 1.0),
        "latency_ms": (0.0, 3.6e6),
        "drop_ratio": (0.0, 1.0),
        "inverter_efficiency_percent": (0.0, 100.0),
        "soc_percent": (0.0, 100.0),
        "soh_percent": (0.0, 110.0),
        "temperature_c": (-60.0, 200.0),
        "temperature_max_c": (-60.0, 200.0),
        "voltage_v": (0.0, 10_000.0),
        "current_a": (-1e6, 1e6),
        "cycles": (0.0, 1e6),
    }
)
"""What a reading can be; a row with another is not taken."""

_TABLE = LedgerTable(
    "telemetry",
    "Readings of plants",
    (
        LedgerColumn("site", headings=("siteid", "plant", "asset")),
        LedgerColumn("time", ColumnType.TIME, ("timestamp", "start", "datetime", "ts")),
        *(
            LedgerColumn(name, ColumnType.NUMBER, HEADINGS[name], default="")
            for name in TELEMETRY.fields
        ),
    ),
    key=("site", "time"),
    period="time",
)


@dataclass(slots=True)
class TelemetryRead:
    """What became of a file: rows that were taken, rows that were not, and some reasons."""

    rows: int = 0
    bad: int = 0
    reasons: list[str] = field(default_factory=list)
    first: float | None = None
    last: float | None = None
    sites: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class TelemetryBatch:
    """Lines of one site, with millisecond stamps, and how many."""

    site: str
    lines: bytes
    points: int


class TelemetryFile:
    """One file.

    Parameters
    ----------
    path : Path
        CSV or Parquet, told apart by its first bytes.
    mapping : ColumnMapping
        Where fields are that the usual names do not find.
    zone : ZoneInfo or None
        Of times without an offset.
    aside : Path or None
        Where bad rows are written.
    decimal : str or None
        Mark of numbers in text, see :class:`exporter.portfolio.ledger_rows.Notation`.
    """

    def __init__(
        self,
        path: Path,
        mapping: ColumnMapping,
        zone: ZoneInfo | None,
        aside: Path | None,
        decimal: str | None = None,
    ) -> None:
        self._path = path
        self._mapping = mapping
        self._notation = Notation(zone, decimal)
        self._aside = aside
        self._kept: TextIO | None = None
        self.read = TelemetryRead()

    def batches(self) -> Iterator[TelemetryBatch]:
        """Lines, some thousand at a time; :attr:`read` is complete after the last.

        Raises
        ------
        TableFileError
        HeadingsError
        """
        import pyarrow as pa

        number = 0
        try:
            for batch in self._arrow():
                yield from self._encoded(batch, number)
                number += batch.num_rows
        except pa.ArrowException as error:
            raise TableFileError(f"{self._path} cannot be read: {error}") from error
        except OSError as error:
            raise TableFileError(f"{self._path} cannot be read: {error.strerror}") from error
        finally:
            if self._kept is not None:
                self._kept.close()

    def _arrow(self) -> Iterator[pa.RecordBatch]:
        import pyarrow.csv as pv
        import pyarrow.parquet as pq

        with self._path.open("rb") as file:
            magic = file.read(4)
            head = file.readline(1024 * 1024)
        if magic == b"PAR1":
            parquet = pq.ParquetFile(self._path)
            about = parquet.metadata
            sizes = [about.row_group(n).total_byte_size for n in range(about.num_row_groups)]
            if about.num_columns > MOST_COLUMNS or max(sizes, default=0) > LARGEST_GROUP_BYTES:
                raise TableFileError(f"{self._path} has larger groups than are taken")
            yield from parquet.iter_batches(ROWS_AT_ONCE)
            return
        first = (magic + head).decode("utf-8-sig", "replace")
        separator = max(",;\t", key=first.count)
        names = [name.strip() for name in next(csv.reader([first], delimiter=separator), [])]
        if len(names) > MOST_COLUMNS or len(set(names)) < len(names):
            raise TableFileError(f"{self._path}: expected different headings in its first line")
        import pyarrow as pa

        reader = pv.open_csv(
            self._path,
            read_options=pv.ReadOptions(
                block_size=_BLOCK_BYTES, column_names=names, skip_rows=1, use_threads=False
            ),
            parse_options=pv.ParseOptions(delimiter=separator, newlines_in_values=False),
            # As text, so that a cell that is no number is a bad row and not the end of the file.
            convert_options=pv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=True
            ),
        )
        yield from reader

    def _encoded(self, batch: pa.RecordBatch, before: int) -> Iterator[TelemetryBatch]:
        import numpy as np
        import pyarrow as pa
        import pyarrow.compute as pc

        names = list(batch.schema.names)
        columns = _columns(names, self._mapping)
        try:
            good = _fast(batch, columns, self._mapping, self._notation)
        except (pa.ArrowException, ValueError):
            good = None
        if good is None:
            good = self._slow(batch, names, before)
        if good is None or not len(good["time"]):
            return
        self.read.rows += len(good["time"])
        lowest, highest = pc.min_max(good["time"]).values()
        first, last = lowest.as_py() / 1000, highest.as_py() / 1000
        self.read.first = first if self.read.first is None else min(self.read.first, first)
        self.read.last = last if self.read.last is None else max(self.read.last, last)
        sites = good["site"].dictionary_encode()
        codes = sites.indices.to_numpy(zero_copy_only=False)
        for code, site in enumerate(sites.dictionary.to_pylist()):
            self.read.sites.add(site)
            rows = pa.array(np.flatnonzero(codes == code))
            one = {name: values.take(rows) for name, values in good.items()}
            lines = _lines(site, one)
            if lines is not None:
                yield TelemetryBatch(site, *lines)

    def _slow(
        self, batch: pa.RecordBatch, names: Sequence[str], before: int
    ) -> dict[str, pa.Array] | None:
        """Row by row, so that bad ones can be named."""
        import pyarrow as pa

        reader = RowReader(_TABLE, names, self._mapping, self._notation)
        found: dict[str, list[Any]] = {column.name: [] for column in _TABLE.columns}
        columns = [column.to_pylist() for column in batch.columns]
        for number, cells in enumerate(zip(*columns, strict=True), before + 1):
            try:
                row = reader.row(cells)
                _check(row)
            except BadRowError as error:
                self._keep(number, str(error), names, cells)
                continue
            if all(row[name] is None for name in TELEMETRY.fields):
                continue
            for name, value in row.items():
                found[name].append(value)
        if not found["time"]:
            return None
        made: dict[str, pa.Array] = {"site": pa.array(found.pop("site"), pa.string())}
        made["time"] = pa.array([round(t * 1000) for t in found.pop("time")], pa.int64())
        for name, values in found.items():
            numbers = [None if v is None else float(v) for v in values]
            made[name] = pa.array(numbers, pa.float64())
        return made

    def _keep(self, number: int, reason: str, names: Sequence[str], cells: Sequence[Any]) -> None:
        self.read.bad += 1
        if len(self.read.reasons) < 5:
            self.read.reasons.append(f"row {number}: {reason}")
        if self._aside is None or self.read.bad > MOST_KEPT_ASIDE:
            return
        try:
            if self._kept is None:
                self._aside.mkdir(parents=True, exist_ok=True)
                path = self._aside / f"{self._path.name}.telemetry.csv"
                self._kept = path.open("w", newline="", encoding="utf-8")
                csv.writer(self._kept).writerow(["row", "reason", *map(spreadsheet_cell, names)])
            texts = ["" if cell is None else spreadsheet_cell(str(cell)) for cell in cells]
            csv.writer(self._kept).writerow([number, reason, *texts])
        except OSError as error:
            raise TableFileError(f"{self._aside} cannot be written: {error.strerror}") from error


def _check(row: Mapping[str, Any]) -> None:
    for name, (low, high) in LIMITS.items():
        value = row[name]
        if value is not None and not low <= value <= high:
            raise BadRowError(f"{name}: {value} is not within {low:g} and {high:g}")


def _columns(names: Sequence[str], mapping: ColumnMapping) -> dict[str, int]:
    """Place of each field's column in the file.

    Raises
    ------
    HeadingsError
    """
    found = places_of(_TABLE, names, mapping)
    fixed = {name for name in mapping if source_of(mapping, name).value is not None}
    missing = [name for name in ("site", "time") if name not in found and name not in fixed]
    if missing or not found.keys() & TELEMETRY.fields.keys():
        lacking = " and ".join(missing) or "any reading"
        raise HeadingsError(
            f"no column for {lacking}; the file has {', '.join(names) or 'none'}. "
            "Name them in a mapping file, such as 'power_kw: Active power'"
        )
    return found


def _sites(
    batch: pa.RecordBatch, columns: Mapping[str, int], source: ColumnSource
) -> pa.Array | None:
    """The site of each row; None where a row needs a look of its own."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if source.value is not None:
        values = pa.repeat(pa.scalar(source.value, pa.string()), batch.num_rows)
    else:
        values = batch.column(columns["site"])
        if isinstance(values, pa.DictionaryArray):
            values = values.dictionary_decode()
        values = values.cast(pa.string())
    if source.values:
        coded = values.dictionary_encode()
        texts = [source.translated(text) for text in coded.dictionary.to_pylist()]
        values = pa.array(texts, pa.string()).take(coded.indices)
    if values.null_count or not pc.all(pc.match_substring_regex(values, r"^[!-~]{1,64}$")).as_py():
        return None
    return values


def _numbers(values: pa.Array, source: ColumnSource, decimal: str | None) -> pa.Array:
    """A column of readings in the unit of its field; a cell that is none raises."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if source.values:
        raise ValueError("translated cells are read one by one")
    if decimal == "," and pa.types.is_string(values.type):
        if pc.any(pc.match_substring(values, ".")).as_py():
            raise ValueError("marks between thousands are read one by one")
        values = pc.replace_substring(values, ",", ".")
    floats = values.cast(pa.float64())
    if source.factor is not None:
        floats = pc.multiply(floats, float(source.factor))
    return pc.if_else(pc.is_finite(floats), floats, None)


def _fast(
    batch: pa.RecordBatch,
    columns: Mapping[str, int],
    mapping: ColumnMapping,
    notation: Notation,
) -> dict[str, pa.Array] | None:
    """Whole columns; None where a row needs a look of its own."""
    import pyarrow as pa
    import pyarrow.compute as pc

    found: dict[str, pa.Array] = {}
    values = _sites(batch, columns, source_of(mapping, "site"))
    if values is None or "time" not in columns:
        return None
    found["site"] = values
    times = batch.column(columns["time"])
    form = source_of(mapping, "time").format
    if form is not None and "%z" in form:
        return None
    if form is not None and pa.types.is_string(times.type):
        times = pc.strptime(times, format=form, unit="ms")
    elif pa.types.is_string(times.type):
        # With an offset it is a moment; without one the next step does not take it.
        times = times.cast(pa.timestamp("ms", "UTC"))
    if times.null_count or not pa.types.is_timestamp(times.type):
        return None
    if times.type.tz is None:
        if notation.zone is None:
            return None
        times = pc.assume_timezone(times, notation.zone.key)
    found["time"] = times.cast(pa.timestamp("ms", times.type.tz)).cast(pa.int64())
    bounds = pc.min_max(found["time"])
    if bounds["min"].as_py() < _FIRST_MS or bounds["max"].as_py() >= _LAST_MS:
        return None
    some = None
    for name in TELEMETRY.fields:
        if name not in columns:
            continue
        source = source_of(mapping, name)
        numbers = _numbers(batch.column(columns[name]), source, notation.decimal)
        low, high = LIMITS[name]
        here = pc.min_max(numbers)
        if here["min"].is_valid and not (
            low <= here["min"].as_py() and here["max"].as_py() <= high
        ):
            return None
        found[name] = numbers
        valid = pc.is_valid(numbers)
        some = valid if some is None else pc.or_(some, valid)
    # A minute without any reading is no point, and no mistake of the file either.
    return {name: values.filter(some) for name, values in found.items()}


_FIRST_MS, _LAST_MS = 631_152_000_000, 7_258_118_400_000
"""The years 1990 to 2199."""


def _lines(site: str, values: Mapping[str, pa.Array]) -> tuple[bytes, int] | None:
    import pyarrow as pa
    import pyarrow.compute as pc

    fields = []
    for name in TELEMETRY.fields:
        if name in values and values[name].null_count < len(values[name]):
            fields.append(
                pc.binary_join_element_wise(f"{name}=", values[name].cast(pa.string()), "")
            )
    if not fields:
        return None
    joined = pc.binary_join_element_wise(*fields, ",", null_handling="skip")
    stamps = values["time"].cast(pa.string())
    lines = pc.binary_join_element_wise(
        f"telemetry,site={tag(site)} ", joined, " ", stamps, "\n", ""
    )
    return "".join(lines.to_pylist()).encode(), len(lines)
