"""Drivers: one module per protocol, named in one registry.

The registry is what the fleet file's ``driver`` is checked against.
"""

from __future__ import annotations

from types import MappingProxyType

from exporter.drivers.base import Driver, DriverContext, Endpoint, Registry
from exporter.drivers.venus.http_driver import VenusHttpDriver

DRIVERS: Registry = MappingProxyType({"venus-http": VenusHttpDriver})

__all__ = ["DRIVERS", "Driver", "DriverContext", "Endpoint"]
