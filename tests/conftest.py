"""What every test shares."""

from __future__ import annotations

from hypothesis import settings

# A slow machine is no failure: no test asserts how long anything takes.
settings.register_profile("fleetscope", deadline=None)
settings.load_profile("fleetscope")
