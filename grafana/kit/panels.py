"""One helper for each kind of panel, so that every panel of a kind looks and behaves alike.

Every panel has a title, a description, a unit and a text for the case that there is no data. A
missing value is drawn as a gap: nothing is joined across it and nothing becomes zero.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Protocol, Self, TypeVar

from grafana_foundation_sdk.builders import (
    barchart,
    bargauge,
    common,
    geomap,
    heatmap,
    stat,
    statetimeline,
    text,
    timeseries,
    trend,
)
from grafana_foundation_sdk.builders.dashboard import FieldColor, ThresholdsConfig
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import common as kinds
from grafana_foundation_sdk.models.dashboard import (
    DataTransformerConfig,
    DynamicConfigValue,
    Panel,
    ValueMapping,
)
from grafana_foundation_sdk.models.heatmap import HeatmapColorMode
from grafana_foundation_sdk.models.text import TextMode

from grafana.kit.look import fixed
from grafana.kit.queries import MIXED, Target

Properties = Mapping[str, Any]
AnyPanel = Builder[Panel]
LOWEST = -1e6  # below anything that is measured
HEAT_COLUMNS = 360
LONGEST_TICK = 24  # characters of a bar's name


class PanelBuilder(Protocol):
    """What the SDK's builders of all kinds of panels share."""

    def build(self) -> Panel: ...
    def title(self, title: str, /) -> Self: ...
    def description(self, description: str, /) -> Self: ...
    def height(self, h: int, /) -> Self: ...
    def span(self, w: int, /) -> Self: ...
    def datasource(self, datasource: kinds.DataSourceRef, /) -> Self: ...
    def with_target(self, target: Builder[Any], /) -> Self: ...
    def with_transformation(self, transformation: DataTransformerConfig, /) -> Self: ...
    def unit(self, unit: str, /) -> Self: ...
    def decimals(self, decimals: float, /) -> Self: ...
    def min(self, min_val: float, /) -> Self: ...
    def max(self, max_val: float, /) -> Self: ...
    def mappings(self, mappings: list[ValueMapping], /) -> Self: ...
    def thresholds(self, thresholds: Builder[Any], /) -> Self: ...
    def color_scheme(self, color: Builder[Any], /) -> Self: ...
    def no_value(self, no_value: str, /) -> Self: ...
    def interval(self, interval: str, /) -> Self: ...
    def time_from(self, time_from: str, /) -> Self: ...
    def hide_time_override(self, hide_time_override: bool, /) -> Self: ...
    def max_data_points(self, max_data_points: float, /) -> Self: ...
    def override_by_name(self, name: str, properties: list[DynamicConfigValue], /) -> Self: ...
    def override_by_regexp(self, regexp: str, properties: list[DynamicConfigValue], /) -> Self: ...


@dataclass(frozen=True, kw_only=True)
class Spec:
    """What every panel has.

    ``size`` is width (of 24) and height in Grafana's grid; ``empty`` is shown in place of data and
    says why there may be none; ``low`` and ``high`` fix the range; ``overrides`` are properties by
    field name, or by expression where the name is written between slashes; ``back`` is a range of
    its own, as 24h (its panel has no links, which would lose the time range); ``points`` is the
    largest number of values of a series.
    """

    title: str
    description: str
    size: tuple[int, int]
    unit: str
    empty: str
    targets: Sequence[Target]
    low: float | None = None
    high: float | None = None
    decimals: int | None = None
    thresholds: ThresholdsConfig | None = None
    colour: FieldColor | None = None
    mappings: Sequence[ValueMapping] = ()
    transformations: Sequence[DataTransformerConfig] = ()
    overrides: Mapping[str, Properties] = field(default_factory=dict)
    interval: str | None = None
    back: str | None = None
    points: int | None = None


P = TypeVar("P", bound=PanelBuilder)


