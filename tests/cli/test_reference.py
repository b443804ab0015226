"""The reference documents are those that the code generates."""

from __future__ import annotations

import pytest

from exporter.cli.reference import FOLDER, SITE_BLOCKS, documents
from exporter.config.fleet import Site
from exporter.config.fleet_keys import SITE_KEYS, THRESHOLD_KEYS
from exporter.config.thresholds import Thresholds
from exporter.model.quantities import QUANTITIES
from exporter.serve.metric_families import FAMILIES, PREFIX
from scoring.rules import RULES


@pytest.mark.parametrize("name", sorted(documents()))
def test_documents_on_disk_are_as_generated(name: str) -> None:
    assert (FOLDER / name).read_text(encoding="utf-8") == documents()[name], "run make generate"


def test_everything_is_in_its_document() -> None:
    found = documents()
    assert all(f"`{PREFIX}{name}`" in found["metrics.md"] for name in FAMILIES)
    assert all(f"`{name}`" in found["influxdb.md"] for name in QUANTITIES)
    assert all(f"`{name}`" in found["glossary.md"] for name in QUANTITIES)
    assert all(f"`{kind.code}`" in found["scoring.md"] for kind in RULES)


def test_every_key_of_the_fleet_file_is_explained_and_no_other() -> None:
    parts = set(SITE_BLOCKS)  # they have text of their own
    assert SITE_KEYS.keys() == Site.model_fields.keys() - parts
    assert THRESHOLD_KEYS.keys() == Thresholds.model_fields.keys()
