"""Documents: links that lead somewhere, and counts that are those of the code."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_CODE = re.compile(r"^```.*?^```|`[^`\n]+`", re.MULTILINE | re.DOTALL)
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
COUNTS = {12: "twelve", 13: "thirteen", 14: "fourteen", 15: "fifteen", 16: "sixteen"}


def anchors(text: str) -> set[str]:
    """Fragments that a Markdown renderer gives to headings."""
    shown = [re.sub(r"[^\w\- ]", "", heading.lower()) for heading in _HEADING.findall(text)]
    return {heading.strip().replace(" ", "-") for heading in shown}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_each_local_link_leads_to_a_file_and_a_heading(document: Path) -> None:
    lost = []
    for link in _LINK.findall(_CODE.sub("", document.read_text("utf-8"))):
        if "://" in link or link.startswith("mailto:"):
            continue
        path, _, fragment = link.partition("#")
        target = (document.parent / path) if path else document
        if not target.exists() or (
            fragment and target.suffix == ".md" and fragment not in anchors(target.read_text())
        ):
            lost.append(link)
    assert lost == []


def test_the_readme_counts_what_there_is() -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    demo = yaml.safe_load((ROOT / "simulator/scenarios/demo.yaml").read_text("utf-8"))
    count = COUNTS[len(demo["sites"]) + len(demo["companions"])]
    assert f"make demo    # {count} simulated sites," in readme
    assert f"Five of the {count} sites have a fault on purpose:" in readme
    boards = list((ROOT / "grafana/dashboards").rglob("*.json"))
    portfolio = [board for board in boards if board.parent.name == "Portfolio"]
    others = COUNTS[len(boards) - len(portfolio)]
    assert f"{others.capitalize()} dashboards as one system" in readme
    assert f"{COUNTS[len(portfolio)].capitalize()} more in the folder Portfolio" in readme
