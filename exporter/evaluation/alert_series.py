"""The metrics of a replay, as the alert rules of Prometheus read them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

from exporter.assess.assessment import FleetAssessment
from exporter.serve.metrics import FleetCollector

TARGET = 'job="fleetscope",instance="replay"'
_STALE = "stale"
_SILENCE = "_"

Labels = tuple[tuple[str, str], ...]


@dataclass(slots=True)
class _Runs:
    """Values of one series, equal neighbours as one run, in the notation of promtool."""

    runs: list[tuple[str, int]] = field(default_factory=list)
    length: int = 0

    def put(self, step: int, text: str) -> None:
        """The value at a step; steps that were passed over had none."""
        if step > self.length:
            self._add(_STALE if self.runs else _SILENCE, 1)
            if step > self.length:
                self._add(_SILENCE, step - self.length)
        self._add(text, 1)

    def _add(self, text: str, count: int) -> None:
        if self.runs and self.runs[-1][0] == text:
            text, before = self.runs.pop()
            self.runs.append((text, before + count))
        else:
            self.runs.append((text, count))
        self.length += count

    def notation(self, steps: int) -> str:
        """All of it, ended where the series ended before the last step."""
        runs = list(self.runs)
        if self.length < steps:
            runs.append((_STALE, 1))
        return " ".join(_notation(text, count) for text, count in runs)


def _notation(text: str, count: int) -> str:
    if count == 1 or text == _STALE:
        return " ".join([text] * count)
    return f"_x{count}" if text == _SILENCE else f"{text}x{count - 1}"


class MetricSeries:
    """Collects the series that rules read, a sample each for every assessment.

    Parameters
    ----------
    metrics : frozenset of str
        Names of the metrics to keep; none of them: nothing is collected.
    """

    def __init__(self, metrics: frozenset[str] = frozenset()) -> None:
        self._metrics = metrics
        self._series: dict[tuple[str, Labels], _Runs] = {}
        self._latest: FleetAssessment | None = None
        self._collector = FleetCollector(self._assessment, None)
        self.times: list[float] = []

    def _assessment(self) -> FleetAssessment:
        assert self._latest is not None
        return self._latest

    def observe(self, assessment: FleetAssessment) -> None:
        """Take the samples that ``/metrics`` would show after an assessment."""
        self._latest = assessment
        step = len(self.times)
        self.times.append(assessment.time)
        if not self._metrics:
            return
        for family in self._collector.collect():
            # Samples of a family are made only when they are read.
            if not self._metrics & {family.name, f"{family.name}_total"}:
                continue
            for sample in family.samples:
                if sample.name in self._metrics and not math.isnan(sample.value):
                    key = (sample.name, tuple(sample.labels.items()))
                    runs = self._series.get(key)
                    if runs is None:
                        runs = self._series[key] = _Runs()
                    runs.put(step, f"{sample.value:.10g}")

    def notations(self) -> Iterator[tuple[str, str]]:
        """Each series and its values, in the notation of promtool's tests."""
        steps = len(self.times)
        yield f"up{{{TARGET}}}", _notation("1", steps)
        for (name, labels), runs in self._series.items():
            shown = ",".join([TARGET, *(f"{key}={_quoted(value)}" for key, value in labels)])
            yield f"{name}{{{shown}}}", runs.notation(steps)


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
