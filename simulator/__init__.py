"""Believable battery and solar sites, served over HTTP in the manner of a real site bridge."""

from __future__ import annotations

from simulator.bridge import BridgeServer
from simulator.engine import Simulator
from simulator.scenario import Scenario

__all__ = ["BridgeServer", "Scenario", "Simulator"]
