"""The reference of the InfluxDB schema, from the tables of quantities."""

from __future__ import annotations

from exporter.cli.energy_reference import energy_parts
from exporter.cli.markdown import page, table
from exporter.cli.portfolio_reference import portfolio_parts
from exporter.history.cells.wear import MEANINGS as WEAR_MEANINGS
from exporter.history.rollups.schema import parts as rollup_parts
from exporter.model.quantities import METER_QUANTITIES, ROWS, Measurement


def influxdb() -> str:
    """Reference of the InfluxDB schema."""

    def fields(measurement: Measurement) -> list[tuple[str, str, str]]:
        return [
            (f"`{q.name}`", q.unit or "–", q.meaning) for q in ROWS if q.measurement is measurement
        ]

    head = ("field", "unit", "meaning")
    seconds = "seconds since 1970-01-01 UTC"
    return page(
        "InfluxDB schema",
        "Database `fleet`, retention policy `raw` in InfluxDB 1.x; bucket `fleet/raw` in 2.x, "
        "where a mapping lets InfluxQL use the same two names. Another name than `fleet` is set by "
        "`FLEETSCOPE_INFLUXDB_DATABASE`, and for Grafana as `dbName` in "
        "`provisioning/grafana/datasources/fleetscope.yml`. Tags are stable ids, never names. "
        "Every numeric field is a float. Points are stamped with the time of receipt in UTC, in "
        "milliseconds. A missing or implausible reading is not written.",
        "## `site`: tag `site`",
        table(
            head,
            [
                ("`online`", "–", "1 if the scrape gave readings, else 0; written every time"),
                ("`outcome`", "text", "How the scrape ended, as in [metrics.md](metrics.md)"),
                ("`scrape_seconds`", "s", "Duration of the scrape"),
                *fields(Measurement.SITE),
            ],
        ),
        "## `battery`: tags `site`, `device`",
        "A device is its class and instance, such as `battery/512`.",
        table(
            head,
            [
                *fields(Measurement.BATTERY),
                ("`cell_min_id`", "text", "Id of the lowest cell, as the device writes it"),
                ("`cell_max_id`", "text", "Id of the highest cell, as the device writes it"),
            ],
        ),
        "## `cell`: tags `site`, `pack`, `cell`",
        "Written where the device publishes single cells; `pack` is the battery's `device`. Once "
        "a minute (`FLEETSCOPE_CELL_SECONDS`), and at every scrape while the site has a cell "
        "issue; the extremes of a pack are in `battery` at every scrape. With a dead-band, rows "
        "within it are left out and counted by the next one, and the last of them is written with "
        "its own time before a change and before a gap: a stretch without rows that no `left_out` "
        "accounts for is a gap. At least one row in five minutes is written.",
        table(
            head,
            [
                ("`voltage_v`", "V", "Cell voltage"),
                ("`temperature_c`", "°C", "Cell temperature"),
                (
                    "`left_out`",
                    "–",
                    "Rows since the one before that a dead-band left out; absent without any",
                ),
            ],
        ),
        "## `meter`: tags `site`, `meter`",
        "Meters of Venus sites, SunSpec meters and sites of the kind `meter`, and what "
        "[`fleetscope import`](import.md) reads of meters.",
        table(head, [(f"`{q.name}`", q.unit or "–", q.meaning) for q in METER_QUANTITIES.values()]),
        "## `wear`: tags `site`, `pack`",
        "What the hourly [analysis of cells](cells.md) says of the use and health of a pack.",
        table(head, [(f"`{name}`", unit, said) for name, (unit, said) in WEAR_MEANINGS.items()]),
        "## `alarm`: tags `site`, `device`, `alarm`",
        table(head, [("`level`", "–", "0 ok, 1 warning, 2 alarm, as the device says")]),
        "## `health`: tags `site`, `component`",
        table(
            head,
            [
                ("`score`", "–", "0 to 100; `component` is one of the four, or `overall`"),
                (
                    "`status`",
                    "–",
                    "`overall` only: 0 HEALTHY, 1 GOOD, 2 WARNING, 3 CRITICAL, 4 OFFLINE",
                ),
                ("`rank`", "–", "`overall` only: place in the order of attention, from 1"),
                ("`coverage`", "–", "`overall` only: share of the wanted inputs that were given"),
                ("`issue`", "text", "`overall` only: the worst issue in words, empty without one"),
                ("`code`", "text", "`overall` only: the code of that issue, empty without one"),
                ("`since`", "s", f"`overall` only: when that issue began, {seconds}"),
            ],
        ),
        "## `issue`: tags `site`, `code`",
        table(
            head,
            [
                ("`active`", "–", "1 while it is active; written once as 0 when it ends"),
                ("`severity`", "–", "1 info, 2 warning, 3 critical"),
                ("`value`", "its own", "The value that was judged"),
                ("`threshold`", "its own", "The limit that it crossed"),
                ("`deduction`", "points", "What it takes from its component's 100"),
                ("`sentence`", "text", "The issue in words"),
                ("`since`", "s", f"When it began, {seconds}"),
            ],
        ),
        "## `order`: tags `site`, `source`, `state`",
        "A point for each row of the [journal of orders](dispatch.md).",
        table(
            head,
            [
                ("`wanted_w`", "W", "Power that was ordered, positive when charging"),
                ("`allowed_w`", "W", "Power that limits left of it"),
                ("`measured_w`", "W", "Battery power that was measured, where the row has one"),
                ("`written_w`", "W", "Set-point that was written, where the row has one"),
                ("`order`, `dispatch`", "text", "Ids of the order and of its request"),
                ("`action`, `issuer`, `actor`, `reason`", "text", "What, by whom, and why"),
            ],
        ),
        "## `event`: tag `kind`",
        table(
            head, [("`text`", "text", "What the exporter did: `start`, or `reload` of the file")]
        ),
        "## `way_in`: tag `site`",
        table(head, [("`text`", "text", "That a site is read by another of its ways in")]),
        *energy_parts(),
        *portfolio_parts(),
        *rollup_parts(table),
    )
