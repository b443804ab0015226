"""The thresholds of the fleet file: one field for each configurable limit of the scoring rules."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, create_model

from exporter.config.field_types import Number
from scoring.limits import CONFIGURABLE
from scoring.rule import Limit


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


def _type_of(limit: Limit) -> Any:
    if limit.above_lowest:
        return Annotated[Number, Field(gt=limit.lowest, le=limit.highest)]
    return Annotated[Number, Field(ge=limit.lowest, le=limit.highest)]


if TYPE_CHECKING:

    class Thresholds(_Model):
        """Limits that turn readings into issues. Frequencies are for a nominal 50 Hz."""

        def __getattr__(self, name: str) -> float: ...

    class ThresholdOverrides(_Model):
        """The thresholds of one site; what is left out comes from the fleet's."""

        def __getattr__(self, name: str) -> float | None: ...

else:
    Thresholds = create_model(
        "Thresholds",
        __base__=_Model,
        __module__=__name__,
        __doc__="Limits that turn readings into issues. Frequencies are for a nominal 50 Hz.",
        **{limit.name: (_type_of(limit), limit.default) for limit in CONFIGURABLE},
    )
    ThresholdOverrides = create_model(
        "ThresholdOverrides",
        __base__=_Model,
        __module__=__name__,
        __doc__="The thresholds of one site; what is left out comes from the fleet's.",
        **{limit.name: (_type_of(limit) | None, None) for limit in CONFIGURABLE},
    )


def contradictions(thresholds: Thresholds, nominal_hz: float = 50) -> list[str]:
    """What makes a set of thresholds impossible; empty where nothing does."""
    wrong = [
        f"{limit.name} {getattr(thresholds, limit.name):g} must be below {limit.less_than} "
        f"{getattr(thresholds, limit.less_than):g}"
        for limit in CONFIGURABLE
        if limit.less_than
        and getattr(thresholds, limit.name) >= getattr(thresholds, limit.less_than)
    ]
    low_hz, high_hz = thresholds.grid_frequency_min, thresholds.grid_frequency_max
    if low_hz < high_hz and not low_hz < nominal_hz < high_hz:
        wrong.append(
            f"grid_frequency_min {low_hz:g} to grid_frequency_max {high_hz:g} must hold the "
            f"nominal {nominal_hz:g} Hz"
        )
    return wrong
