"""Portfolio · Home: each persona's own three dashboards, and all fourteen by suite."""

from __future__ import annotations

from itertools import groupby

from grafana_foundation_sdk.builders import text
from grafana_foundation_sdk.builders.dashboard import Dashboard

from grafana.boards.portfolio.figures import (
    ABOVE_ZERO,
    BELOW_ZERO,
    MONEY,
    board,
    figures,
)
from grafana.kit import look
from grafana.kit.catalogue import Entry, catalogue, homes
from grafana.kit.panels import note
from grafana.kit.portfolio import IN_RANGE, rows, summed


def build() -> Dashboard:
    """The dashboard."""
    made = board("home")
    made.with_panel(
        figures(
            "To date",
            "Over the time range and the chosen plants. Click for the dashboard that explains a "
            "figure.",
            "portfolio",
            [
                ("Revenue", summed("amount", "revenue"), MONEY, 0, "cockpit", None),
                (
                    "Against budget",
                    rows('sum("amount") - sum("budget")', "revenue"),
                    *(MONEY, 0, "cockpit", BELOW_ZERO),
                ),
                ("Lost", summed("lost", "potential"), MONEY, 0, "losses", None),
                (
                    "Open disputes",
                    rows('sum("open")', "dispute", when=IN_RANGE),
                    *(look.NUMBER, 0, "settlement", ABOVE_ZERO),
                ),
                ("Owed", summed("owed", "sla"), MONEY, 0, "evidence", ABOVE_ZERO),
            ],
            9,
        )
    )
    made.with_panel(_personas())
    return made.with_panel(_suites())


def _link(entry: Entry) -> str:
    name = entry.title.partition(" · ")[2]
    return f'<a href="/d/{entry.uid}?${{__url_time_range}}&${{site:queryparam}}">{name}</a>'


def _personas() -> text.Panel:
    lines = "".join(
        _line(f"<b>{persona.capitalize()}:</b> " + " · ".join(_link(entry) for entry in entries))
        for persona, entries in homes().items()
    )
    return note("", "Find yourself: these three are yours.", (7, 15), lines)


def _suites() -> text.Panel:
    suites = [entry for entry in catalogue().values() if entry.suite is not None]
    lines = "".join(
        _line(f"<b>{suite}</b>")
        + "".join(_line(f"{_link(entry)}: {entry.decision}") for entry in of_suite)
        for suite, of_suite in groupby(suites, key=lambda entry: entry.suite)
    )
    return note("", "All fourteen, by suite.", (12, 20), lines)


def _line(content: str) -> str:
    """A line that wraps on a phone, where a table would have to be scrolled sideways."""
    return f'<p style="margin: 0 0 6px">{content}</p>'
