"""Devices that lapse soon, and a control that never gives up because the machine is slow.

No test depends on being quick: the clock of a device goes slowly while its lease has to hold
(:class:`tests.control.world.Pace`), clocks are stepped where an order has to expire, and a control
gives up soon only where a test asks for it (``soon_given_up``).
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from exporter.control import dispatcher, in_force, site_control
from exporter.drivers.modbus_tcp import modbus_tcp_driver
from exporter.drivers.venus import mqtt_driver, setpoint
from scoring.orders import following

REVERSION_SECONDS = 3.0
LONG_SECONDS = 600.0
SOON_SECONDS = 0.5


@pytest.fixture
def short_times(monkeypatch: pytest.MonkeyPatch) -> None:
    short = {
        name: replace(known, reversion_seconds=REVERSION_SECONDS)
        for name, known in setpoint.CAPABILITIES.items()
    }
    monkeypatch.setattr(modbus_tcp_driver, "CAPABILITIES", short)
    monkeypatch.setattr(mqtt_driver, "CAPABILITIES", short)
    monkeypatch.setattr(following, "SHORTEST_SETTLING_SECONDS", LONG_SECONDS)
    monkeypatch.setattr(following, "SETTLING_INTERVALS", 0.0)
    monkeypatch.setattr(site_control, "RETRY_SECONDS", (0.1, 0.2))
    monkeypatch.setattr(in_force, "SILENCE_SECONDS", LONG_SECONDS)
    monkeypatch.setattr(dispatcher, "STOP_SECONDS", LONG_SECONDS)
    monkeypatch.setattr(dispatcher, "CHANGE_SECONDS", LONG_SECONDS)


@pytest.fixture
def soon_given_up(short_times: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """A site that does not follow is ineffective soon."""
    monkeypatch.setattr(following, "SHORTEST_SETTLING_SECONDS", SOON_SECONDS)
