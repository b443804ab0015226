"""The Fleetscope exporter: polls sites, stores what it saw, scores it and exposes the scores."""

from __future__ import annotations


def __getattr__(name: str) -> str:
    """``__version__``, looked up when asked for: it would take a command a tenth of its time."""
    if name != "__version__":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("fleetscope")
    except PackageNotFoundError:  # a checkout that was never installed
        return "0+unknown"
