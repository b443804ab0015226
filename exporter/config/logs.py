"""Logging: one event a line, as text or as JSON, and no site that drowns the others."""

from __future__ import annotations

import json
import logging
import re
import sys
import time
from collections import OrderedDict

from exporter.model.text import plain_line

SITE_EVENTS = 10
SITE_SECONDS = 60.0
_MOST_SITES = 20_000
_OF_A_SITE = re.compile(r"site %s\b")


class _TextFormatter(logging.Formatter):
    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: N802
        return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(record.created))

    def format(self, record: logging.LogRecord) -> str:
        lines = record.getMessage()
        if record.exc_info:
            lines += "\n" + self.formatException(record.exc_info)
        parts = [plain_line(line.strip()) for line in lines.split("\n")]
        stamp = self.formatTime(record)
        return f"{stamp} {record.levelname.lower():<7} {' | '.join(filter(None, parts))}"


class _JsonFormatter(_TextFormatter):
    def format(self, record: logging.LogRecord) -> str:
        event = {
            "time": self.formatTime(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        site = site_of(record)
        if site is not None:
            event["site"] = site
        if record.exc_info:
            event["exception"] = self.formatException(record.exc_info)
        return json.dumps(event, ensure_ascii=True)


def site_of(record: logging.LogRecord) -> str | None:
    """The site that an event is of, by the way all such messages begin: ``site %s``."""
    arguments = record.args
    if isinstance(arguments, tuple) and arguments and _OF_A_SITE.match(str(record.msg)):
        return str(arguments[0])
    return None


class PerSiteLimit(logging.Filter):
    """Lets :data:`SITE_EVENTS` events of a site pass in :data:`SITE_SECONDS`.

    The first event of a site after that says how many were left out.
    """

    def __init__(self) -> None:
        super().__init__()
        # Site: end of its span, events in it, events left out.
        self._sites: OrderedDict[str, tuple[float, int, int]] = OrderedDict()

    def filter(self, record: logging.LogRecord) -> bool:
        """See :class:`logging.Filter`."""
        site = site_of(record)
        if site is None:
            return True
        end, seen, left_out = self._sites.get(site, (0.0, 0, 0))
        if record.created >= end or end - record.created > SITE_SECONDS:
            if left_out:
                record.msg = f"{record.msg} (%d events of this site before were left out)"
                record.args = (*(record.args or ()), left_out)
            end, seen, left_out = record.created + SITE_SECONDS, 0, 0
        passes = seen < SITE_EVENTS
        self._sites[site] = (end, seen + passes, left_out + (not passes))
        self._sites.move_to_end(site)
        if len(self._sites) > _MOST_SITES:
            self._sites.popitem(last=False)
        return passes


def set_up(level: str, style: str) -> None:
    """Log to standard error; libraries only from warning up."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JsonFormatter() if style == "json" else _TextFormatter())
    handler.addFilter(PerSiteLimit())
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.WARNING)
    for own in ("exporter", "scoring"):
        logging.getLogger(own).setLevel(level.upper())
    # Whoever sends nonsense to the HTTP server must not fill the log with it.
    logging.getLogger("uvicorn").setLevel(logging.ERROR)
    # A turn that is left out because the one before runs on is counted, not logged.
    logging.getLogger("apscheduler").setLevel(logging.ERROR)
