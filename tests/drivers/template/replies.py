"""What devices answer, made up after their public documents: a reply and its readings for each
template that ships."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import Any


def words(address: int, form: str, value: float, *, little: bool = False) -> dict[int, int]:
    """A value as registers from ``address`` on."""
    packed = struct.pack(f">{form}", value)
    found = struct.unpack(f">{len(packed) // 2}H", packed)
    return dict(enumerate(found[::-1] if little else found, address))


def merged(*parts: dict[int, int]) -> dict[int, int]:
    held: dict[int, int] = {}
    for part in parts:
        held |= part
    return held


@dataclass(frozen=True, slots=True)
class Recorded:
    """Documents by target, or registers of a unit; and what is read of them."""

    readings: dict[str, float]
    battery: dict[str, float] = field(default_factory=dict)
    documents: dict[str, Any] = field(default_factory=dict)
    registers: dict[int, int] = field(default_factory=dict)
    unit: int = 1
    parameters: dict[str, str] = field(default_factory=dict)


def _state(value: str) -> dict[str, Any]:
    return {"entity_id": "sensor.x", "state": value, "attributes": {"unit_of_measurement": "W"}}


def _sensor(value: float, unit: str) -> dict[str, Any]:
    return {"id": "sensor-x", "value": value, "state": f"{value} {unit}"}


_PHASE = {"power": 110.5, "pf": 0.9, "current": 0.6, "voltage": 231.4, "is_valid": True}
RECORDED: dict[str, Recorded] = {
    "shelly-3em": Recorded(
        {"grid_power_w": 331.5, "grid_voltage_v": 231.4, "grid_import_kwh": 33.3333}
        | {"grid_export_kwh": 0.666},
        documents={
            "/status": {
                "mac": "C45BBE000001",
                "total_power": 331.5,
                "emeters": [_PHASE | {"total": 11111.1, "total_returned": 222.0}] * 3,
            }
        },
    ),
    "shelly-pro-3em": Recorded(
        {"grid_power_w": -412.3, "grid_voltage_v": 229.8, "grid_frequency_hz": 50.0}
        | {"grid_import_kwh": 1234.567, "grid_export_kwh": 89.1},
        documents={
            "/rpc/EM.GetStatus?id=0": {
                "id": 0,
                "a_voltage": 229.8,
                "a_freq": 50.0,
                "total_act_power": -412.3,
                "errors": [],
            },
            "/rpc/EMData.GetStatus?id=0": {
                "id": 0,
                "total_act": 1234567.0,
                "total_act_ret": 89100.0,
            },
        },
    ),
    "fronius-solar-api": Recorded(
        {"grid_power_w": -2100.5, "pv_power_w": 5230.0, "load_power_w": 1600.5}
        | {"grid_frequency_hz": 50.01, "grid_voltage_v": 233.1}
        | {"grid_import_kwh": 5123.4, "grid_export_kwh": 9876.5},
        {"soc_percent": 78.5, "power_w": 1529.0},
        documents={
            "/solar_api/v1/GetPowerFlowRealtimeData.fcgi": {
                "Body": {
                    "Data": {
                        "Inverters": {"1": {"DT": 1, "P": 3701.0, "SOC": 78.5}},
                        "Site": {
                            "P_Akku": -1529.0,
                            "P_Grid": -2100.5,
                            "P_Load": -1600.5,
                            "P_PV": 5230.0,
                        },
                    }
                },
                "Head": {"Status": {"Code": 0}},
            },
            "/solar_api/v1/GetMeterRealtimeData.cgi?Scope=System": {
                "Body": {
                    "Data": {
                        "0": {
                            "Frequency_Phase_Average": 50.01,
                            "Voltage_AC_Phase_1": 233.1,
                            "EnergyReal_WAC_Sum_Consumed": 5123400.0,
                            "EnergyReal_WAC_Sum_Produced": 9876500.0,
                        }
                    }
                }
            },
        },
    ),
    "sonnenbatterie": Recorded(
        {"grid_power_w": 120, "pv_power_w": 0, "load_power_w": 620}
        | {"grid_frequency_hz": 50.012, "grid_voltage_v": 231},
        {"soc_percent": 54, "power_w": -500, "voltage_v": 205},
        documents={
            "/api/v1/status": {
                "Consumption_W": 620,
                "Fac": 50.012,
                "GridFeedIn_W": -120,
                "Pac_total_W": 500,
                "Production_W": 0,
                "USOC": 54,
                "Uac": 231,
                "Ubat": 205,
            }
        },
    ),
    "openems": Recorded(
        {"grid_power_w": -120, "pv_power_w": 3400, "load_power_w": 980}
        | {"grid_import_kwh": 4321.0, "grid_export_kwh": 8765.4},
        {"soc_percent": 66, "power_w": 2300, "charged_kwh": 901.2, "discharged_kwh": 850.1},
        documents={
            "/rest/channel/_sum/.*": [
                {"address": f"_sum/{name}", "type": "LONG", "accessMode": "RO", "value": value}
                for name, value in (
                    ("State", 0),
                    ("EssSoc", 66),
                    ("EssDischargePower", -2300),
                    ("GridActivePower", -120),
                    ("ProductionActivePower", 3400),
                    ("ConsumptionActivePower", 980),
                    ("GridBuyActiveEnergy", 4321000),
                    ("GridSellActiveEnergy", 8765400),
                    ("EssDcChargeEnergy", 901200),
                    ("EssDcDischargeEnergy", 850100),
                    ("GridMode", None),
                )
            ]
        },
    ),
    "evcc": Recorded(
        {"grid_power_w": 312.5, "pv_power_w": 1800, "load_power_w": 900},
        {"soc_percent": 42, "power_w": 1212.5},
        documents={
            "/api/state": {
                "grid": {"power": 312.5, "energy": 1000.1},
                "pvPower": 1800,
                "homePower": 900,
                "batterySoc": 42,
                "batteryPower": -1212.5,
            }
        },
    ),
    "home-assistant": Recorded(
        {"grid_power_w": -250.0, "pv_power_w": 2750.4},
        {"soc_percent": 87.0, "power_w": 1300.0},
        documents={
            "/api/states/sensor.soc": _state("87"),
            "/api/states/sensor.battery": _state("1300.0"),
            "/api/states/sensor.grid": _state("-250.0"),
            "/api/states/sensor.pv": _state("2750.4"),
        },
        parameters={
            "soc": "sensor.soc",
            "battery_power": "sensor.battery",
            "grid_power": "sensor.grid",
            "pv_power": "sensor.pv",
        },
    ),
    "esphome-jk-bms": Recorded(
        {},
        {
            "soc_percent": 71,
            "voltage_v": 53.12,
            "current_a": -12.4,
            "power_w": -658.7,
            "cell_min_v": 3.312,
            "cell_max_v": 3.329,
            "cell_spread_v": 0.017,
            "temperature_c": 24.5,
            "cycles": 118,
        },
        documents={
            "/sensor/garage_state_of_charge": _sensor(71, "%"),
            "/sensor/garage_total_voltage": _sensor(53.12, "V"),
            "/sensor/garage_current": _sensor(-12.4, "A"),
            "/sensor/garage_power": _sensor(-658.7, "W"),
            "/sensor/garage_min_cell_voltage": _sensor(3.312, "V"),
            "/sensor/garage_max_cell_voltage": _sensor(3.329, "V"),
            "/sensor/garage_temperature_sensor_1": _sensor(24.5, "°C"),
            "/sensor/garage_charging_cycles": _sensor(118, ""),
        },
        parameters={"prefix": "garage"},
    ),
    "dbus-serialbattery-gx": Recorded(
        {},
        {"voltage_v": 53.11, "current_a": -10.5, "power_w": -557, "soc_percent": 75.5}
        | {"cell_min_v": 3.31, "cell_max_v": 3.33, "cell_spread_v": 0.02, "cycles": 41},
        registers=merged(
            *(words(a, "H", 0) for a in (262, 268, 269, 272, 274, 304, 322)),
            words(256, "i", -557),
            words(259, "H", 5311),
            words(261, "h", -105),
            words(266, "H", 755),
            words(284, "H", 41),
            words(1290, "H", 331),
            words(1291, "H", 333),
        ),
    ),
    "huawei-sun2000": Recorded(
        {"pv_dc_power_w": 6120, "pv_power_w": 6120, "grid_power_w": -1500}
        | {"grid_frequency_hz": 49.98, "grid_voltage_v": 233.4}
        | {"grid_export_kwh": 12345.67, "grid_import_kwh": 2345.6},
        {"soc_percent": 88, "power_w": 3100, "charged_kwh": 4100.5, "discharged_kwh": 3900.25},
        registers=merged(
            words(32064, "i", 6120),
            words(37101, "i", 2334),
            words(37113, "i", 1500),
            words(37118, "h", 4998),
            words(37119, "I", 1234567),
            words(37121, "I", 234560),
            words(37760, "H", 880),
            words(37765, "i", 3100),
            words(37780, "I", 410050),
            words(37782, "I", 390025),
        ),
    ),
    "sungrow-sh": Recorded(
        {"pv_power_w": 4210, "grid_power_w": -1810, "load_power_w": 900}
        | {"grid_frequency_hz": 50.0, "grid_voltage_v": 232.1, "grid_import_kwh": 6789.1},
        {"soc_percent": 64.2, "soh_percent": 99, "voltage_v": 212.3, "temperature_c": 22.5},
        registers=merged(
            words(5016, "I", 4210, little=True),
            words(5018, "H", 2321),
            words(5035, "H", 500),
            words(13007, "i", 900, little=True),
            words(13009, "i", 1810, little=True),
            words(13019, "H", 2123),
            words(13022, "H", 642),
            words(13023, "H", 990),
            words(13024, "h", 225),
            words(13036, "I", 67891, little=True),
        ),
    ),
    "sma-hybrid": Recorded(
        # The second tracker is not there: its registers hold no value.
        {"pv_power_w": 2950, "grid_power_w": -640}
        | {"grid_frequency_hz": 50.02, "grid_voltage_v": 229.9},
        {"soc_percent": 51, "power_w": -780, "voltage_v": 401.25, "temperature_c": 26.1},
        registers=merged(
            words(30773, "i", 2950),
            words(30961, "i", -(2**31)),
            words(30783, "I", 22990),
            words(30803, "I", 5002),
            words(30845, "I", 51),
            words(30849, "i", 261),
            words(30851, "I", 40125),
            words(30865, "i", 0),
            words(30867, "i", 640),
            words(31393, "I", 0),
            words(31395, "I", 780),
        ),
        unit=3,
    ),
    "kostal-plenticore": Recorded(
        {"pv_power_w": 3120.5, "grid_power_w": 45.25}
        | {"grid_frequency_hz": 50.0, "grid_voltage_v": 230.5},
        {"soc_percent": 93, "power_w": 1210, "voltage_v": 380.5, "temperature_c": 21.5},
        registers=merged(
            words(100, "f", 3120.5, little=True),
            words(214, "f", 21.5, little=True),
            words(216, "f", 380.5, little=True),
            words(220, "f", 50.0, little=True),
            words(230, "f", 230.5, little=True),
            words(252, "f", 45.25, little=True),
            words(514, "H", 93),
            words(582, "h", -1210),
        ),
        unit=71,
    ),
    "solaredge-hybrid": Recorded(
        {"grid_power_w": -1250, "grid_frequency_hz": 49.997, "grid_voltage_v": 231.2},
        {"soc_percent": 45.5, "soh_percent": 98, "power_w": 1020.5, "voltage_v": 395.5}
        | {"current_a": 2.5, "temperature_c": 25.5},
        registers=merged(
            words(40079, "H", 2312),
            words(40082, "h", -1),
            words(40085, "H", 49997),
            words(40086, "h", -3),
            words(40206, "h", 125),
            words(40210, "h", 1),
            words(57708, "f", 25.5, little=True),
            words(57712, "f", 395.5, little=True),
            words(57714, "f", 2.5, little=True),
            words(57716, "f", 1020.5, little=True),
            words(57730, "f", 98, little=True),
            words(57732, "f", 45.5, little=True),
        ),
    ),
    "homewizard-p1": Recorded(
        {"grid_power_w": -543, "grid_voltage_v": 230.111, "grid_frequency_hz": 50}
        | {"grid_import_kwh": 13779.338, "grid_export_kwh": 13086.777},
        documents={
            "/api/v1/data": {
                "unique_id": "00112233445566778899AABBCCDDEEFF",
                "active_power_w": -543,
                "active_voltage_l1_v": 230.111,
                "active_frequency_hz": 50,
                "total_power_import_kwh": 13779.338,
                "total_power_export_kwh": 13086.777,
            }
        },
    ),
    "opendtu": Recorded(
        {"pv_ac_power_w": 612.4, "pv_power_w": 612.4}
        | {"grid_voltage_v": 233.6, "grid_frequency_hz": 50.02},
        documents={
            "/api/livedata/status": {
                "inverters": [{"serial": "116181234567", "producing": True}],
                "total": {"Power": {"v": 612.4, "u": "W", "d": 1}},
            },
            "/api/livedata/status?inv=116181234567": {
                "inverters": [
                    {
                        "serial": "116181234567",
                        "AC": {
                            "0": {
                                "Power": {"v": 305.1, "u": "W"},
                                "Voltage": {"v": 233.6, "u": "V"},
                                "Frequency": {"v": 50.02, "u": "Hz"},
                            }
                        },
                    }
                ]
            },
        },
        parameters={"inverter": "116181234567"},
    ),
    "eastron-sdm630": Recorded(
        {"grid_power_w": -1250.5, "grid_voltage_v": 231.5, "grid_frequency_hz": 50.0}
        | {"grid_import_kwh": 1234.5, "grid_export_kwh": 99.25},
        registers=merged(
            words(0, "f", 231.5),
            words(52, "f", -1250.5),
            words(70, "f", 50.0),
            words(72, "f", 1234.5),
            words(74, "f", 99.25),
        ),
    ),
    "datacentre-node": Recorded(
        {"load_power_w": 125500, "grid_frequency_hz": 49.98, "cpu_percent": 41.5}
        | {"network_sent_mb": 812.5, "network_received_mb": 2210.25, "load_factor_ratio": 0.62},
        documents={
            "/telemetry": {
                "dc_id": "DC01",
                "timestamp": "2026-03-01T08:00:00Z",
                "cpu_usage": 41.5,
                "power_kw": 125.5,
                "freq": 49.98,
                "network_mb_sent": 812.5,
                "network_mb_recv": 2210.25,
                "load_factor": 0.62,
            }
        },
    ),
}
