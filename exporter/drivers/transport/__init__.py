"""Ways to reach a site: one folder for each transport, and the clients that drivers share."""

from __future__ import annotations

from dataclasses import dataclass, field

from exporter.drivers.transport.http.site_client import HttpTransport
from exporter.drivers.transport.modbus.gateway import ModbusTransport
from exporter.drivers.transport.mqtt.broker import MqttTransport
from exporter.drivers.transport.push import PushTransport
from exporter.drivers.transport.request_budget import RequestBudgets


@dataclass(frozen=True, slots=True)
class Transports:
    """One shared client for each transport. A new transport is one more field."""

    http: HttpTransport
    modbus: ModbusTransport = field(default_factory=ModbusTransport)
    mqtt: MqttTransport = field(default_factory=MqttTransport)
    push: PushTransport = field(default_factory=PushTransport)
    vrm: RequestBudgets = field(default_factory=RequestBudgets)
