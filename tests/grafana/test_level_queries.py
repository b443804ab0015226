"""What dashboards ask of a level is answered alike at every level, on real servers."""

from __future__ import annotations

import re
import time

import pytest

from exporter.history.cells.wear import MEANINGS as WEAR
from exporter.history.rollups.recount import recount
from exporter.history.rollups.source import DAY_MS, Source
from exporter.model.levels import LEVELS, RAW, duration_seconds
from exporter.store.connection import Connection
from exporter.store.queue import compress
from grafana.generate import dashboards
from grafana.kit.levels import DETAILS
from tests.store.test_influx_targets import Server, influx1, influx2, server  # noqa: F401

pytestmark = pytest.mark.stack

NOW = int(time.time() * 1000)
DAY = (NOW // DAY_MS - 1) * DAY_MS
STEP_MS = 300_000
SPIKE = 150
SAME_AT_EVERY_LEVEL = re.compile(r"SELECT (?:min|max|mean)\(/")


def day() -> list[str]:
    """Yesterday of one site with everything that is rolled up, every five minutes."""
    lines = []
    for n in range(DAY_MS // STEP_MS):
        t = DAY + n * STEP_MS
        # Powers change their sign, each in hours of its own.
        wave = float((n // 12) % 4 - 1.5) * 100 + n % 7
        site = {
            **dict.fromkeys(("grid_power_w", "load_power_w", "pv_power_w"), wave),
            **dict.fromkeys(("pv_dc_power_w", "pv_ac_power_w", "genset_power_w"), wave),
            **{"pv_expected_w": 900, "scrape_seconds": 0.1 + n % 3, "online": 1},
            **{"grid_frequency_hz": 50 + n % 5 / 100, "grid_voltage_v": 230 + n % 9},
            **{"grid_voltage_min_v": 228, "grid_voltage_max_v": 240, "grid_connected": 1},
            **{"pv_disabled": n % 2, "system_state": 3 + n % 3, "grid_import_kwh": 10 + n / 10},
            "grid_export_kwh": 5 + n / 20,
        }
        lines.append(f"site,site=s {_fields(site)} {t}")
        for pack in ("1", "2"):
            battery = {
                **{"soc_percent": 50 + n % 11, "soh_percent": 97, "voltage_v": 52 + n % 3},
                **{"current_a": wave / 50, "power_w": wave, "temperature_c": 20 + n % 4},
                **{"cell_min_v": 3.2, "cell_max_v": 3.3 + n % 5 / 100, "cell_spread_v": 0.1},
                **{"cell_min_temperature_c": 19, "cell_max_temperature_c": 22 + n % 4},
                **{"cycles": 100 + n // 100, "charged_kwh": 7 + n / 5, "discharged_kwh": n / 6},
            }
            lines.append(f"battery,site=s,device={pack} {_fields(battery)} {t}")
            for cell in range(1, 5):
                volts = 2.6 if (pack, cell, n) == ("1", 3, SPIKE) else 3.3 + (n % 6 + cell) / 1000
                lines.append(
                    f"cell,site=s,pack={pack},cell={cell} voltage_v={volts},"
                    f"temperature_c={20 + cell + n % 5}.0 {t}"
                )
        meter = {"active_power_w": wave, "power_factor": 0.9 + n % 3 / 100}
        meter |= {"energy_import_kwh": 3 + n / 4, "energy_export_kwh": 2 + n / 8}
        lines.append(f"meter,site=s,meter=m1 {_fields(meter)} {t}")
        for pack in ("1", "2"):
            lines.append(f"wear,site=s,pack={pack} {_fields(dict.fromkeys(WEAR, 50.0))} {t}")
        lines.append(f"alarm,site=s,device=1,alarm=LowVoltage level={n % 3}.0 {t}")
        lines.append(f"health,site=s,component=overall score={60 + n % 30}.0,status=1.0 {t}")
        lines.append(f"issue,site=s,code=cell_spread active=1.0,severity={1 + n % 3}.0 {t}")
    return lines


def _fields(values: dict[str, float]) -> str:
    return ",".join(f"{name}={float(value)}" for name, value in values.items())


def asked() -> dict[str, str]:
    """Every query of a panel that names a level by a variable."""
    found = {}
    for uid, dashboard in dashboards().items():
        # A collapsed row holds its panels itself.
        panels = [p for top in dashboard["panels"] for p in (top, *top.get("panels", ()))]
        for panel in panels:
            for target in panel.get("targets", []):
                query = target.get("query", "")
                if any(f'"${detail.name}"' in query for detail in DETAILS):
                    found[f"{uid}: {panel['title']}: {target['refId']}"] = query
    return found


def filled(query: str, level: str) -> str:
    """The query for yesterday, by the hour."""
    values = {detail.name: level for detail in DETAILS} | {
        "timeFilter": f"time >= {DAY}ms AND time < {DAY + DAY_MS}ms",
        "__interval": "1h",
        "__to": str(DAY + DAY_MS - 1),
        "site": "s",
        "pack": "1",
        "meter": "m1",
        "kept": "min",
        "zone": "UTC",
    }
    text = query
    for name, value in values.items():
        text = re.sub(rf"\$(?:\{{{name}\}}|{name}\b)", value, text)
    assert not re.search(r"\$[A-Za-z_{]", text), text
    return text


Rows = dict[tuple[str, str], tuple[float, ...]]


async def answer(server: Server, query: str) -> Rows:  # noqa: F811
    """Values by series and time, without what is empty."""
    found: Rows = {}
    for series in await server.query(query):
        for at, *values in series["values"]:
            if any(value is not None for value in values):
                found[str(series.get("tags")), at] = tuple(values)
    return found


async def test_every_level_answers_what_dashboards_ask(server: Server) -> None:  # noqa: F811
    kept = {level.name: duration_seconds(level.retention) for level in LEVELS}
    kept |= {RAW: duration_seconds("90d")}
    source = Source(Connection(server.url, "fleet", server.headers, kept if server.headers else {}))
    target = server.target()
    queries = asked()
    assert len(queries) > 60
    try:
        await target.prepare()
        await target.write(compress(day(), NOW / 1000, RAW).body, RAW)
        await recount(source, target, DAY, DAY + 1, NOW)
        for place, query in queries.items():
            full = await answer(server, filled(query, RAW))
            # Sites near 50 Hz and 230 V have no band around 60 Hz or 120 V.
            assert full or re.search(r"Grid (frequency|voltage): [D-G]", place), place
            for level in ("rollup_5m", "rollup_15m", "rollup_1h"):
                rolled = await answer(server, filled(query, level))
                if "$__interval" in query:
                    assert rolled.keys() == full.keys(), (place, level)
                assert bool(rolled) == bool(full), (place, level)
                if SAME_AT_EVERY_LEVEL.match(query):
                    for key, values in rolled.items():
                        assert values == pytest.approx(full[key]), (place, level)
        # One sample of one cell, in the coarsest level and in the range of a year.
        lowest = queries["fleetscope-pack: Voltage of every cell in physical order: A"]
        at_1d = await answer(server, filled(lowest, "rollup_1d"))
        assert min(value for (value,) in at_1d.values()) == 2.6
    finally:
        source.close()
        await target.close()
