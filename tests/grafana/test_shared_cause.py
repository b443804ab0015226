"""The shared cause of the headers, as Prometheus puts it together from labels."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from grafana.boards.shared import CAUSE_VARIABLE
from grafana.generate import dashboards
from scoring.rule import in_a_sentence
from scoring.rules import RULES

BOARDS = ("fleetscope-overview", "fleetscope-fleet-wall")
GROUP = 'attribute="region",value="iberia"'
FIGURES = {"rank": 1, "sites": 3, "group_sites": 5}
NONE = "none"


def expression(uid: str) -> str:
    """PromQL of the hidden variable."""
    variables = dashboards()[uid]["templating"]["list"]
    (query,) = (v["query"] for v in variables if v["name"] == CAUSE_VARIABLE)
    return str(query).removeprefix("query_result(").removesuffix(")")


def case(query: str, code: str | None) -> dict[str, Any]:
    """A promtool test: one shared issue, or none, and what is said of it."""
    series = [
        {"series": f'fleetscope_common_issue_{name}{{code="{code}",{GROUP}}}', "values": str(value)}
        for name, value in FIGURES.items()
        if code is not None
    ]
    said, value = NONE, 0
    if code is not None:
        grid = code.startswith("grid_")
        advice = "suspect the utility" if grid else "look for what they share"
        said, value = f"{in_a_sentence(code)} at 3 of 5 sites of iberia: {advice}", 1
    samples = [{"labels": f'{{said="{said}"}}', "value": value}]
    return {
        "interval": "1m",
        "input_series": series,
        "promql_expr_test": [{"expr": query, "eval_time": "0m", "exp_samples": samples}],
    }


@pytest.mark.stack
@pytest.mark.parametrize("uid", BOARDS)
def test_every_issue_has_its_words_in_the_header(uid: str, tmp_path: Path) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        if os.environ.get("CI"):
            pytest.fail("promtool is not installed")
        pytest.skip("promtool is not installed: make servers")
    query = expression(uid)
    tests = [case(query, code) for code in (None, *(rule.code for rule in RULES))]
    file = tmp_path / "cause.yml"
    file.write_text(yaml.safe_dump({"rule_files": [], "tests": tests}), "utf-8")
    done = subprocess.run(
        [promtool, "test", "rules", str(file)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
