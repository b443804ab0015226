"""The replies of the API about the portfolio; rows are typed by the table of measurements."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, create_model, with_config
from typing_extensions import TypedDict

from exporter.portfolio.measurements import MEASUREMENTS

_CLOSED = ConfigDict(extra="forbid")


@with_config(_CLOSED)
class FieldMeaning(TypedDict):
    """What a field of a row is."""

    unit: Annotated[str, Field(description="amount: in the currency")]
    meaning: str
    together: Annotated[str, Field(description="How rows may be put together")]


@with_config(_CLOSED)
class PortfolioKpi(TypedDict):
    """A figure of a period."""

    name: str
    value: Annotated[float | None, Field(description="Null is unknown, never zero")]
    unit: str
    meaning: str
    formula: str
    source: str


@with_config(_CLOSED)
class PortfolioKpisReply(TypedDict):
    """The figures of a period."""

    sites: list[str]
    since: float
    until: float
    tz: str
    currency: str | None
    kpis: list[PortfolioKpi]


def row_model(measurement: str) -> type[BaseModel]:
    """The type of a row: its time, its tags, and its fields, null where one is not known."""
    about = MEASUREMENTS[measurement]
    fields: dict[str, Any] = {
        "time": (float, Field(description="Unix seconds; a day or month by its beginning"))
    }
    fields |= dict.fromkeys(about.tags, (str, ...))
    for name, field in about.fields.items():
        kind = str | None if field.is_text else float | None
        fields[name] = (kind, Field(description=f"{field.meaning} ({field.unit})"))
    title = "".join(part.capitalize() for part in measurement.split("_"))
    return _made(f"Portfolio{title}Row", fields)


def _made(name: str, fields: Mapping[str, Any]) -> type[BaseModel]:
    create: Any = create_model
    made: type[BaseModel] = create(name, __config__=_CLOSED, **fields)
    return made


def rows_reply(measurement: str) -> type[BaseModel]:
    """The type of a reply with rows of a measurement, or with sums of them."""
    row = row_model(measurement)
    fields: dict[str, Any] = {
        "since": float | None,
        "until": float | None,
        "tz": str,
        "currency": str | None,
        "formula": str,
        "source": str,
        "fields": dict[str, FieldMeaning],
        "total": int,
        "offset": int,
        "limit": int,
        "next": (str | None, Field(description="Address of the next page")),
        "rows": list[row],  # type: ignore[valid-type]
        "sums": (
            list[dict[str, str | float | None]],
            Field(description="Of all pages, by what `by` names; over all rows without it"),
        ),
    }
    return _made(
        f"{row.__name__}s", {k: v if isinstance(v, tuple) else (v, ...) for k, v in fields.items()}
    )


PlantRow = row_model("plant")
TelemetryRow = row_model("telemetry")
MonthRow = row_model("plant_month")


class PortfolioSiteReply(BaseModel):
    """A plant with what is newest of it."""

    model_config = _CLOSED

    site: str
    plant: PlantRow | None  # type: ignore[valid-type]
    telemetry: Annotated[
        TelemetryRow | None,  # type: ignore[valid-type]
        Field(description="The newest reading"),
    ]
    month: Annotated[
        MonthRow | None,  # type: ignore[valid-type]
        Field(description="The newest month that is published"),
    ]
