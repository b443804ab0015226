"""The alerts that a replay would have raised, from Prometheus' own rule engine.

promtool evaluates rule files over given series on a simulated clock. It is asked for every page
that fired; its complaint that none was expected is the answer.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import orjson

from exporter.evaluation.alert_series import MetricSeries
from exporter.evaluation.page_rules import PageRules

RULE_FILE = "rules.yml"
LIMIT_SECONDS = 3600.0
STEPS_AT_ONCE = 100
"""Of a query: promtool takes 10,000 samples, which are 100 pages that fire all the time."""
_EXPRESSIONS = '{}_over_time(timestamp(ALERTS{{alertstate="firing",severity="page"}})[{}s:{}s])'
_SAMPLE = re.compile(r'\{((?:[^{}"]|"(?:[^"\\]|\\.)*")*)\}\s+([0-9.eE+-]+)')
_LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"')

Labels = frozenset[tuple[str, str]]


class RuleEngineError(Exception):
    """The rules could not be evaluated; the text says why."""


@dataclass(frozen=True, slots=True)
class FiredAlert:
    """An alert with its labels, from when it fired first to when it fired last, Unix seconds."""

    name: str
    labels: Mapping[str, str]
    begin: float
    end: float

    @property
    def pages(self) -> bool:
        """Whether it wakes somebody."""
        return self.labels.get("severity") == "page"


def promtool() -> str:
    """Path of promtool.

    Raises
    ------
    RuleEngineError
        It is not installed.
    """
    found = shutil.which("promtool")
    if found is None:
        raise RuleEngineError("promtool is not installed; it comes with Prometheus")
    return found


def fired_pages(series: MetricSeries, rules: PageRules) -> tuple[FiredAlert, ...]:
    """Pages that the rules send over the series of a replay, by their beginning.

    Raises
    ------
    RuleEngineError
    """
    times = series.times
    if len(times) < 2:
        return ()
    step = max(1, round((times[-1] - times[0]) / (len(times) - 1)))
    span = step * (len(times) - 1)
    tests = {
        "rule_files": [RULE_FILE],
        "evaluation_interval": f"{step}s",
        "tests": [
            {
                "interval": f"{step}s",
                "input_series": [{"series": s, "values": v} for s, v in series.notations()],
                "promql_expr_test": [
                    {
                        "expr": _EXPRESSIONS.format(extreme, STEPS_AT_ONCE * step, step),
                        "eval_time": f"{at}s",
                    }
                    for at in _ends(span, step)
                    for extreme in ("min", "max")
                ],
            }
        ],
    }
    seen: dict[Labels, list[float]] = {}
    for part in _got(_run(tests, rules)):
        for labels, moment in _samples(part).items():
            seen.setdefault(labels, []).append(moment)
    found = [
        FiredAlert(dict(labels)["alertname"], dict(labels), times[0] + min(at), times[0] + max(at))
        for labels, at in seen.items()
    ]
    return tuple(sorted(found, key=lambda alert: (alert.begin, alert.name)))


def _ends(span: int, step: int) -> list[int]:
    """Ends of the queries that together cover all steps, seconds."""
    return [*range(STEPS_AT_ONCE * step, span, STEPS_AT_ONCE * step), span]


def _run(tests: Mapping[str, object], rules: PageRules) -> str:
    with tempfile.TemporaryDirectory() as folder:
        # JSON is YAML, and is written a hundred times faster.
        path = Path(folder) / "replay.yml"
        path.write_bytes(orjson.dumps(tests))
        (path.parent / RULE_FILE).write_bytes(orjson.dumps({"groups": rules.groups}))
        command = [promtool(), "test", "rules", str(path)]
        try:
            done = subprocess.run(  # noqa: S603
                command, capture_output=True, text=True, timeout=LIMIT_SECONDS, check=False
            )
        except subprocess.TimeoutExpired as error:
            raise RuleEngineError(f"promtool took longer than {LIMIT_SECONDS:.0f} s") from error
    output = done.stdout + done.stderr
    if done.returncode != 0 and "got:" not in output:
        raise RuleEngineError(f"promtool failed: {output.strip()[-2000:]}")
    return output


def _got(output: str) -> list[str]:
    """What each expression gave, where it gave anything."""
    return [part.split("\n    expr:")[0] for part in output.split("\n        got:")[1:]]


def _samples(text: str) -> dict[Labels, float]:
    """Labels and value of each sample that promtool printed."""
    return {
        frozenset(_LABEL.findall(labels)): float(value) for labels, value in _SAMPLE.findall(text)
    }
