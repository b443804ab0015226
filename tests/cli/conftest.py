"""The exporter that answers questions, as the tests of ``exporter/ask`` run it."""

from __future__ import annotations

from tests.ask.conftest import assessment, directory, url

__all__ = ["assessment", "directory", "url"]
