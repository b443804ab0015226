"""What the energies of a site over a period come to. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from scoring.flows import self_consumption, self_sufficiency, share

LEAST_CYCLES = 1.0
"""Below it, what a battery holds more or less than before says more than its losses."""


def balance(
    kwh: Mapping[str, float | None], capacity_kwh: float | None, charge_change: float | None
) -> dict[str, float | None]:
    """Throughput of the battery and its efficiency, self-consumption and self-sufficiency.

    Parameters
    ----------
    kwh : mapping
        ``pv_kwh``, ``load_kwh``, ``import_kwh``, ``export_kwh``, ``charged_kwh`` and
        ``discharged_kwh`` over the same observed time; None is unknown.
    capacity_kwh : float or None
        Of the battery.
    charge_change : float or None
        State of charge at the end less that at the beginning, percent points.

    Returns
    -------
    dict
        ``throughput_kwh``, and ``efficiency``, ``self_consumption`` and ``self_sufficiency`` as
        shares, 0 to 1; None where something that they need is unknown or contradicts itself.
    """
    charged, discharged = kwh["charged_kwh"], kwh["discharged_kwh"]
    found: dict[str, float | None] = dict.fromkeys(
        ("throughput_kwh", "efficiency", "self_consumption", "self_sufficiency")
    )
    if charged is not None and discharged is not None:
        found["throughput_kwh"] = charged + discharged
        if capacity_kwh and charge_change is not None and charged >= LEAST_CYCLES * capacity_kwh:
            stored = charge_change / 100 * capacity_kwh
            found["efficiency"] = share(discharged, charged - stored)
    found["self_consumption"] = self_consumption(kwh["pv_kwh"], kwh["export_kwh"])
    found["self_sufficiency"] = self_sufficiency(kwh["load_kwh"], kwh["import_kwh"])
    return found
