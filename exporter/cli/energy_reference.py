"""The part of the schema's reference that is about energy."""

from __future__ import annotations

from exporter.cli.markdown import table
from exporter.energy.stored_fields import STORED


def energy_parts() -> list[str]:
    """Each measurement: a heading, what a row is, and its fields as a table."""
    parts = []
    for name, stored in STORED.items():
        tags = ", ".join(f"`{tag}`" for tag in stored.tags)
        rows = [(f"`{field}`", *about) for field, about in stored.fields.items()]
        word = "tags" if len(stored.tags) > 1 else "tag"
        parts += [f"## `{name}`: {word} {tags}, in `{stored.policy}`", stored.about]
        parts.append(table(("field", "unit", "meaning"), rows))
    return parts