def dress(panel: P, spec: Spec) -> P:
    """Give a panel everything that its description says."""
    panel.title(spec.title).description(spec.description).unit(spec.unit).no_value(spec.empty)
    panel.span(spec.size[0]).height(spec.size[1])
    sources = {target.source.uid: target.source for target in spec.targets}
    panel.datasource(next(iter(sources.values())) if len(sources) == 1 else MIXED)
    for target in spec.targets:
        panel.with_target(target)
    for transformation in spec.transformations:
        panel.with_transformation(transformation)
    for set_value, value in (
        (panel.min, spec.low),
        (panel.max, spec.high),
        (panel.decimals, spec.decimals),
    ):
        if value is not None:
            set_value(value)
    parts: tuple[tuple[Callable[[Any], object], Any], ...] = (
        (panel.thresholds, spec.thresholds),
        (panel.color_scheme, spec.colour),
        (panel.mappings, list(spec.mappings) or None),
        (panel.interval, spec.interval),
        (panel.max_data_points, spec.points),
    )
    for set_part, part in parts:
        if part is not None:
            set_part(part)
    if spec.back is not None:
        panel.time_from(spec.back).hide_time_override(True)
    for name, properties in spec.overrides.items():
        values = [DynamicConfigValue(key, value) for key, value in properties.items()]
        if name.startswith("/"):
            panel.override_by_regexp(name, values)
        else:
            panel.override_by_name(name, values)
    return panel


def legend(*, right: bool = False, shown: bool = True) -> common.VizLegendOptions:
    """A legend below the plot, or to its right where names are long."""
    made = common.VizLegendOptions().show_legend(shown)
    made.display_mode(kinds.LegendDisplayMode.LIST)
    placement = kinds.LegendPlacement.RIGHT if right else kinds.LegendPlacement.BOTTOM
    return made.placement(placement).calcs([])


def _tooltip(*, every: bool = True) -> common.VizTooltipOptions:
    mode = kinds.TooltipDisplayMode.MULTI if every else kinds.TooltipDisplayMode.SINGLE
    return common.VizTooltipOptions().mode(mode).sort(kinds.SortOrder.DESCENDING)


def lines(
    spec: Spec,
    *,
    stacked: bool = False,
    fill: int = 0,
    bars: bool = False,
    limit_lines: bool = False,
    soft: tuple[float, float] | None = None,
    legend_shown: bool = True,
    steps: bool = False,
) -> timeseries.Panel:
    """Values over time.

    ``stacked`` adds up values of one sign; ``limit_lines`` draws the thresholds as dashed lines;
    ``soft`` is a range that grows with the data; ``steps`` holds a value until the next.
    """
    panel = dress(timeseries.Panel(), spec)
    panel.legend(legend(shown=legend_shown)).tooltip(_tooltip())
    panel.line_width(0 if bars else 2).fill_opacity(fill).span_nulls(False)
    panel.show_points(kinds.VisibilityMode.NEVER if bars else kinds.VisibilityMode.AUTO)
    panel.point_size(3)
    panel.draw_style(kinds.GraphDrawStyle.BARS if bars else kinds.GraphDrawStyle.LINE)
    if steps:
        panel.line_interpolation(kinds.LineInterpolation.STEP_AFTER)
    if stacked:
        panel.stacking(common.StackingConfig().mode(kinds.StackingMode.NORMAL).group("A"))
    if limit_lines:
        panel.thresholds_style(
            common.GraphThresholdsStyleConfig().mode(kinds.GraphThresholdsStyleMode.DASHED)
        )
    if soft is not None:
        panel.axis_soft_min(soft[0]).axis_soft_max(soft[1])
    return panel


def tiles(
    spec: Spec,
    *,
    background: bool = False,
    sparkline: bool = False,
    names: bool = False,
    columns: bool = False,
    rows: bool = False,
    small: bool = False,
    beside: bool = False,
    value: int | None = 36,
    title: int = 14,
) -> stat.Panel:
    """Single values in large type.

    ``background`` colours the tile and not the figure; ``names`` shows the series' name in place
    of its value; ``columns`` puts several values side by side whatever the shape, ``rows`` below
    each other; ``small`` keeps the type from filling a large panel, and ``value`` and ``title`` are
    then its sizes in pixels; ``beside`` writes a name and its value on one line. A ``value`` of
    None fills the panel with values alone.
    """
    panel = dress(stat.Panel(), spec)
    panel.reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]).values(False))
    panel.graph_mode(kinds.BigValueGraphMode.AREA if sparkline else kinds.BigValueGraphMode.NONE)
    colour = kinds.BigValueColorMode
    panel.color_mode(colour.BACKGROUND_SOLID if background else colour.VALUE)
    justify = kinds.BigValueJustifyMode
    panel.justify_mode(justify.AUTO if beside else justify.CENTER)
    mode = kinds.BigValueTextMode
    alone = mode.VALUE if value is None else mode.AUTO
    panel.text_mode(mode.NAME if names else alone)
    panel.wide_layout(beside)
    if (columns or rows or small) and value is not None:
        panel.text(common.VizTextDisplayOptions().title_size(title).value_size(value))
    way = kinds.VizOrientation
    return panel.orientation(way.VERTICAL if columns else way.HORIZONTAL if rows else way.AUTO)


