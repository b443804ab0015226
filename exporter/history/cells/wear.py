"""Line protocol of each analysis: use and state of health of a pack, a row an hour."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from types import MappingProxyType

from exporter.model.cell_findings import PackCells, SiteCells
from exporter.store.line_protocol import milliseconds, tag
from scoring.cells.cycles import DEPTH_EDGES, TEMPERATURE_EDGES

MEASUREMENT = "wear"


def _degrees(edge: float) -> str:
    return f"m{-edge:g}" if edge < 0 else f"{edge:g}"


DEPTHS: Mapping[str, str] = MappingProxyType(
    {
        f"cycles_{low:g}_to_{high:g}_percent": f"{low:g}–{high:g} %"
        for low, high in zip(DEPTH_EDGES[:-1].tolist(), DEPTH_EDGES[1:].tolist(), strict=True)
    }
)
"""Field to range of depth, in the order of ``Cycling.depth_counts``."""
_EDGES = TEMPERATURE_EDGES[1:-1].tolist()
HEAT: Mapping[str, str] = MappingProxyType(
    {
        f"hours_below_{_degrees(_EDGES[0])}_c": f"below {_EDGES[0]:g} °C",
        **{
            f"hours_{_degrees(low)}_to_{_degrees(high)}_c": f"{low:g} to {high:g} °C"
            for low, high in pairwise(_EDGES)
        },
        f"hours_from_{_degrees(_EDGES[-1])}_c": f"{_EDGES[-1]:g} °C and more",
    }
)
"""Field to range of temperature, in the order of ``Cycling.temperature_hours``."""

MEANINGS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "soh_reported_percent": ("%", "State of health as the battery reports it"),
        "soh_measured_percent": ("%", "The same by counting charge between rests"),
        "soh_measured_uncertainty_percent": ("%", "Standard uncertainty of that"),
        "soh_estimate_percent": ("%", "The same by age and use: an estimate that measures nothing"),
        "soh_estimate_calendar_percent": ("%", "What the estimate takes off for age"),
        "soh_estimate_cycles_percent": ("%", "What it takes off for cycles"),
        "soh_estimate_imbalance_percent": ("%", "What it takes off for imbalance"),
        "spread_rest_v": ("V", "Highest less lowest cell at rest on the plateau"),
        "full_cycles": ("–", "Equivalent full cycles in the time seen"),
        "charged_kwh": ("kWh", "Energy in, in the time seen"),
        "discharged_kwh": ("kWh", "Energy out, in the time seen"),
        "efficiency_percent": ("%", "Round-trip efficiency between equal states of charge"),
        "efficiency_uncertainty_percent": ("%", "Uncertainty of that"),
        "seen_days": ("d", "The time seen: up to 91 days"),
        **{
            name: ("–", f"Cycles of a depth of {range_}, by rainflow")
            for name, range_ in DEPTHS.items()
        },
        **{name: ("h", f"Hours of cells at {range_}") for name, range_ in HEAT.items()},
    }
)
"""Field to unit and meaning."""


def wear_lines(found: SiteCells) -> list[str]:
    """Lines of the measurement ``wear``, one for each pack of which anything is known."""
    stamp = milliseconds(found.time)
    lines = []
    for pack in found.packs:
        values = {name: value for name, value in _values(pack).items() if value is not None}
        fields = ",".join(f"{name}={float(value)!r}" for name, value in values.items())
        if fields:
            lines.append(
                f"{MEASUREMENT},site={tag(found.site)},pack={tag(pack.pack)} {fields} {stamp}"
            )
    return lines


def _ranges(names: Mapping[str, str], counts: tuple[float, ...]) -> dict[str, float]:
    return dict(zip(names, counts, strict=True)) if counts else {}


def _values(pack: PackCells) -> dict[str, float | None]:
    values: dict[str, float | None] = {"spread_rest_v": pack.spread_rest_v}
    use, health = pack.cycling, pack.health
    if use is not None:
        efficiency, doubt = use.efficiency, use.efficiency_uncertainty
        values |= {
            "full_cycles": use.equivalent_full,
            "charged_kwh": use.charged_kwh,
            "discharged_kwh": use.discharged_kwh,
            "efficiency_percent": None if efficiency is None else 100.0 * efficiency,
            "efficiency_uncertainty_percent": None if doubt is None else 100.0 * doubt,
            "seen_days": use.days,
            **_ranges(DEPTHS, use.depth_counts),
            **_ranges(HEAT, use.temperature_hours),
        }
    if health is not None:
        values |= {
            "soh_reported_percent": health.reported_percent,
            "soh_measured_percent": health.measured_percent,
            "soh_measured_uncertainty_percent": health.measured_uncertainty,
        }
        if (made := health.estimate) is not None:
            values |= {
                "soh_estimate_percent": made.percent,
                "soh_estimate_calendar_percent": made.calendar,
                "soh_estimate_cycles_percent": made.cycles,
                "soh_estimate_imbalance_percent": made.imbalance,
            }
    return values
