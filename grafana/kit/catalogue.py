"""The catalogue of dashboards: what ``grafana/catalogue.yaml`` says of each."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, model_validator

FILE = Path(__file__).parents[1] / "catalogue.yaml"

Scope = Literal["fleet", "group", "site", "battery", "portfolio", "none"]
LimitName = Literal["any", "some", "score", "spread", "none"]
Suite = Literal["Owner", "Controller", "Combined"]
Pack = Literal["Fleet", "Site", "Battery", "Energy", "Portfolio", "Dispatch", "System"]

VARIABLES: dict[Scope, tuple[str, ...]] = {
    "fleet": ("kind", "region", "vendor", "battery_type", "priority", "status"),
    "group": ("site",),
    "site": ("site",),
    "battery": ("site", "pack"),
    "portfolio": ("site",),
    "none": (),
}
"""Variables that a dashboard of a scope understands, and which links therefore carry."""


class Headline(BaseModel):
    """The figure of the domain in the header: PromQL, or InfluxQL whose value is called ``v``.

    ``$chosen`` stands for the fleet's filters in PromQL. In InfluxQL, ``$plants`` stands for the
    condition on the chosen plants and ``$days`` for that on days and months of the time range.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(max_length=12)
    expr: str = ""
    query: str = ""
    unit: str
    limits: LimitName
    to: str

    @model_validator(mode="after")
    def _is_one_of_them(self) -> Self:
        if bool(self.expr) == bool(self.query):
            raise ValueError("expr: expected either expr (PromQL) or query (InfluxQL)")
        return self


class Entry(BaseModel):
    """One dashboard."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    uid: str = Field(pattern=r"^fleetscope-[a-z-]+$")
    title: str = Field(pattern=r"^[A-Z][a-z]+ · [A-Z][a-z ]+$")
    pack: Pack
    suite: Suite | None = None
    scope: Scope
    personas: tuple[str, ...] = Field(min_length=1)
    decision: str = Field(pattern=r"\?$")
    sources: tuple[Literal["Prometheus", "InfluxDB"], ...] = Field(min_length=1)
    fresh_s: int = Field(gt=0)
    least_width: int = Field(default=0, ge=0)
    headline: Headline
    kpis: dict[str, str] = Field(min_length=1)
    up: tuple[str, ...]
    across: tuple[str, ...]
    down: tuple[str, ...]

    def carried(self, target: Entry) -> tuple[str, ...]:
        """Variables that a link from here to another dashboard keeps."""
        if (self.scope == "portfolio") != (target.scope == "portfolio"):
            # Plants of contracts need not be sites of the fleet file.
            return ()
        return tuple(v for v in VARIABLES[self.scope] if v in VARIABLES[target.scope])


@cache
def homes() -> dict[str, tuple[Entry, ...]]:
    """The three dashboards of each persona of the portfolio, in the catalogue's order.

    Raises
    ------
    ValueError
        A persona has not three, or one of them does not name it.
    """
    found: dict[str, tuple[Entry, ...]] = {}
    for persona, uids in yaml.safe_load(FILE.read_text("utf-8"))["homes"].items():
        entries = tuple(catalogue()[uid] for uid in uids)
        if len(entries) != 3 or any(persona not in entry.personas for entry in entries):
            raise ValueError(f"{persona} has not three dashboards that name it")
        found[persona] = entries
    return found


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
