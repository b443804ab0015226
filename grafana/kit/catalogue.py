"""The catalogue of dashboards: what ``grafana/catalogue.yaml`` says of each."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field

FILE = Path(__file__).parents[1] / "catalogue.yaml"

Scope = Literal["fleet", "group", "site", "battery", "none"]
LimitName = Literal["any", "some", "score", "spread", "none"]
Pack = Literal["Fleet", "Site", "Battery", "Energy", "Portfolio", "Dispatch", "System"]

VARIABLES: dict[Scope, tuple[str, ...]] = {
    "fleet": ("kind", "region", "vendor", "battery_type", "priority", "status"),
    "group": ("site",),
    "site": ("site",),
    "battery": ("site", "pack"),
    "none": (),
}
"""Variables that a dashboard of a scope understands, and which links therefore carry."""


class Headline(BaseModel):
    """The figure of the domain in the header; ``$chosen`` stands for the fleet's filters."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(max_length=12)
    expr: str
    unit: str
    limits: LimitName
    to: str


class Entry(BaseModel):
    """One dashboard."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    uid: str = Field(pattern=r"^fleetscope-[a-z-]+$")
    title: str = Field(pattern=r"^[A-Z][a-z]+ · [A-Z][a-z ]+$")
    pack: Pack
    scope: Scope
    personas: tuple[str, ...] = Field(min_length=1)
    decision: str = Field(pattern=r"\?$")
    sources: tuple[Literal["Prometheus", "InfluxDB"], ...] = Field(min_length=1)
    fresh_s: int = Field(gt=0)
    headline: Headline
    kpis: dict[str, str] = Field(min_length=1)
    up: tuple[str, ...]
    across: tuple[str, ...]
    down: tuple[str, ...]

    def carried(self, target: Entry) -> tuple[str, ...]:
        """Variables that a link from here to another dashboard keeps."""
        return tuple(v for v in VARIABLES[self.scope] if v in VARIABLES[target.scope])


@cache
def catalogue() -> dict[str, Entry]:
    """Every dashboard by its uid, in the catalogue's order.

    Raises
    ------
    pydantic.ValidationError
        An entry is not complete.
    ValueError
        A uid stands twice, or a neighbour does not exist.
    """
    rows = yaml.safe_load(FILE.read_text("utf-8"))["dashboards"]
    entries = [Entry.model_validate(row) for row in rows]
    by_uid = {entry.uid: entry for entry in entries}
    if len(by_uid) != len(entries):
        raise ValueError("a uid stands twice in the catalogue")
    for entry in entries:
        for uid in (*entry.up, *entry.across, *entry.down, entry.headline.to):
            if uid not in by_uid:
                raise ValueError(f"{entry.uid} names the neighbour {uid}, which does not exist")
    return by_uid
