"""Drivers: one module or folder per protocol, one line each in the registry."""

from __future__ import annotations

from types import MappingProxyType

from exporter.drivers.base import Driver, DriverContext, Endpoint, Registry
from exporter.drivers.modbus_tcp.modbus_tcp_driver import ModbusTcpDriver
from exporter.drivers.push.push_driver import PushDriver
from exporter.drivers.sunspec.sunspec_driver import SunSpecDriver
from exporter.drivers.template.template_driver import TemplateDriver
from exporter.drivers.template.template_mqtt_driver import TemplateMqttDriver
from exporter.drivers.venus.http_driver import VenusHttpDriver
from exporter.drivers.venus.mqtt_driver import VenusMqttDriver
from exporter.drivers.vrm.vrm_driver import VrmDriver

DRIVERS: Registry = MappingProxyType(
    {
        "venus-http": VenusHttpDriver,
        "modbus-tcp": ModbusTcpDriver,
        "venus-mqtt": VenusMqttDriver,
        "push": PushDriver,
        "sunspec": SunSpecDriver,
        "template": TemplateDriver,
        "template-mqtt": TemplateMqttDriver,
        "vrm": VrmDriver,
    }
)

__all__ = ["DRIVERS", "Driver", "DriverContext", "Endpoint", "Registry"]
