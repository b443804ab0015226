"""The alerts that a replay would have raised, from Prometheus' own rule engine.

promtool evaluates rule files over given series on a simulated clock. It is asked for every page
that fired; its complaint that none was expected is the answer.
"""

from __future__ import annotations

import itertools
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import orjson

from exporter.evaluation.alert_series import MetricSeries
from exporter.evaluation.page_rules import PageRules

RULE_FILE = "rules.yml"
LIMIT_SECONDS = 3600.0
STEPS_AT_ONCE = 50
"""Of a query, whose answer has a bit for each step: a float holds 53 without loss."""
_PAGES = 'ALERTS{alertstate="firing",severity="page"}'
_EXPRESSION = (
    "sum_over_time(({pages} * 2 ^ ((timestamp({pages}) - {first}) / {step}))[{span}s:{step}s])"
)
_FIRST = re.compile(r"\) - (\d+)\) / ")
_SAMPLE = re.compile(r'\{((?:[^{}"]|"(?:[^"\\]|\\.)*")*)\}\s+([0-9.eE+-]+)')
_LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"')

Labels = frozenset[tuple[str, str]]


class RuleEngineError(Exception):
    """The rules could not be evaluated; the text says why."""


@dataclass(frozen=True, slots=True)
class FiredAlert:
    """An alert with its labels that fired without a break, Unix seconds."""

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
    step, slots = series.clock()
    span = step * slots[-1]
    tests = {
        "rule_files": [RULE_FILE],
        "evaluation_interval": f"{step}s",
        "tests": [
            {
                "interval": f"{step}s",
                "input_series": [{"series": s, "values": v} for s, v in series.notations()],
                "promql_expr_test": [
                    {"expr": _expression(at, step), "eval_time": f"{at}s"}
                    for at in _ends(span, step)
                ],
            }
        ],
    }
    seen: dict[Labels, list[int]] = {}
    for first, answer in _got(_run(tests, rules)):
        steps = range(first // step, min(first // step + STEPS_AT_ONCE, slots[-1] + 1))
        for labels, bits in _samples(answer).items():
            fires = [at for number, at in enumerate(steps) if int(bits) >> number & 1]
            seen.setdefault(labels, []).extend(fires)
    found = [
        FiredAlert(
            dict(labels)["alertname"], dict(labels), times[0] + step * begin, times[0] + step * end
        )
        for labels, steps in seen.items()
        for begin, end in _unbroken(sorted(steps))
    ]
    return tuple(sorted(found, key=lambda alert: (alert.begin, alert.name)))


def _expression(at: int, step: int) -> str:
    """What asks in which of the steps up to a moment each page fired, a bit for each."""
    first = at - (STEPS_AT_ONCE - 1) * step
    span = STEPS_AT_ONCE * step
    return _EXPRESSION.format(pages=_PAGES, first=first, step=step, span=span)


def _unbroken(steps: Sequence[int]) -> Iterator[tuple[int, int]]:
    """First and last of each run of steps, which ascend."""
    for _, run in itertools.groupby(enumerate(steps), lambda pair: pair[1] - pair[0]):
        members = [step for _, step in run]
        yield members[0], members[-1]


def _ends(span: int, step: int) -> list[int]:
    """Ends of the queries that together cover all steps, seconds."""
    width = STEPS_AT_ONCE * step
    return list(range(width - step, span + width, width))


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


def _got(output: str) -> list[tuple[int, str]]:
    """First second of each expression that gave anything, and what it gave."""
    parts = [part.partition("\n        got:") for part in output.split("\n    expr: ")[1:]]
    return [(int(_FIRST.findall(asked)[0]), answer) for asked, _, answer in parts if answer]


def _samples(text: str) -> dict[Labels, float]:
    """Labels and value of each sample that promtool printed."""
    return {
        frozenset(_LABEL.findall(labels)): float(value) for labels, value in _SAMPLE.findall(text)
    }