def bars(spec: Spec, *, names_above: bool = False) -> bargauge.Panel:
    """One bar for each series at the end of the time range; long names go above their bars."""
    panel = dress(bargauge.Panel(), spec)
    panel.reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]).values(False))
    panel.orientation(kinds.VizOrientation.HORIZONTAL)
    panel.display_mode(kinds.BarGaugeDisplayMode.BASIC).show_unfilled(True)
    panel.value_mode(kinds.BarGaugeValueMode.TEXT)
    place = kinds.BarGaugeNamePlacement
    panel.name_placement(place.TOP if names_above else place.LEFT)
    panel.sizing(kinds.BarGaugeSizing.AUTO).min_viz_height(12).min_viz_width(8)
    panel.text(common.VizTextDisplayOptions().title_size(13).value_size(15))
    return panel.max_viz_height(28)


def bars_in_order(
    spec: Spec,
    targets: Sequence[Target],
    transformations: Sequence[DataTransformerConfig],
    *,
    over: str,
    longest: int = 6,
    lying: bool = False,
) -> barchart.Panel:
    """One bar for each row of a table, named by the column ``over``: a whole number, or a text of
    which ``longest`` letters are shown. Bars that are ``lying`` leave room for names on a phone.
    """
    overrides = {**spec.overrides, over: {"unit": "none", "decimals": 0}}
    complete = replace(spec, targets=targets, transformations=transformations, overrides=overrides)
    panel = dress(barchart.Panel(), complete)
    panel.x_field(over).x_tick_label_max_length(LONGEST_TICK).color_by_field("")
    orientation = kinds.VizOrientation
    panel.orientation(orientation.HORIZONTAL if lying else orientation.VERTICAL)
    panel.show_value(kinds.VisibilityMode.NEVER).bar_width(0.8).group_width(0.8)
    panel.stacking(kinds.StackingMode.NONE).x_tick_label_max_length(longest)
    return panel.legend(legend(shown=False)).tooltip(_tooltip()).line_width(0).fill_opacity(80)


def stacked_bars(
    spec: Spec, targets: Sequence[Target], *, over: str, names: Mapping[str, Any], hidden: str = ""
) -> barchart.Panel:
    """Upright bars of a table's rows, whose columns stand on each other; ``names`` are properties
    of the column ``over``, ``hidden`` is a column that lifts the others and is not drawn. Without
    one the legend names the columns.
    """
    overrides = {**spec.overrides, over: names}
    if hidden:
        overrides[hidden] = colour("transparent") | {"custom.fillOpacity": 0} | without("tooltip")
    panel = dress(barchart.Panel(), replace(spec, targets=targets, overrides=overrides))
    panel.x_field(over).x_tick_label_max_length(LONGEST_TICK).color_by_field("")
    panel.orientation(kinds.VizOrientation.VERTICAL)
    panel.show_value(kinds.VisibilityMode.NEVER).bar_width(0.9).group_width(0.9)
    panel.stacking(kinds.StackingMode.NORMAL).legend(legend(shown=not hidden))
    return panel.tooltip(_tooltip(every=False)).line_width(0).fill_opacity(85)


def curve(spec: Spec, *, over: str, joined_up: bool = False) -> trend.Panel:
    """Lines over a column of numbers that rise; ``joined_up`` joins them across missing values."""
    panel = dress(trend.Panel(), spec)
    panel.x_field(over).legend(legend()).tooltip(_tooltip()).line_width(2).fill_opacity(0)
    panel.span_nulls(joined_up).show_points(kinds.VisibilityMode.NEVER)
    return panel


