"""A report as one HTML document without outside requests, and as the data behind it."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import asdict
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from exporter.deliver.report import plots
from exporter.deliver.report.model import Report
from exporter.history.coverage import percent_words
from exporter.model.text import duration_words

if TYPE_CHECKING:
    from jinja2 import Template

ENERGY_WORDS = {
    "pv_kwh": "PV",
    "load_kwh": "load",
    "import_kwh": "from the grid",
    "export_kwh": "to the grid",
    "charged_kwh": "charged",
    "discharged_kwh": "discharged",
}
QUANTITY_WORDS = {"soh_percent": "state of health", "cell_spread_v": "cell spread"}


def as_html(report: Report) -> str:
    """The report for a person; every text of a site or fleet file is escaped."""
    return _template().render(
        r=report,
        style=Markup(_style()),  # noqa: S704 - a file of this package
        policy=policy(),
        plots=plots,
        energy_words=ENERGY_WORDS,
        quantity_words=QUANTITY_WORDS,
        balances=balances,
        period=duration_words(report.end - report.start),
    )


def policy() -> str:
    """The content security policy under which a browser shows the report: its own style alone."""
    digest = base64.b64encode(hashlib.sha256(_style().encode()).digest()).decode()
    return (
        f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; base-uri 'none'; "
        "form-action 'none'"
    )


@cache
def _style() -> str:
    return Path(__file__).with_name("report.css").read_text("utf-8")


def balances(report: Report) -> str:
    """Throughput, efficiency, self-consumption and self-sufficiency, as far as they are known."""
    parts = []
    if report.throughput_kwh is not None:
        parts.append(f"Battery throughput {_figure(report.throughput_kwh, 'kWh')}")
    for words, share in (
        ("efficiency", report.efficiency),
        ("self-consumption of PV", report.self_consumption),
        ("self-sufficiency", report.self_sufficiency),
    ):
        if share is not None:
            parts.append(f"{words} {_share(share)}")
    text = ", ".join(parts)
    return f"{text[0].upper()}{text[1:]}." if text else ""


def as_data(report: Report) -> dict[str, Any]:
    """The report as plain JSON values."""
    return asdict(report)


def title(report: Report) -> str:
    """What a subject line says."""
    count = len(report.attention)
    needs = "1 site needs attention" if count == 1 else f"{count} sites need attention"
    thin = "" if report.observed.enough else f", {percent_words(report.observed.share)} observed"
    return f"Fleetscope report to {_day(report.end)}: {needs}{thin}"


@cache
def _template() -> Template:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        day=_day,
        moment=_moment,
        figure=_figure,
        percent=_percent,
        observed=percent_words,
        share=_share,
        points=_points,
        money=_money,
    )
    return environment.get_template("report.html")


def _day(time: float) -> str:
    return f"{datetime.fromtimestamp(time, UTC):%-d %B %Y}"


def _moment(time: float) -> str:
    return f"{datetime.fromtimestamp(time, UTC):%-d %b %Y %H:%M} UTC"


def _figure(value: float | None, unit: str = "") -> str:
    if value is None:
        return "–"
    digits = 3 if unit == "V" else 0 if abs(value) >= 100 else 1
    return f"{value:z,.{digits}f} {unit}".rstrip()


def _percent(value: float | None) -> str:
    if value is None:
        return "–"
    # Neither all nor nothing by rounding.
    return f"{min(100 * value, 99.99) if value < 1 else 100:.2f} %"


def _share(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.0f} %"


def _points(value: float | None) -> str:
    return "–" if value is None else f"{value:.0f}"


def _money(value: float | None, currency: str | None) -> str:
    return "–" if value is None else f"{value:z,.0f} {currency}"
