"""What the fleet file says of sites: over which protocol they are read, their vendor, and so on."""

from __future__ import annotations

from collections import Counter
from typing import Any

from exporter.ask.answer import Answer, CannotAnswerError, Column, Table
from exporter.ask.builder import SITE_COLUMNS, Builder, capital, in_order
from exporter.ask.lookup import attribute_values
from exporter.model.text import sites_word

MOST_SHOWN = 6


def facts_answer(b: Builder) -> Answer:
    """One attribute of the sites asked about.

    Raises
    ------
    CannotAnswerError
        If no attribute is named, or no site has it.
    """
    attribute = b.query.group_by
    if attribute is None or attribute == "status":
        raise CannotAnswerError("which fact? Name one, such as group_by=protocol")
    rows = in_order(b, b.mask & b.view.tests(b.query))
    lines = [_line(b, row, attribute) for row in rows]
    known = [line for line in lines if line["value"]]
    name = attribute.replace("_", " ")
    if not known:
        raise CannotAnswerError(f"the fleet file gives no {name} of {b.of_sites()}")
    if len(known) < len(lines):
        b.evidence.missing.append(f"{name} of {sites_word(len(lines) - len(known))}")
    if len(lines) == 1:
        head = f"{capital(name)} of {lines[0]['name']}: {lines[0]['value']}."
        if attribute == "protocol":
            way = b.view.assessment.site(rows[0]).way_in
            head = f"{lines[0]['name']} is read over {lines[0]['value']}, last by {way}."
    else:
        counts = Counter(line["value"] for line in known).most_common()
        texts = [f"{value} {sites_word(count)}" for value, count in counts[:MOST_SHOWN]]
        more = len(counts) - MOST_SHOWN
        head = f"{capital(name)} of {sites_word(len(known))}: {', '.join(texts)}"
        head += f", and {more} more." if more > 0 else "."
    columns = (*SITE_COLUMNS, Column("value", capital(name)))
    shown = b.limit(lines)
    return b.answer(head, [Table(capital(name), columns, shown, len(lines))], b.limit(rows))


def _line(b: Builder, row: int, attribute: str) -> dict[str, Any]:
    site = b.view.sites[row]
    found = attribute_values(site, attribute)
    if attribute == "location":
        # The whole stands first, its parts behind it.
        found = found[:1]
    if attribute == "protocol" and len(found) == 2:
        text = f"{found[0]} ({found[1]})"
    else:
        text = ", ".join(found)
    return b.view.identity(row) | {"value": text}
