"""Telemetry of plants as CSV or Parquet, a day at a time, so that neither side holds more."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime

from exporter.history.influxql import InfluxQL
from exporter.model.text import spreadsheet_cell
from exporter.portfolio.measurements import TELEMETRY
from exporter.portfolio.stored_figures import Rows, read_rows

DAY = 86_400.0
COLUMNS = ("time", "site", *TELEMETRY.fields)


async def days_of(
    stored: InfluxQL, sites: Sequence[str], start: float, end: float
) -> AsyncIterator[Rows]:
    """Readings of each site by day.

    Raises
    ------
    exporter.history.influxql.NoAnswerError
    """
    for site in sites:
        at = start
        while at < end:
            following = min(at + DAY, end)
            yield await read_rows(stored, TELEMETRY.name, at, following, {"site": [site]})
            at = following


async def as_csv(days: AsyncIterator[Rows]) -> AsyncIterator[bytes]:
    """CSV with the headings that the import knows; an empty cell is a missing reading."""
    yield (",".join(COLUMNS) + "\r\n").encode()
    async for rows in days:
        lines = []
        for row in rows:
            cells = [_moment(row["time"]), spreadsheet_cell(row["site"])]
            cells += ["" if row[f] is None else repr(row[f]) for f in TELEMETRY.fields]
            lines.append(",".join(cells) + "\r\n")
        if lines:
            yield "".join(lines).encode()


async def as_parquet(days: AsyncIterator[Rows]) -> AsyncIterator[bytes]:
    """Parquet, a row group a day; needs pyarrow."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    kinds = [("time", pa.timestamp("ms", "UTC")), ("site", pa.string())]
    schema = pa.schema([*kinds, *((name, pa.float64()) for name in TELEMETRY.fields)])
    sink = io.BytesIO()

    def taken() -> bytes:
        made = sink.getvalue()
        sink.seek(0)
        sink.truncate()
        return made

    # The writer asks its sink for the place; parts that were sent count on.
    output = pa.PythonFile(_Counting(sink), mode="w")
    with pq.ParquetWriter(output, schema, compression="zstd") as writer:
        async for rows in days:
            if not rows:
                continue
            columns: dict[str, object] = {
                "time": pa.array([round(row["time"] * 1000) for row in rows], kinds[0][1]),
                "site": [row["site"] for row in rows],
            }
            columns |= {name: [row[name] for row in rows] for name in TELEMETRY.fields}
            writer.write_table(pa.table(columns, schema))
            yield taken()
    yield taken()


class _Counting(io.RawIOBase):
    """A sink whose position goes on although its content is taken away."""

    def __init__(self, sink: io.BytesIO) -> None:
        self._sink = sink
        self._place = 0

    def writable(self) -> bool:
        return True

    def write(self, data: bytes) -> int:  # type: ignore[override]
        written = self._sink.write(data)
        self._place += written
        return written

    def tell(self) -> int:
        return self._place


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")[:23] + "Z"
