"""What each device of a site shows on its bus: flat maps of path to value."""

from __future__ import annotations

from simulator.devices.names import Tree
from simulator.devices.trees import SiteBus

__all__ = ["SiteBus", "Tree"]
