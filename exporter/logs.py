"""Logging: one event a line, as text or as JSON."""

from __future__ import annotations

import json
import logging
import re
import sys
import time

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


class _TextFormatter(logging.Formatter):
    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: N802
        return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(record.created))

    def format(self, record: logging.LogRecord) -> str:
        stamp = self.formatTime(record)
        lines = record.getMessage()
        if record.exc_info:
            lines += "\n" + self.formatException(record.exc_info)
        first, *rest = lines.split("\n")
        text = [f"{stamp} {record.levelname.lower():<7} {_clean(first)}"]
        return "\n".join(text + ["    " + _clean(line) for line in rest])


class _JsonFormatter(_TextFormatter):
    def format(self, record: logging.LogRecord) -> str:
        event = {
            "time": self.formatTime(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            event["exception"] = self.formatException(record.exc_info)
        return json.dumps(event, ensure_ascii=True)


def _clean(line: str) -> str:
    """What a site or a file puts into a message cannot forge a line or move the cursor."""
    return _CONTROL.sub("?", line)


def set_up(level: str, style: str) -> None:
    """Log to standard error; libraries only from warning up."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JsonFormatter() if style == "json" else _TextFormatter())
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.WARNING)
    for own in ("exporter", "scoring"):
        logging.getLogger(own).setLevel(level.upper())
    # A turn that is left out because the one before runs on is counted, not logged.
    logging.getLogger("apscheduler").setLevel(logging.ERROR)
