"""The Fleetscope exporter: polls sites, stores what it saw, scores it and exposes the scores."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("fleetscope")
except PackageNotFoundError:  # a checkout that was never installed
    __version__ = "0+unknown"
