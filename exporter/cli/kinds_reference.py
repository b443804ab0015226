"""The kinds of sites, for the reference of the fleet file."""

from __future__ import annotations

from collections.abc import Callable

from pydantic import BaseModel

from exporter.cli.markdown import table
from exporter.config.site_kinds import BLOCKS, BLOCKS_OF, KIND_MEANINGS, SITE_KINDS, PvArray
from exporter.model.quantities import label
from scoring.kinds import REQUIRED

OptionRows = Callable[[type[BaseModel], str], list[tuple[str, str, str, str]]]


def kind_rows() -> list[tuple[str, str, str, str]]:
    """Each kind: what it is, the readings that scoring wants of it, its blocks."""
    rows = []
    for kind in SITE_KINDS:
        profiles = [name for name in REQUIRED if name.partition(" ")[0] == kind]
        wanted = []
        for profile in profiles:
            names = [label(n) for readings in REQUIRED[profile].values() for n in readings]
            of = profile.partition(" ")[2]
            wanted.append((f"{of}: " if len(profiles) > 1 and of else "") + ", ".join(names))
        blocks = ", ".join(f"`{name}`" for name in BLOCKS_OF[kind])
        rows.append((f"`{kind}`", KIND_MEANINGS[kind], "; ".join(wanted), blocks))
    return rows


def kind_blocks(option_rows: OptionRows) -> list[str]:
    """A table of the keys of each block; ``option_rows`` makes the rows of a model."""
    parts = []
    for name, block in BLOCKS.items():
        rows = option_rows(block, f"{name}.")
        if name == "pv":
            arrays = f"`{name}.arrays`"
            rows = [(k, "list of arrays" if k == arrays else t, d, m) for k, t, d, m in rows]
            rows += option_rows(PvArray, f"{name}.arrays[].")
        parts.append(table(("key", "type", "default", "meaning"), rows))
    return parts
