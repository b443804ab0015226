"""Log lines: one event a line, nothing forged, no site that drowns the others."""

from __future__ import annotations

import json
import logging
import sys
from typing import Any

from exporter.config.logs import (
    SITE_EVENTS,
    SITE_SECONDS,
    PerSiteLimit,
    _JsonFormatter,
    _TextFormatter,
)


def event(message: str, *arguments: object, at: float = 0.0, **more: Any) -> logging.LogRecord:
    record = logging.LogRecord("exporter.x", 30, "x.py", 1, message, arguments, None, **more)
    record.created = at
    return record


HOSTILE = "a\n1970-01-01T00:00:00Z error   forged\r\x1b[2J\u202e\u2028\ud800"


def test_an_event_is_one_line_whatever_is_in_it() -> None:
    line = _TextFormatter().format(event("site %s: %s", "alpha", HOSTILE))
    expected = "1970-01-01T00:00:00Z warning site alpha: a | 1970-01-01T00:00:00Z error   forged?"
    assert line.splitlines() == [line]
    assert line.startswith(expected)
    line.encode()


def test_a_traceback_is_one_line_too() -> None:
    try:
        raise ValueError(HOSTILE)
    except ValueError:
        record = event("it failed")
        record.exc_info = sys.exc_info()
    for formatter in (_TextFormatter(), _JsonFormatter()):
        line = formatter.format(record)
        assert line.splitlines() == [line]
        assert "ValueError" in line


def test_json_names_the_site() -> None:
    told = json.loads(_JsonFormatter().format(event("site %s: %s", "alpha", HOSTILE)))
    assert told["site"] == "alpha"
    assert told["message"] == f"site alpha: {HOSTILE}"
    assert "site" not in json.loads(_JsonFormatter().format(event("stopped")))


def test_a_site_that_flaps_is_limited_and_no_other() -> None:
    limit = PerSiteLimit()
    flapping = [limit.filter(event("site %s: x", "alpha", at=n)) for n in range(SITE_EVENTS + 5)]
    assert flapping == [True] * SITE_EVENTS + [False] * 5
    assert limit.filter(event("site %s: x", "beta", at=12.0))
    assert all(limit.filter(event("stopping", at=12.0)) for _ in range(100))
    again = event("site %s: x", "alpha", at=SITE_SECONDS)
    assert limit.filter(again)
    assert again.getMessage() == "site alpha: x (5 events of this site before were left out)"
    assert limit.filter(event("site %s: x", "alpha", at=-4000.0))
