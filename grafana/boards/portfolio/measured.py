"""Of the controller's five: grid code and historian."""

from __future__ import annotations

from grafana_foundation_sdk.builders import text, trend
from grafana_foundation_sdk.builders.dashboard import Dashboard

from exporter.portfolio.measurements import TELEMETRY
from grafana.boards.portfolio.controller import INCOMPLETE, LEAST
from grafana.boards.portfolio.figures import (
    HOURS,
    PERCENT,
    board,
    by_band,
    by_day,
    marked,
    month,
    of_rows,
    site,
    to,
)
from grafana.kit import look
from grafana.kit.dashboard import choice_variable, page_variable
from grafana.kit.panels import Spec, colour, curve, dense, lines, note
from grafana.kit.portfolio import IN_RANGE, daily, empty, rows
from grafana.kit.queries import influx, influx_table
from grafana.kit.tables import Column, ordered, organized


def grid_code() -> Dashboard:
    """9: whether the plants do what the grid asks."""
    made = board("gridcode", currency=False)
    made.with_panel(
        of_rows(
            "Response by plant",
            "Mean accuracy against the contract's curve, the longest delay, and the share of the "
            "service's hours that was observed. From readings once a minute both are indicative.",
            "service with a response curve",
            [
                rows(
                    'mean("accuracy_percent") AS "accuracy", max("delay_s") AS "delay", '
                    'mean("coverage_percent") AS "seen", max("indicative") AS "indicative"',
                    "response",
                    by=("site", "service"),
                )
            ],
            [
                site("operations"),
                Column("service", "Service", 120),
                Column("accuracy", "Accuracy", 96, PERCENT, 2),
                Column("delay", "Longest delay", 110, "s", 0),
                Column("seen", "Observed", 92, PERCENT, 1),
                Column(
                    "indicative",
                    "Standing",
                    110,
                    mappings=[look.as_text({"1": "Indicative", "0": "Measured"})],
                ),
            ],
            size=(24, 6),
            order="accuracy",
            descending=False,
        )
    )
    made.with_panel(_answer_curve())
    made.with_panel(
        by_band(
            "Hours by voltage",
            "Hours in each band of 0.01 of the nominal voltage, added up over the chosen plants.",
            *("hours", "voltage", HOURS, (10, 10)),
        )
    )
    made.with_panel(
        of_rows(
            "Power by frequency, band by band",
            "Each month and band of 0.02 Hz: mean power above what was ordered, and what the "
            "contract's curve asks for.",
            "service with a response curve",
            [
                rows(
                    '"site", "service", "frequency_hz", "power_kw", "required_kw", "minutes"',
                    "frequency_curve",
                )
            ],
            [
                month(),
                site("operations"),
                Column("service", "Service", 96),
                Column("frequency_hz", "Frequency", 92, "suffix: Hz", 2),
                Column("power_kw", "Given", 96, "kwatt", 2),
                Column("required_kw", "Asked for", 96, "kwatt", 2),
                Column("minutes", "Observed", 88, "suffix: min", 0),
            ],
            size=(24, 9),
            order="frequency_hz",
            descending=False,
        )
    )
    return made.with_panel(
        by_day(
            "Accuracy by day",
            "1 less the mean distance from what the curve asks for, as a share of the contracted "
            "power.",
            "service with a response curve",
            [(daily('mean("accuracy_percent")', "response", by=("site",)), "$tag_site")],
            size=(24, 7),
            unit=PERCENT,
            decimals=2,
            line=True,
            low=0,
            high=100,
        )
    )


