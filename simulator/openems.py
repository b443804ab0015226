"""The channels of an OpenEMS Edge that its REST API gives for a site as a whole.

Source: OpenEMS documentation, REST/JSON API controller, and its component ``_sum``.
"""

from __future__ import annotations

from typing import Any

from simulator.state import SiteState

ROUTE = "/rest/channel/_sum/.*"


def channels(state: SiteState) -> list[dict[str, Any]]:
    """What ``_sum`` has, as the API writes it: powers in W, energies in Wh, discharge positive."""
    values: dict[str, int | None] = {
        "State": 0,
        "EssSoc": round(state.soc),
        "EssDischargePower": round(-state.battery_power),
        "GridActivePower": round(state.grid),
        "ProductionActivePower": round(state.pv_ac + state.pv_dc),
        "ConsumptionActivePower": round(state.load),
        "GridBuyActiveEnergy": round(state.imported_kwh * 1000),
        "GridSellActiveEnergy": round(state.exported_kwh * 1000),
        "EssDcChargeEnergy": round(state.charged_kwh * 1000),
        "EssDcDischargeEnergy": round(state.discharged_kwh * 1000),
        "GridMode": 1 if state.grid_connected else 2,
    }
    return [
        {"address": f"_sum/{name}", "type": "LONG", "accessMode": "RO", "text": "", "value": value}
        for name, value in values.items()
    ]
