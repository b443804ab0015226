"""The reference documents are those that the code generates."""

from __future__ import annotations

import pytest

from exporter.docs import FOLDER, documents
from exporter.metrics import METRICS, PREFIX
from exporter.quantities import QUANTITIES
from scoring.issues import ISSUE_KINDS


@pytest.mark.parametrize("name", sorted(documents()))
def test_documents_on_disk_are_as_generated(name: str) -> None:
    assert (FOLDER / name).read_text(encoding="utf-8") == documents()[name], "run make generate"


def test_everything_is_in_its_document() -> None:
    found = documents()
    assert all(f"`{PREFIX}{name}`" in found["metrics.md"] for name in METRICS)
    assert all(f"`{name}`" in found["influxdb.md"] for name in QUANTITIES)
    assert all(f"`{name}`" in found["glossary.md"] for name in QUANTITIES)
    assert all(f"`{kind.code}`" in found["scoring.md"] for kind in ISSUE_KINDS)
