"""What every test shares."""

from __future__ import annotations

import pytest
from _pytest.terminal import TerminalReporter
from hypothesis import settings

from tests import skips

# A slow machine is no failure: no test asserts how long anything takes.
settings.register_profile("fleetscope", deadline=None)
settings.load_profile("fleetscope")


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter: TerminalReporter) -> None:
    """Say which tests a run left out, so that nobody takes it for a full one."""
    reports = terminalreporter.stats.get("skipped", [])
    reasons = [report.longrepr[2] for report in reports if isinstance(report.longrepr, tuple)]
    sentence = skips.summary(reasons)
    if sentence is not None:
        terminalreporter.write_line(sentence, yellow=True)
