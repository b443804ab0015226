"""The part of the schema's reference that is about the portfolio."""

from __future__ import annotations

from exporter.cli.markdown import table
from exporter.portfolio.measurements import KEPT_AT, MEASUREMENTS, Combine

_TOGETHER = {
    Combine.SUM: "sum",
    Combine.MEAN: "mean",
    Combine.MIN: "lowest",
    Combine.MAX: "highest",
    Combine.LAST: "newest",
    Combine.NONE: "–",
}


def portfolio_parts() -> list[str]:
    """Each measurement: a heading, what a row is, and its fields as a table."""
    parts = [
        f"## The portfolio, in `{KEPT_AT}`",
        "What `fleetscope portfolio --publish` and `fleetscope import --table telemetry` write; "
        "see [portfolio.md](portfolio.md). Days and months are those of the market's zone, and "
        "their rows are stamped with the beginning. Amounts are in the currency of the contracts. "
        "Power is positive on discharge. A figure that is not known is no field. *Together* says "
        "how rows of several times, sites or tags may be put together; – means not at all.",
    ]
    for one in MEASUREMENTS.values():
        tags = ", ".join(f"`{tag}`" for tag in one.tags)
        parts.append(f"### `{one.name}`: {'tags' if len(one.tags) > 1 else 'tag'} {tags}")
        about = [one.row]
        about += [f"Formula: {one.formula}."] if one.formula else []
        about += [f"From: {one.source}."] if one.source else []
        parts.append(" ".join(about))
        rows = [
            (f"`{name}`", field.unit, field.meaning, _TOGETHER[field.combine])
            for name, field in one.fields.items()
        ]
        parts.append(table(("field", "unit", "meaning", "together"), rows))
    return parts
