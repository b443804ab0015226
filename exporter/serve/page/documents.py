"""Documents put together from the parts beside this module, and the policies that admit them."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import orjson

from exporter.config.settings import Settings
from exporter.deliver.runbooks import OTHER_ISSUES, issue_runbooks
from exporter.model.quantities import API_KEYS, OTHER_LABELS, ROWS
from scoring.rules import CELL_WARMER_BY_C
from scoring.status import GOOD_FROM, HEALTHY_FROM, WARNING_FROM

_FOLDER = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts of a page within the frame that all have."""

    title: str
    html: str
    styles: tuple[str, ...]
    scripts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Links:
    """Addresses of others as a browser reaches them; empty where none is set.

    Attributes
    ----------
    grafana : str
    runbooks : str
        The document with the runbooks.
    orders : str
        The route of orders; empty without a journal of them.
    """

    grafana: str = ""
    runbooks: str = "runbooks"
    orders: str = ""

    @classmethod
    def of(cls, settings: Settings) -> Links:
        """Those of the settings."""
        runbooks = settings.runbooks_url
        return cls(
            settings.grafana_url or "",
            f"{runbooks}/docs/runbooks.md" if runbooks else "runbooks",
            "api/v1/orders" if settings.dispatch_journal is not None else "",
        )


FLEET = Parts(
    "Fleetscope",
    "page.html",
    ("page.css",),
    (
        *("base.js", "theme.js", "axes.js", "answers.js", "drawings.js", "history.js"),
        *("alerts.js", "orders.js", "timeline.js", "site.js", "fleet.js"),
    ),
)
CELLS = Parts(
    "Cells · Fleetscope",
    "cells.html",
    ("page.css", "cells.css"),
    (
        *("base.js", "theme.js", "axes.js", "cell_grid.js", "webgl.js", "surface.js"),
        *("heatmap.js", "cells.js"),
    ),
)
ENERGY = Parts(
    "Energy · Fleetscope",
    "energy.html",
    ("page.css", "energy.css"),
    ("base.js", "theme.js", "axes.js", "sankey.js", "energy.js"),
)
RUNBOOK = Parts("Runbooks · Fleetscope", "runbooks.html", ("page.css", "runbooks.css"))


def document(
    parts: Parts = FLEET, links: Links | None = None, content: str = ""
) -> tuple[bytes, str]:
    """A whole page, and the content security policy that admits its own parts alone.

    Parameters
    ----------
    parts : Parts
    links : Links, optional
    content : str
        HTML of a page without a script.
    """
    # The policy holds the hash of exactly what stands in the page.
    style = "\n".join(_read(name) for name in parts.styles).rstrip("\n")
    scripts, tag = "'none'", ""
    if parts.scripts:
        constants = [*_tables(), f"const LINKS = {_json(asdict(links or Links()))};"]
        script = "\n".join([*constants, *(_read(name) for name in parts.scripts)])
        scripts = _hash(script)
        tag = f'<script type="module">{script}</script>'
    html = _filled(
        {
            "<!-- title -->": parts.title,
            "/* style */": style,
            "<!-- body -->": _read(parts.html),
            "<!-- look -->": _read("look.html"),
            "<!-- script -->": tag,
            "<!-- content -->": content,
        }
    )
    policy = (
        "default-src 'none'",
        f"script-src {scripts}",
        f"style-src {_hash(style)}",
        "connect-src 'self'",
        "img-src data:",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        # Whatever would make markup out of a text fails, names of sites included.
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    )
    return html.encode(), "; ".join(policy)


def _filled(parts: Mapping[str, str]) -> str:
    """The frame with each part in place of its mark."""
    html = _read("frame.html")
    for mark, text in parts.items():
        html = html.replace(mark, text.rstrip("\n"), 1)
    return html


def _tables() -> list[str]:
    """The rows and limits that pages show; ``SECOND_KEYS`` repeat the figure of another key."""
    rows = {
        row.name: {"label": row.label, "unit": row.unit, "decimals": row.decimals} for row in ROWS
    }
    others = {name: {"label": text} for name, text in OTHER_LABELS.items()}
    statuses = [["HEALTHY", HEALTHY_FROM], ["GOOD", GOOD_FROM], ["WARNING", WARNING_FROM]]
    runbooks = issue_runbooks()
    return [
        f"const QUANTITIES = {_json(rows | others)};",
        f"const SECOND_KEYS = new Set({_json(sorted(API_KEYS))});",
        f"const STATUS_FROM = {_json(statuses)};",
        f"const CELL_WARMER_BY = {CELL_WARMER_BY_C};",
        f"const RUNBOOKS = {_json(runbooks)};",
        f"const OTHER_RUNBOOKS = {_json(runbooks[OTHER_ISSUES])};",
    ]


def _json(value: object) -> str:
    # A text with a tag in it must not end the script.
    return orjson.dumps(value).decode().replace("<", "\\u003c")


def _read(name: str) -> str:
    return (_FOLDER / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"
