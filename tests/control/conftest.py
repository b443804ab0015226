"""Devices that lapse soon, and a control with little patience, so that tests need not wait."""

from __future__ import annotations

from dataclasses import replace

import pytest

from exporter.control import site_control
from exporter.drivers.modbus_tcp import modbus_tcp_driver
from exporter.drivers.venus import mqtt_driver, setpoint
from scoring.orders import following

REVERSION_SECONDS = 3.0


@pytest.fixture
def short_times(monkeypatch: pytest.MonkeyPatch) -> None:
    short = {
        name: replace(known, reversion_seconds=REVERSION_SECONDS)
        for name, known in setpoint.CAPABILITIES.items()
    }
    monkeypatch.setattr(modbus_tcp_driver, "CAPABILITIES", short)
    monkeypatch.setattr(mqtt_driver, "CAPABILITIES", short)
    monkeypatch.setattr(following, "SHORTEST_SETTLING_SECONDS", 2.0)
    monkeypatch.setattr(following, "SETTLING_INTERVALS", 0.0)
    monkeypatch.setattr(site_control, "RETRY_SECONDS", (0.1, 0.2))
    monkeypatch.setattr(site_control, "SILENCE_SECONDS", 3.0)
