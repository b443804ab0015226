"""The block ``dispatch`` of a site: whether it takes orders, and within which limits."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from exporter.config.field_types import Number, field_error

Kilowatts = Annotated[Number, Field(gt=0, le=1e6)]
ConnectionKilowatts = Annotated[Number, Field(ge=0, le=1e6)]
Percent = Annotated[Number, Field(ge=0, le=100)]


class DispatchBlock(BaseModel):
    """Orders to a site; off unless the file says otherwise."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    enabled: Annotated[bool, Field(strict=True)] = Field(
        default=False, description="Whether the site takes orders; needs the two powers below"
    )
    max_charge_kw: Kilowatts | None = Field(default=None, description="Most power into the battery")
    max_discharge_kw: Kilowatts | None = Field(
        default=None, description="Most power out of the battery"
    )
    import_limit_kw: ConnectionKilowatts | None = Field(
        default=None, description="Most power that the connection may draw"
    )
    export_limit_kw: ConnectionKilowatts | None = Field(
        default=None, description="Most power that the connection may feed in"
    )
    soc_floor: Percent = Field(
        default=10.0, description="State of charge at which discharging ends, %"
    )
    soc_ceiling: Percent = Field(
        default=100.0, description="State of charge at which charging ends, %"
    )
    ramp_kw_per_s: Kilowatts | None = Field(
        default=None,
        description="Largest change of power in a second; an order may ask for a slower one",
    )
    allow_persistent: Annotated[bool, Field(strict=True)] = Field(
        default=False,
        description="Whether set-points that outlive a restart of the device, and wear its flash "
        "memory, may be written where there is no other way",
    )

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.enabled and (self.max_charge_kw is None or self.max_discharge_kw is None):
            raise field_error("needs max_charge_kw and max_discharge_kw with enabled: true")
        if self.soc_floor >= self.soc_ceiling:
            raise field_error(
                f"soc_floor {self.soc_floor:g} must be below soc_ceiling {self.soc_ceiling:g}"
            )
        return self


NO_DISPATCH = DispatchBlock()