def note(title: str, description: str, size: tuple[int, int], content: str) -> text.Panel:
    """Text in HTML, in which variables are filled in. An empty title leaves the bar out."""
    panel = text.Panel().title(title).description(description).span(size[0]).height(size[1])
    return panel.mode(TextMode.HTML).content(content).transparent(True)


def dense(content: str, size: str) -> str:
    """HTML in lines that stand close together, in type of that size.

    Grafana drops ``line-height``, and of its own elements headings have the least.
    """
    return f'<h3 style="font-size: {size}; margin: 0">{content}</h3>'


def timeline(spec: Spec) -> statetimeline.Panel:
    """States over time, one row for each series; a time without a state is left blank."""
    panel = dress(statetimeline.Panel(), spec)
    panel.legend(legend(shown=False)).tooltip(_tooltip(every=False))
    panel.merge_values(True).show_value(kinds.VisibilityMode.AUTO).row_height(0.8)
    return panel.line_width(0).fill_opacity(85)


def heat(
    spec: Spec, *, decimals: int, either_side: float | None = None, above: float = LOWEST
) -> heatmap.Panel:
    """One row for each series, coloured by value; a missing value leaves its place empty.

    ``either_side`` colours by the distance from 0 up to that much: red below, blue above; a value
    of ``above`` or less stands for a missing one.
    """
    panel = dress(heatmap.Panel(), spec)
    panel.calculate(False).cell_gap(1).show_legend()
    # Columns narrower than a few pixels are drawn with seams that look like gaps.
    panel.max_data_points(HEAT_COLUMNS)
    # Of Grafana's colour maps only the diverging ones are the same in both themes.
    colours = heatmap.HeatmapColorOptions().mode(HeatmapColorMode.SCHEME).steps(48)
    if either_side is None:
        panel.color(colours.scheme("Spectral").reverse(False))
    else:
        panel.color(colours.scheme("RdYlBu").reverse(True).min(-either_side).max(either_side))
    panel.cell_values(heatmap.CellValues().unit(spec.unit).decimals(decimals))
    panel.y_axis(heatmap.YAxisConfig().axis_placement(kinds.AxisPlacement.LEFT))
    return (
        panel.mode(kinds.TooltipDisplayMode.SINGLE)
        .show_color_scale(True)
        # Left to itself, a heatmap hides what is not above 0.
        .filter_values(heatmap.FilterValueRange().le(above))
    )


def world_map(spec: Spec, *, latitude: str, longitude: str, colour: str) -> geomap.Panel:
    """Sites on a map that Grafana ships with, so that nothing is fetched from elsewhere."""
    panel = dress(geomap.Panel(), spec)
    land = {"color": {"fixed": "#7f8c9b"}, "opacity": 0.25, "lineWidth": 1}
    panel.basemap(
        common.MapLayerOptions()
        .type("geojson")
        .name("Countries")
        .config({"src": "public/maps/countries.geojson", "rules": [], "style": land})
    )
    markers = {
        "showLegend": False,
        "style": {
            "color": {"field": colour, "fixed": "gray"},
            "opacity": 0.9,
            "size": {"fixed": 7, "min": 4, "max": 12},
            "symbol": {"fixed": "img/icons/marker/circle.svg", "mode": "fixed"},
        },
    }
    place = common.FrameGeometrySource().mode(kinds.FrameGeometrySourceMode.COORDS)
    panel.layers(
        [
            common.MapLayerOptions()
            .type("markers")
            .name("Sites")
            .config(markers)
            .location(place.latitude(latitude).longitude(longitude))
        ]
    )
    panel.view(geomap.MapViewConfig().id("fit").all_layers(False).layer("Sites").padding(10))
    return panel.controls(
        geomap.ControlsOptions().show_zoom(True).mouse_wheel_zoom(False).show_attribution(False)
    )


def colour(value: str) -> dict[str, Any]:
    """A series in one colour."""
    return {"color": fixed(value).build()}


def without(*parts: Literal["legend", "tooltip", "viz"]) -> dict[str, Any]:
    """A series that is left out of parts of a plot."""
    return {"custom.hideFrom": {part: part in parts for part in ("legend", "tooltip", "viz")}}


def shades(value: str) -> dict[str, Any]:
    """Several series in shades of one colour."""
    return {"color": {"mode": "shades", "fixedColor": value}}
