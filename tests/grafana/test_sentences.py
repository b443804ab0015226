"""Sentences that Prometheus puts together from labels: the shared cause, and whom to call."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from grafana.boards.shared import CAUSE_VARIABLE
from grafana.boards.site_now import NO_ISSUE, NOT_JUDGED
from grafana.boards.wall import NOBODY, NOTHING_WRONG, UNKNOWN
from grafana.generate import dashboards
from scoring.rule import in_a_sentence
from scoring.rules import RULES
from scoring.status import WARNING_FROM

WALL = "fleetscope-fleet-wall"
BOARDS = ("fleetscope-overview", WALL)
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


def agrees(tests: list[dict[str, Any]], folder: Path) -> None:
    """Let promtool play the tests."""
    promtool = shutil.which("promtool")
    if promtool is None:
        if os.environ.get("CI"):
            pytest.fail("promtool is not installed")
        pytest.skip("promtool is not installed: make servers")
    file = folder / "sentences.yml"
    file.write_text(yaml.safe_dump({"rule_files": [], "tests": tests}), "utf-8")
    done = subprocess.run(
        [promtool, "test", "rules", str(file)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.stack
@pytest.mark.parametrize("uid", BOARDS)
def test_every_issue_has_its_words_in_the_header(uid: str, tmp_path: Path) -> None:
    query = expression(uid)
    agrees([case(query, code) for code in (None, *(rule.code for rule in RULES))], tmp_path)


def call_first(scores: dict[str, float], rows: list[tuple[str, str, str, float]]) -> dict[str, Any]:
    """A promtool test of the wall: scores by site, and rows of name, code, site and value."""
    (panel,) = (p for p in dashboards()[WALL]["panels"] if p["title"] == "Call first")
    samples = [
        {"labels": f'{{name="{name}",code="{code}",site="{site}"}}', "value": value}
        for name, code, site, value in rows
    ]
    return {
        "interval": "1m",
        "input_series": [
            {
                "series": f'fleet:attention_order:by_site{{site="{site}",name="{site.upper()}"}}',
                "values": str(score),
            }
            for site, score in scores.items()
        ]
        + [
            {"series": 'fleetscope_site_issue{site="ill",code="grid_lost",severity="warning"}'}
            | {"values": "1"}
        ],
        "promql_expr_test": [
            {"expr": panel["targets"][0]["expr"], "eval_time": "0m", "exp_samples": samples}
        ],
    }


@pytest.mark.stack
def test_the_wall_says_whether_somebody_has_to_be_called(tmp_path: Path) -> None:
    fine = (*NOBODY.values(), "well", NOTHING_WRONG)
    unknown = (UNKNOWN["name"], UNKNOWN["code"], UNKNOWN["site"], WARNING_FROM)
    tests = [
        call_first({"well": 95}, [fine]),
        call_first({"well": 95, "ill": 60}, [("ILL", "grid_lost", "ill", 60)]),
        call_first({}, [unknown]),
    ]
    agrees(tests, tmp_path)


@pytest.mark.stack
@pytest.mark.parametrize(
    ("series", "code"),
    [
        pytest.param({'fleetscope_site_status{site="$site",status="HEALTHY"}': "1"}, NO_ISSUE),
        pytest.param({}, NOT_JUDGED),
    ],
    ids=["judged and fine", "no exporter answers"],
)
def test_a_site_that_nobody_judges_is_not_called_fine(
    series: dict[str, str], code: str, tmp_path: Path
) -> None:
    title = "What is wrong, and what to do"
    (panel,) = (p for p in dashboards()["fleetscope-site"]["panels"] if p["title"] == title)
    tests = {
        "interval": "1m",
        "input_series": [{"series": name, "values": value} for name, value in series.items()],
        "promql_expr_test": [
            {
                # Its value is missing, so that the row is counted.
                "expr": f"count by (code) ({panel['targets'][0]['expr']})",
                "eval_time": "0m",
                "exp_samples": [{"labels": f'{{code="{code}"}}', "value": 1}],
            }
        ],
    }
    agrees([tests], tmp_path)
