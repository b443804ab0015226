"""Where sites are and whom to call, for those who may see contacts."""

from __future__ import annotations

from typing import Any

import numpy as np

from exporter.ask.answer import Answer, Column, Table
from exporter.ask.builder import SITE_COLUMNS, Builder
from exporter.ask.catalogue import METRICS
from exporter.ask.ordering import ordered
from exporter.model.text import sites_word

_COLUMNS = (
    *SITE_COLUMNS,
    Column("location", "Location"),
    Column("contact", "Contact"),
    Column("phone", "Phone"),
    Column("email", "E-mail"),
    Column("why", "Why"),
)
_HIDDEN = "contacts; they need a sign-in with the right to see them (docs/security.md)"


def contact_answer(b: Builder) -> Answer:
    """Location and contact of the sites asked about, those that need attention first.

    Metrics stand beside them; with an order, the first one puts the sites in order.
    """
    mask = b.mask & b.view.tests(b.query)
    if b.query.severity:
        mask &= b.view.at_least(b.query.severity)
    rows = b.view.ranked(mask)
    ordered_by = bool(b.query.metrics and b.query.order)
    if ordered_by:
        metric = METRICS[b.query.metrics[0]]
        values = np.where(mask, b.view.values(metric), np.nan)
        rows = ordered(b.view, values, metric, b.query.order or "highest")
    shown = rows[: b.query.limit or 1] if ordered_by else b.limit(rows)
    lines = [_line(b, row) for row in shown]
    metrics = [METRICS[name] for name in b.query.metrics]
    for metric in metrics:
        values = b.view.values(metric)
        for line, row in zip(lines, shown, strict=True):
            line[metric.name] = b.view.number(values, row)
    columns = (*_COLUMNS, *(b.metric_column(metric, shown) for metric in metrics))
    if not b.view.contacts:
        b.evidence.missing.append(_HIDDEN)
    table = Table("Where, and whom to call", columns, lines, len(rows))
    total = len(shown) if ordered_by else len(rows)
    return b.answer(_headline(b, lines, total), [table], shown)


def _line(b: Builder, row: int) -> dict[str, Any]:
    site = b.view.sites[row]
    issues = b.view.issues(row)
    line = b.view.identity(row) | {
        "location": site.location or "",
        "why": issues[0].sentence if issues else "",
    }
    contact = site.contact if b.view.contacts else None
    return line | {
        "contact": contact.name if contact else None,
        "phone": contact.phone if contact else None,
        "email": contact.email if contact else None,
    }


def _headline(b: Builder, lines: list[dict[str, Any]], total: int) -> str:
    if not lines:
        return f"No site of {b.of_sites()} is meant."
    if total > 1:
        return f"{sites_word(total)}; first {_words(b, lines[0])}."
    return f"{_words(b, lines[0])}."


def _words(b: Builder, line: dict[str, Any]) -> str:
    text = f"{line['name']}: {line['location'] or 'no location in the fleet file'}"
    if not b.view.contacts:
        return f"{text}; its contact is not shown without the right to see it"
    ways = [line[key] for key in ("contact", "phone", "email") if line[key]]
    return f"{text}; call {', '.join(ways)}" if ways else f"{text}; no contact in the fleet file"
