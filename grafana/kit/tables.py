"""Tables: one description of a column, and the transformations that tables are made with."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from grafana_foundation_sdk.builders import table
from grafana_foundation_sdk.builders.dashboard import FieldColor, ThresholdsConfig
from grafana_foundation_sdk.models import common as kinds
from grafana_foundation_sdk.models.dashboard import (
    DataTransformerConfig,
    DynamicConfigValue,
    MatcherConfig,
    ValueMapping,
)

from grafana.kit.look import (
    AGO,
    MONEY,
    RATIO,
    as_text,
    missing_as,
    plain_zero,
    score_limits,
    severity_mappings,
    spread_limits,
)
from grafana.kit.panels import Properties, Spec, dress

DASH = "–"
NO_PACK = "none"
"""In place of a pack, so that a link has a value; shown as a dash."""
LEAST_COLUMN_PX = 56
TIME_PX = 172
SITE_URL = "/d/fleetscope-site/?${__url_time_range}&var-site=${__data.fields.site}"
CELLS_URL = "/d/fleetscope-cells/?${__url_time_range}&var-site=${__data.fields.site}"
COMPARE_URL = "/d/fleetscope-compare/?${__url_time_range}&var-site=${__data.fields.site}"
PACK_URL = "/d/fleetscope-pack/?${__url_time_range}&var-site=${site}&var-pack=${__data.fields.Pack}"
PACK_OF_SITE_URL = (
    "/d/fleetscope-pack/?${__url_time_range}&var-site=${__data.fields.site}"
    "&var-pack=${__data.fields.Pack}"
)


@dataclass(frozen=True)
class Column:
    """One column of a table.

    Attributes
    ----------
    source : str
        Name of the field in the answers.
    title : str
        Heading.
    width : int, optional
        Pixels; columns without one share what is left.
    unit : str, optional
        Grafana's name of the unit.
    decimals : int, optional
    mappings : sequence of ValueMapping
    url : str, optional
        Where a click on the cell leads.
    more : mapping
        Further field properties.
    """

    source: str
    title: str
    width: int | None = None
    unit: str | None = None
    decimals: int | None = None
    mappings: Sequence[ValueMapping] = ()
    url: str | None = None
    more: Properties = field(default_factory=dict)

    @property
    def properties(self) -> dict[str, Any]:
        """Grafana's field properties. A missing value is a dash in every column."""
        texts = [missing_as(DASH), *self.mappings]
        if self.unit == MONEY and self.decimals is not None:
            texts.append(plain_zero(self.decimals))
        made: dict[str, Any] = {"noValue": DASH, "mappings": texts}
        if self.width is not None:
            made["custom.width"] = self.width
        if self.unit is not None:
            made["unit"] = self.unit
        if self.decimals is not None:
            made["decimals"] = self.decimals
        if self.url is not None:
            made |= link(f"Open {self.title.lower()}", self.url)
        return {**made, **self.more}


def listing(spec: Spec, columns: Sequence[Column], *, drop: Iterable[str] = ()) -> table.Panel:
    """A table with these columns, in this order.

    Parameters
    ----------
    spec : Spec
        Its transformations come before the columns are named.
    columns : sequence of Column
    drop : iterable of str
        Fields of the answers to leave out.
    """
    named = organized({c.source: c.title for c in columns}, drop)
    overrides = {c.title: c.properties for c in columns}
    complete = replace(
        spec,
        transformations=[*spec.transformations, named],
        overrides=overrides | dict(spec.overrides),
    )
    panel = dress(table.Panel(), complete)
    panel.cell_height(kinds.TableCellHeight.SM).show_header(True)
    panel.align(kinds.FieldTextAlignment.AUTO).inspect(False).min_width(LEAST_COLUMN_PX)
    wrapped = DynamicConfigValue("custom.wrapHeaderText", value=True)
    return panel.override_by_regexp("/.*/", [wrapped])


def site_column(url: str = SITE_URL, *, width: int | None = None) -> tuple[Column, Column]:
    """The site's name with a link, and its id out of sight, which the link needs.

    Without a width it shares what is left; names that are longer wrap.
    """
    more: Properties = {"custom.minWidth": 170, **WRAPPED}
    return Column("name", "Site", width, url=url, more=more), hidden("site")


def pack_column(url: str = PACK_URL, *, source: str = "pack") -> Column:
    """A pack with a link to it."""
    none = as_text({NO_PACK: DASH})
    return Column(source, "Pack", url=url, mappings=[none], more={"custom.minWidth": 90})


def hidden(name: str) -> Column:
    """A field that links need and nobody reads."""
    return Column(name, name, more=HIDDEN)


def score_column(source: str, url: str, title: str = "Score", width: int = 72) -> Column:
    """A score, 0 to 100, on the colour of the status that it means."""
    return Column(source, title, width, "none", 0, url=url, more=filled(score_limits()))


