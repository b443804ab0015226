"""The evidence of a period for people: one HTML document, from which the PDF is made."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from markupsafe import Markup


def evidence_html(data: Mapping[str, Any], key: str) -> str:
    """The document; every text of the ledger or the contracts is escaped.

    Parameters
    ----------
    data : mapping
        As :func:`exporter.portfolio.evidence.gathered` makes it.
    key : str
        Fingerprint of the key that signs.
    """
    from jinja2 import Environment, FileSystemLoader

    folder = Path(__file__).parent
    environment = Environment(loader=FileSystemLoader(folder), autoescape=True)
    zone = ZoneInfo(data["zone"])

    def moment(seconds: float) -> str:
        return f"{datetime.fromtimestamp(seconds, zone):%d %b %Y %H:%M}"

    start, end = data["start"], data["end"]
    events = [
        row for row in data["tables"]["events"]["rows"] if row["end"] is None or row["end"] > start
    ]
    return environment.get_template("evidence.html").render(
        d=data,
        key=key,
        events=events,
        begin=moment(start),
        end=moment(end),
        moment=moment,
        hours=_hours,
        number=_number,
        style=Markup((folder / "report.css").read_text("utf-8")),  # noqa: S704 - a file of this package
    )


def _hours(seconds: float | None) -> str:
    return "–" if seconds is None else f"{seconds / 3600:,.2f} h"


def _number(value: float | str | None, digits: int) -> str:
    return "–" if value is None else f"{float(value):,.{digits}f}"
