"""Scenario files: which sites exist, what they are made of and what goes wrong when."""

from __future__ import annotations

import itertools
import zlib
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import yaml
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from simulator.faults import FaultName, parse_params

Protocol = Literal["http", "mqtt", "modbus", "sunspec", "openems", "vrm"]
Kind = Literal["multiplus-bms", "multiplus-bmv", "quattro-3p", "multi-rs", "ac-pv"]
Coupling = Literal["dc", "on_grid", "on_output", "on_genset"]

SCENARIOS = Path(__file__).parent / "scenarios"


class Strict(BaseModel):
    """Base of every scenario model: unknown keys are refused and values never change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Region(Strict):
    """Weather and grid that the sites of one region share."""

    synchronous_area: str
    nominal_hz: Literal[50, 60] = 50
    nominal_v: float = Field(default=230.0, ge=100.0, le=400.0)
    cloudiness: float = Field(default=0.4, ge=0.0, le=1.0)


class Battery(Strict):
    """A battery as one equivalent string of LFP cells in series."""

    type: str
    vendor: str = ""
    capacity_kwh: float = Field(gt=0.0, le=5000.0)
    cells: int = Field(default=16, ge=4, le=300)
    modules: int = Field(default=1, ge=1, le=64)
    soh: float = Field(default=98.0, ge=20.0, le=100.0)
    initial_soc: float = Field(default=60.0, ge=0.0, le=100.0)
    min_soc: float = Field(default=20.0, ge=0.0, le=90.0)
    max_c_rate: float = Field(default=0.5, gt=0.0, le=2.0)
    resistance_milliohm: float | None = Field(default=None, gt=0.0)
    service: str = "socketcan_can0_vi0_uc317637"
    product: str = ""
    cell_format: Literal[0, 1, 2, 3] = 0
    cell_temperatures: bool = False


class Solar(Strict):
    """A PV array in one plane."""

    capacity_kw: float = Field(ge=0.0, le=5000.0)
    tilt: float = Field(default=30.0, ge=0.0, le=90.0)
    azimuth: float = Field(default=180.0, ge=0.0, le=360.0)
    coupling: Coupling = "dc"


class Load(Strict):
    """What the site consumes; ``on_output`` is the share behind the inverter."""

    shape: Literal["household", "warehouse"] = "household"
    daily_kwh: float = Field(gt=0.0)
    on_output: float = Field(default=0.4, ge=0.0, le=1.0)


class Contact(Strict):
    """Whom to call, by role."""

    name: str = "Site operations"
    phone: str = "+44 1632 960100"
    email: str = "operations@example.com"


class FaultPlan(Strict):
    """A fault of the scenario; times are seconds after the simulation starts."""

    fault: FaultName
    params: dict[str, Any] = Field(default_factory=dict)
    start_seconds: float = Field(default=0.0, ge=0.0)
    end_seconds: float | None = Field(default=None, gt=0.0)

    @model_validator(mode="after")
    def _check(self) -> Self:
        parse_params(self.fault, self.params)
        if self.end_seconds is not None and self.end_seconds <= self.start_seconds:
            raise ValueError("end_seconds must be later than start_seconds")
        return self


class Site(Strict):
    """One site: what stands there and where."""

    id: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")
    name: str
    kind: Kind
    location: str
    region: str
    latitude: float = Field(ge=-90.0, le=90.0)
    longitude: float = Field(ge=-180.0, le=180.0)
    timezone: str = "UTC"
    priority: Literal["high", "medium", "low"] = "medium"
    contact: Contact = Contact()
    battery: Battery
    solar: Solar
    load: Load
    phases: Literal[1, 3] = 1
    inverter_kw: float = Field(gt=0.0)
    grid_meter: bool = True
    off_grid: bool = False
    interval_seconds: int | None = Field(default=None, ge=1)
    protocol: Protocol = "http"
    fleet_kind: Literal["ess", "bess"] = "ess"
    dispatch: bool = False
    tags: list[str] = Field(default_factory=list)
    faults: list[FaultPlan] = Field(default_factory=list)

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.off_grid and self.grid_meter:
            raise ValueError(f"{self.id}: an off-grid site has no grid meter")
        if self.kind == "quattro-3p" and self.phases != 3:
            raise ValueError(f"{self.id}: a quattro-3p site has 3 phases")
        if self.kind == "ac-pv" and self.solar.coupling == "dc":
            raise ValueError(f"{self.id}: an ac-pv site has its PV on an AC side")
        if self.kind == "multi-rs" and self.solar.coupling != "dc":
            raise ValueError(f"{self.id}: a multi-rs site has its PV on the DC side")
        if not self.grid_meter and self.solar.coupling in {"on_grid", "on_genset"}:
            raise ValueError(f"{self.id}: PV on the input side needs a grid meter")
        return self


class Companion(Strict):
    """A device of another kind beside a site: another entry of the fleet file over its physics.

    It answers over HTTP, or sends by itself: ``push`` to the service, ``push-mqtt`` to a broker.
    """

    id: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")
    name: str
    kind: Literal["meter", "pv", "datacentre"]
    of: str
    protocol: Literal["http", "push", "push-mqtt"] = "http"


class Scenario(Strict):
    """A fleet of simulated sites.

    ``generate`` is the number of sites that :meth:`load` makes out of the ones listed, by
    repeating the healthy ones; without it the listed sites are all there are.
    """

    name: str
    seed: int = Field(default=1, ge=0)
    regions: dict[str, Region]
    sites: list[Site] = Field(min_length=1)
    companions: list[Companion] = Field(default_factory=list)
    generate: int | None = Field(default=None, ge=1)

    @field_validator("sites")
    @classmethod
    def _unique(cls, sites: list[Site]) -> list[Site]:
        seen: set[str] = set()
        for site in sites:
            if site.id in seen:
                raise ValueError(f"duplicate site id {site.id}")
            seen.add(site.id)
        return sites

    @model_validator(mode="after")
    def _companions_have_sites(self) -> Self:
        known = {site.id for site in self.sites}
        for one in self.companions:
            if one.of not in known or one.id in known:
                raise ValueError(f"{one.id}: expected an id of its own, and the id of a site")
        return self

    @model_validator(mode="after")
    def _one_on_modbus(self) -> Self:
        for protocol in ("modbus", "sunspec"):
            # They share one port, where only their units tell them apart.
            if sum(site.protocol == protocol for site in self.sites) > 1:
                raise ValueError(f"at most one site speaks {protocol}")
        return self

    @model_validator(mode="after")
    def _regions_exist(self) -> Self:
        for site in self.sites:
            if site.region not in self.regions:
                raise ValueError(f"{site.id}: unknown region {site.region}")
        return self

    def pushing(self, protocol: Literal["push", "push-mqtt"]) -> list[Companion]:
        """The companions that send by themselves over a protocol."""
        return [one for one in self.companions if one.protocol == protocol]

    @classmethod
    def load(cls, path: Path | str, *, sites: int | None = None) -> Scenario:
        """Read a scenario file.

        Parameters
        ----------
        path : path or str
            A YAML file, or the bare name of a scenario that ships with the simulator
            (``demo``, ``scale``).
        sites : int, optional
            Number of sites wanted, from 1; overrides the file's ``generate``.

        Raises
        ------
        FileNotFoundError
            No such file.
        pydantic.ValidationError
            The file holds something that is not a scenario.
        """
        file = Path(path)
        if not file.exists() and (SCENARIOS / f"{path}.yaml").exists():
            file = SCENARIOS / f"{path}.yaml"
        scenario = cls.model_validate(yaml.safe_load(file.read_text(encoding="utf-8")))
        wanted = sites if sites is not None else scenario.generate
        return scenario if wanted is None else scenario.with_sites(wanted)

    def with_sites(self, count: int) -> Scenario:
        """A scenario of exactly ``count`` sites (1 or more).

        The listed sites come first; further ones repeat the healthy listed sites in turn, with
        ids of their own, moved by up to half a degree and without faults. There are no companions.
        """
        if count < 1:
            raise ValueError("a scenario needs at least one site")
        made = list(self.sites[:count])
        templates = [site for site in self.sites if not site.faults]
        if count > len(made) and not templates:
            raise ValueError("no healthy site to repeat")
        for number, template in zip(
            range(len(made) + 1, count + 1), itertools.cycle(templates), strict=False
        ):
            made.append(_repeat(template, number, self.seed))
        return self.model_copy(update={"sites": made, "generate": None, "companions": []})


def _repeat(template: Site, number: int, seed: int) -> Site:
    """A variation of ``template`` that depends only on its number and the seed."""
    site_id = f"site_{number:05d}"
    rng = np.random.default_rng([seed, zlib.crc32(site_id.encode())])
    moved = rng.uniform(-0.5, 0.5, 2)
    battery = template.battery.model_copy(
        update={
            "initial_soc": float(np.round(rng.uniform(40.0, 85.0), 1)),
            "soh": float(np.round(rng.uniform(93.0, 100.0), 1)),
        }
    )
    return template.model_copy(
        update={
            "id": site_id,
            "name": f"{template.name} {number}",
            "latitude": float(np.round(template.latitude + moved[0], 4)),
            "longitude": float(np.round(template.longitude + moved[1], 4)),
            "battery": battery,
            "faults": [],
            # One site each speaks these, on ports and units of its own.
            "protocol": template.protocol if template.protocol == "mqtt" else "http",
            "dispatch": False,
        }
    )