def severity_column(
    source: str, url: str, texts: Sequence[ValueMapping] = (), width: int = 80
) -> Column:
    """A severity on its own colour."""
    return Column(
        source,
        "Severity",
        width,
        mappings=[*severity_mappings(), *texts],
        url=url,
        more={"custom.align": "left", "custom.cellOptions": FILLED},
    )


def spread_column(source: str, unit: str, url: str, title: str = "Spread") -> Column:
    """A cell spread in volts, coloured beyond the fleet's default limits."""
    return Column(source, title, 80, unit, 3, url=url, more=filled(spread_limits()))


def since_column(source: str = "since", width: int = 124) -> Column:
    """How long ago something began."""
    return Column(source, "Since", width, AGO)


def time_column(source: str = "Time", title: str = "When") -> Column:
    """A moment to the second. Without this unit Grafana adds milliseconds to rows of one minute."""
    return Column(source, title, TIME_PX, "dateTimeAsIso")


def share_column(source: str, title: str = "Share", width: int = 64) -> Column:
    """A ratio of 1 in per cent."""
    return Column(source, title, width, RATIO, 0)


def transform(kind: str, **options: Any) -> DataTransformerConfig:
    """A transformation of query results."""
    return DataTransformerConfig(id_val=kind, options=options)


def only_of(ref: str, transformation: DataTransformerConfig) -> DataTransformerConfig:
    """A transformation of the answers to one query alone."""
    transformation.filter_val = MatcherConfig(id_val="byRefId", options=ref)
    return transformation


def joined(by: str, *, mode: str = "outer") -> DataTransformerConfig:
    """Tables joined on a column."""
    return transform("joinByField", byField=by, mode=mode)


def ordered(by: str, *, descending: bool = False) -> DataTransformerConfig:
    """Rows sorted by a column."""
    return transform("sortBy", fields={}, sort=[{"field": by, "desc": descending}])


def one_row_each(by: str, names: Iterable[str]) -> DataTransformerConfig:
    """Rows with the same value of a column made one: the highest of each other column, which is
    then called as :func:`highest` says."""
    kept = {name: {"operation": "aggregate", "aggregations": ["max"]} for name in names}
    fields = {by: {"operation": "groupby", "aggregations": []}, **kept}
    return transform("groupBy", fields=fields)


def highest(name: str) -> str:
    """The name of a column after :func:`one_row_each`."""
    return f"{name} (max)"


def only_with(column: str) -> DataTransformerConfig:
    """Rows that have a value in a column."""
    wanted = {"fieldName": column, "config": {"id": "isNotNull", "options": {}}}
    return transform("filterByValue", type="include", match="all", filters=[wanted])


def organized(names: Mapping[str, str], drop: Iterable[str] = ()) -> DataTransformerConfig:
    """Fields in this order under these names; ``drop`` leaves fields out altogether."""
    return transform(
        "organize",
        excludeByName=dict.fromkeys(drop, True),
        includeByName={},
        indexByName={name: place for place, name in enumerate(names)},
        renameByName={name: shown for name, shown in names.items() if name != shown},
    )


def difference(of: str, less: str, name: str) -> DataTransformerConfig:
    """A new column: one column less another."""
    return computed(name, of, "-", less)


def computed(name: str, left: str, operator: str, right: str) -> DataTransformerConfig:
    """A new column of two others, or of one and a number."""
    binary = {"left": left, "operator": operator, "right": right}
    return transform(
        "calculateField", mode="binary", alias=name, replaceFields=False, binary=binary
    )


def running(of: str, name: str) -> DataTransformerConfig:
    """A new column: what another adds up to, row by row."""
    cumulative = {"field": of, "reducer": "sum"}
    return transform(
        "calculateField",
        mode="cumulativeFunctions",
        alias=name,
        replaceFields=False,
        cumulative=cumulative,
    )


def absolute(of: str, name: str) -> DataTransformerConfig:
    """A new column: the absolute value of another."""
    unary = {"operator": "abs", "fieldName": of}
    return transform("calculateField", mode="unary", alias=name, replaceFields=False, unary=unary)


HIDDEN: Properties = {"custom.hideFrom.viz": True}
WRAPPED: Properties = {"custom.cellOptions": {"type": "auto", "wrapText": True}}
FILLED: Properties = {"type": "color-background", "mode": "basic"}


def link(title: str, url: str) -> dict[str, Any]:
    """Links of a column or tile."""
    return {"links": [{"title": title, "url": url, "targetBlank": False}]}


def filled(colours: ThresholdsConfig | FieldColor) -> dict[str, Any]:
    """Cells on a colour: by limits, or all on one.

    Coloured text cannot have enough contrast in both themes; text on a colour has it in both.
    """
    how: dict[str, Any] = {"custom.cellOptions": FILLED}
    if isinstance(colours, FieldColor):
        return how | {"color": colours.build()}
    return how | {"thresholds": colours.build(), "color": {"mode": "thresholds"}}
