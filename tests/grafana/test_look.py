"""Colours, contrast, empty states: what can be read off the JSON of every dashboard."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from grafana.generate import all_panels, dashboards
from grafana.kit import look
from grafana.kit.dashboard import IDS_ONLY
from scoring.status import Status

MADE = dashboards()
PANELS = [
    pytest.param(panel, id=f"{uid}: {panel['title']}")
    for uid, dashboard in MADE.items()
    for panel in all_panels(dashboard)
    if panel["type"] not in ("row", "text")
]
EACH = pytest.mark.parametrize("panel", PANELS)
TABLES = [
    pytest.param(panel, id=f"{uid}: {panel['title']}")
    for uid, dashboard in MADE.items()
    for panel in all_panels(dashboard)
    if panel["type"] == "table"
]
EACH_TABLE = pytest.mark.parametrize("panel", TABLES)
LEAST_CONTRAST = 4.5
BRIGHT = 180  # above this brightness Grafana writes black, below it white
WHITE, BLACK = "#f7f8fa", "#202226"
PURPLE_HUES = range(255, 325)


def luminance(colour: str) -> float:
    """Relative luminance, 0 to 1 (WCAG 2.2)."""
    parts = [int(colour[n : n + 2], 16) / 255 for n in (1, 3, 5)]
    red, green, blue = (p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    """Contrast ratio of two colours, from 1 (WCAG 2.2)."""
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def written_on(colour: str) -> str:
    """The colour of text that Grafana chooses for a background."""
    red, green, blue = (int(colour[n : n + 2], 16) for n in (1, 3, 5))
    return BLACK if (red * 299 + green * 587 + blue * 114) / 1000 > BRIGHT else WHITE


def test_the_formula_of_contrast_knows_its_bounds() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21.0)
    assert contrast("#ff9830", WHITE) < LEAST_CONTRAST


@pytest.mark.parametrize(
    "colour", [*look.STATUS_COLOURS.values(), *look.SEVERITY_COLOURS.values(), look.OUTLIER]
)
def test_text_on_a_colour_can_be_read(colour: str) -> None:
    assert contrast(colour, written_on(colour)) >= LEAST_CONTRAST


@EACH
def test_text_is_never_coloured(panel: dict[str, Any]) -> None:
    # No colour but black and white has 4.5:1 on the backgrounds of both themes.
    text = json.dumps(panel)
    assert "color-text" not in text
    if panel["type"] == "stat" and panel["options"]["colorMode"] == "value":
        defaults = panel["fieldConfig"]["defaults"].get("color", {})
        assert defaults in ({"mode": "fixed", "fixedColor": "text"}, {})
        assert '"mode": "thresholds"' not in text


def hue(colour: str) -> float | None:
    """Hue in degrees; None for a grey."""
    red, green, blue = (int(colour[n : n + 2], 16) for n in (1, 3, 5))
    high, low = max(red, green, blue), min(red, green, blue)
    if high - low < 24:
        return None
    if high == red:
        return (60 * (green - blue) / (high - low)) % 360
    if high == green:
        return 60 * (blue - red) / (high - low) + 120
    return 60 * (red - green) / (high - low) + 240


@EACH
def test_purple_marks_no_fault(panel: dict[str, Any]) -> None:
    for steps in re.findall(r'"steps": (\[[^]]*\])', json.dumps(panel)):
        for step in json.loads(steps):
            if step["color"].startswith("#"):
                found = hue(step["color"])
                assert found is None or round(found) not in PURPLE_HUES


def test_what_pages_is_red_and_a_count_of_zero_has_no_colour() -> None:
    for status in (Status.CRITICAL, Status.OFFLINE):
        found = hue(look.STATUS_COLOURS[status])
        assert found is not None
        assert found < 15 or found > 335
    for uid in ("fleetscope-fleet-trends", "fleetscope-fleet-wall"):
        (counts,) = [p for p in MADE[uid]["panels"] if p.get("title") == "Sites by status"]
        for override in counts["fieldConfig"]["overrides"]:
            (steps,) = [p["value"] for p in override["properties"] if p["id"] == "thresholds"]
            assert steps["steps"][0] == {"value": None, "color": look.FINE}
            assert steps["steps"][1]["value"] == 1


@EACH
def test_a_scale_of_colours_is_the_same_in_both_themes(panel: dict[str, Any]) -> None:
    # Grafana turns its sequential scales round with the theme, its diverging ones never.
    if panel["type"] == "heatmap":
        assert panel["options"]["color"]["scheme"] in ("RdYlBu", "Spectral")


@EACH_TABLE
def test_a_table_without_rows_keeps_its_headings(panel: dict[str, Any]) -> None:
    # tests/grafana/test_empty_tables.py asks the queries of a Prometheus without series.
    for target in panel["targets"]:
        if target["datasource"]["type"] == "prometheus":
            assert "or on () label_replace(" in target["expr"] or "vector(" in target["expr"]
    assert panel["options"]["showHeader"]


@EACH_TABLE
def test_a_missing_value_is_a_dash_in_every_column(panel: dict[str, Any]) -> None:
    for override in panel["fieldConfig"]["overrides"]:
        if override["matcher"]["id"] == "byName":
            qualities = {p["id"]: p["value"] for p in override["properties"]}
            assert "custom.hideFrom.viz" in qualities or qualities["noValue"]


@EACH_TABLE
def test_scores_are_cells_of_colour_and_not_bars(panel: dict[str, Any]) -> None:
    # The length of a bar in a cell depends on the width of its text.
    assert '"gauge"' not in json.dumps(panel)


def test_a_status_is_not_read_off_a_score() -> None:
    (world,) = [p for p in MADE["fleetscope-overview"]["panels"] if p["type"] == "geomap"]
    assert "mappings" not in world["fieldConfig"]["defaults"]
    mapped = [
        o["matcher"]["options"]
        for o in world["fieldConfig"]["overrides"]
        if any(p["id"] == "mappings" for p in o["properties"])
    ]
    assert mapped == ["Status"]


def test_the_list_of_triage_has_room_for_more_than_twelve_sites_on_the_first_screen() -> None:
    (table,) = [
        p for p in MADE["fleetscope-overview"]["panels"] if p.get("title") == "Whom to call first"
    ]
    # A third of the names takes a second line.
    title_px, heading_px, row_px, cell_px = 40, 36, 36 + 22 / 3, 38
    room = (table["gridPos"]["h"] * cell_px - title_px - heading_px) // row_px
    assert room >= 12
    wrapped = {
        o["matcher"]["options"]
        for o in table["fieldConfig"]["overrides"]
        if "wrapText" in json.dumps(o)
    }
    assert wrapped == {"Site"}
    assert table["gridPos"]["y"] + table["gridPos"]["h"] <= 22, "on the first screen"
    shown = {o["matcher"]["options"] for o in table["fieldConfig"]["overrides"]}
    assert shown >= {"Alert", "Site", "Worst issue", "What to do first", "Trend", "Phone"}


@EACH_TABLE
def test_every_cell_of_colour_and_every_sentence_is_a_link(panel: dict[str, Any]) -> None:
    sentences = {"Issue", "Worst issue", "What is said of it"}
    for override in panel["fieldConfig"]["overrides"]:
        qualities = {p["id"]: p["value"] for p in override["properties"]}
        cell = qualities.get("custom.cellOptions", {})
        says = override["matcher"]["options"] in sentences
        if panel["title"] in ("Causes that several sites share", "Issues by kind"):
            continue
        if cell.get("type") == "color-background" or says:
            assert qualities["links"], override["matcher"]["options"]


@EACH
def test_a_tile_without_data_has_no_colour(panel: dict[str, Any]) -> None:
    defaults = panel["fieldConfig"]["defaults"]
    filled = panel.get("options", {}).get("colorMode", "").startswith("background")
    if panel["type"] == "stat" and filled and defaults["color"]["mode"] == "thresholds":
        # Left to itself, Grafana's base is green.
        assert "thresholds" in defaults


@EACH
def test_a_series_becomes_a_column_of_its_own_query_alone(panel: dict[str, Any]) -> None:
    for transformation in panel.get("transformations", []):
        if transformation["id"] == "timeSeriesTable":
            (ref,) = transformation["options"]
            assert transformation["filter"] == {"id": "byRefId", "options": ref}


@pytest.mark.parametrize("value", ["50000", "-3.5", "14173.946", "1e+06"])
def test_a_number_is_not_offered_as_an_id(value: str) -> None:
    assert re.match(IDS_ONLY.strip("/"), value) is None


@pytest.mark.parametrize("value", ["thames", "plant-007", "7e", "2nd_street", "Århus 1"])
def test_an_id_is_offered_whole(value: str) -> None:
    found = re.match(IDS_ONLY.strip("/"), value)
    assert found is not None
    # Grafana offers the first group where there is one.
    assert found.groups() == (value,)
