"""The roll-ups' part of the schema reference."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from exporter.history.rollups.fields import FIELDS
from exporter.model.levels import LEVELS, RAW_RANGE_DAYS
from exporter.model.quantities import KEPT, RollupKind

Table = Callable[[Iterable[str], Iterable[Iterable[object]]], str]

_MEANINGS = {
    RollupKind.MEASURED: "powers, frequency, currents, shares, scores",
    RollupKind.VOLTAGE: "voltages, with their 1st and 99th percentile",
    RollupKind.TEMPERATURE: "temperatures",
    RollupKind.FLAG: "severities and counts of what is wrong; never averaged",
    RollupKind.STATE: "states, alarms and flags; never averaged; and for each value `n` that it "
    "had, the seconds that it lasted, as `<field>_<n>_s`",
    RollupKind.COUNTER: "energy and cycle counters: by how much they grew, and their last reading; "
    "a reading on the edge of two windows belongs to the first",
    RollupKind.AMOUNT: "energy per interval: the sum of the intervals",
}


def parts(table: Table) -> list[str]:
    """Sections for the schema reference; ``table`` makes a Markdown table."""
    levels = [
        (
            f"`{x.name}`",
            x.bucket,
            "for ever" if x.retention == "inf" else x.retention,
            f"{x.range_days} days" if x.range_days else "any",
        )
        for x in LEVELS
    ]
    kinds = [
        (kind.value, ", ".join(f"`_{suffix}`" for suffix in kept), _MEANINGS[kind])
        for kind, kept in KEPT.items()
    ]
    fields = [
        (
            f"`{measurement}`",
            "; ".join(
                f"{kind.value}: {', '.join(names)}"
                for kind in RollupKind
                if (names := [f"`{n}`" for n, k in found.items() if k is kind])
            ),
        )
        for measurement, found in FIELDS.items()
    ]
    return [
        "## Roll-ups",
        "The same measurements and tags in retention policies (1.x) or buckets (2.x) of their own. "
        "A row is stamped with the beginning of its window; windows begin at multiples of their "
        "length since 1970-01-01 UTC, so a day is a day in UTC. How they are made: "
        "[rollups.md](rollups.md).",
        table(("level", "window", "kept by default", "read by plots up to"), levels),
        f"Full detail (`raw`) is read by plots of up to {RAW_RANGE_DAYS} days.",
        "Every field is the raw field's name with a suffix that says what it is:",
        table(("kind", "suffixes", "which"), kinds),
        "A power also has `<field>_wh`, its energy in Wh, and `<field>_seconds`, the part of the "
        "window of which that energy is known: a sample stands until the next one if that comes "
        "within 2.5 times the interval before it, and a gap has no energy. A counter has "
        "`<field>_glitches`, the number of bad samples, where there are any; they add nothing.",
        "Percentiles are interpolated linearly between order statistics (`quantile_cont` in SQL).",
        table(("measurement", "fields by kind"), fields),
        "Each row has `samples`, the number of values of full detail that it was made of. "
        "`battery` also has `cell_min_id` and `cell_max_id`: the id that the device gave at the "
        "first moment of the lowest and of the highest cell voltage.",
        "### `pack`: tags `site`, `pack`",
        "In roll-ups only, made of the single cells, imported ones too.",
        table(
            ("field", "unit", "meaning"),
            [
                ("`voltage_v_min`, `lowest_cell`", "V, text", "Lowest voltage, and whose it was"),
                ("`voltage_v_max`, `highest_cell`", "V, text", "Highest voltage, and whose it was"),
                (
                    "`voltage_v_median`",
                    "V",
                    "Median of the cells' mean voltages of the window",
                ),
                (
                    "`temperature_c_min`, `coldest_cell`",
                    "°C, text",
                    "Lowest temperature, and whose it was",
                ),
                (
                    "`temperature_c_max`, `hottest_cell`",
                    "°C, text",
                    "Highest temperature, and whose it was",
                ),
                (
                    "`spread_v_max`",
                    "V",
                    "Largest spread at one moment, of the moments at which nine tenths of the "
                    "pack's cells have a row of the same time",
                ),
                ("`samples`", "–", "Values of full detail"),
            ],
        ),
        "### `level`: tag `level`, in `rollup_1d`",
        "One row a day for each level, from which a dashboard picks the finest one that is meant "
        "for its range and reaches back to its beginning.",
        table(
            ("field", "unit", "meaning"),
            [
                ("`seconds`", "s", "Length of a window; 0 for `raw`"),
                ("`range_ms`", "ms", "Longest range that a plot reads at this level"),
                ("`kept_from_ms`", "ms", "From when on there is any, Unix time"),
                (
                    "`choice`",
                    "text",
                    "Name of the level, and the least interval of a plot there: of readings, of "
                    "single cells and of meters",
                ),
            ],
        ),
    ]