def _answer_curve() -> trend.Panel:
    spec = Spec(
        title="Power by frequency against the curve",
        description="Mean power above what was ordered, by frequency in bands of 0.02 Hz, and what "
        "the contract's curve asks for; the mean over the chosen plants and months. Choose one "
        "plant to see it alone.",
        size=(14, 10),
        unit="kwatt",
        empty=empty("service with a response curve"),
        decimals=0,
        colour=look.by_series(),
        targets=[
            influx_table(
                rows(
                    'last("frequency_hz") AS "hz", mean("power_kw") AS "given", '
                    'mean("required_kw") AS "asked"',
                    "frequency_curve",
                    by=("band",),
                )
            )
        ],
        transformations=[
            ordered("hz"),
            organized(
                {"hz": "Frequency", "given": "Given", "asked": "Asked for"}, ["Time", "band"]
            ),
        ],
        overrides={
            "Frequency": {"unit": "suffix: Hz", "decimals": 2},
            "Given": colour(look.ACCENT),
            "Asked for": colour(look.SECOND) | look.DASHED,
        },
    )
    return curve(spec, over="Frequency")


_INITIALS = {"soc": "SOC", "soh": "SOH"}


def _words(name: str) -> str:
    """A reading as the plots are headed: what it is, and its unit."""
    unit = TELEMETRY.fields[name].unit
    parts = name.split("_")
    if unit not in ("–", "1 or 0", "0 to 1"):
        parts.pop()
    if parts[0] in _INITIALS:
        return f"{_INITIALS[parts[0]]} ({unit})"
    said = " ".join(parts).replace("temperature max", "highest temperature").capitalize()
    return said if unit == "–" else f"{said} ({unit})"


_WORDS = {name: _words(name) for name in TELEMETRY.fields}
_HOW = [("Mean", "mean"), ("Lowest", "min"), ("Highest", "max"), ("Newest", "last")]


def historian() -> Dashboard:
    """10: any reading over any time, and out as a file."""
    made = board("historian", since="now-7d", currency=False)
    quantities = [(words, name) for name, words in _WORDS.items()]
    first = choice_variable("first", "Above", "Reading of the upper plot", quantities)
    turned = quantities[9:] + quantities[:9]
    second = choice_variable("second", "Below", "Reading of the lower plot", turned)
    how = choice_variable("how", "Of each interval", "What is shown of each interval", _HOW)
    for variable in (first, second, how, page_variable()):
        made.with_variable(variable)
    made.with_panel(_export())
    for name in ("first", "second"):
        spec = Spec(
            title=f"${{{name}:text}}",
            description="The chosen reading of each plant, in the unit that its name ends with. A "
            "gap is a time without readings.",
            size=(24, 8),
            unit=look.NUMBER,
            empty=empty("telemetry"),
            interval=LEAST,
            colour=look.by_series(),
            targets=[
                influx(
                    rows(
                        f'$how("${name}")',
                        "telemetry",
                        when=IN_RANGE,
                        by=("site",),
                        every="$__interval",
                    ).replace("fill(none)", "fill(null)"),
                    "$tag_site",
                )
            ],
        )
        made.with_panel(lines(spec))
    return made.with_panel(
        of_rows(
            "How complete the readings are",
            "Minutes that should have a reading and those that have, over the time range.",
            "telemetry",
            [
                rows(
                    'sum("expected") AS "expected", sum("received") AS "received", '
                    '100 * sum("received") / sum("expected") AS "whole"',
                    "quality",
                    by=("site",),
                )
            ],
            [
                site("controller"),
                Column("expected", "Expected", 110, "locale", 0),
                Column("received", "Received", 110, "locale", 0),
                marked(
                    "whole",
                    "Complete",
                    INCOMPLETE,
                    to("controller", "Site"),
                    unit=PERCENT,
                    decimals=2,
                ),
            ],
            size=(24, 6),
        )
    )


def _export() -> text.Panel:
    address = "${page}/api/v1/portfolio/telemetry?since=${__from:date:iso}&until=${__to:date:iso}"
    links = " · ".join(
        f'<a href="{address}&format={kind}">{kind.upper() if kind == "csv" else "Parquet"}</a>'
        for kind in ("csv", "parquet")
    )
    return note(
        "",
        "The exporter gives every reading of the time range, not the means that are plotted.",
        (24, 2),
        dense(f"All readings of all plants in this time range as a file: {links}", "13px"),
    )
