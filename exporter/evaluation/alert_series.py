"""The metrics of a replay, as the alert rules of Prometheus read them."""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from exporter.assess.assessment import FleetAssessment
from exporter.serve.metrics import FleetCollector

TARGET = 'job="fleetscope",instance="replay"'
_STALE = "stale"
_SILENCE = "_"
CARRIED_SLOTS = 4
"""A longer gap between two assessments is one in which Prometheus would have seen nothing."""

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

    def notation(self, slots: Sequence[int]) -> str:
        """All of it, ended where the series ended before the last step.

        Parameters
        ----------
        slots : sequence of int
            Place of each step on a regular clock, ascending; of several at one place the last
            counts. Nothing is known in longer gaps.
        """
        placed = _Runs()
        step = 0
        for text, count in self.runs:
            for number in range(step, step + count):
                width = slots[number + 1] - slots[number] if number + 1 < len(slots) else 1
                if width == 0:
                    continue
                placed.put(slots[number], text)
                if 1 < width <= CARRIED_SLOTS:
                    placed._add(_SILENCE if text == _STALE else text, width - 1)
            step += count
        if self.length < len(slots):
            placed._add(_STALE, 1)
        return " ".join(_notation(text, count) for text, count in placed.runs)


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
        _, slots = self.clock()
        yield f"up{{{TARGET}}}", _Runs([("1", len(slots))], len(slots)).notation(slots)
        for (name, labels), runs in self._series.items():
            shown = ",".join([TARGET, *(f"{key}={_quoted(value)}" for key, value in labels)])
            yield f"{name}{{{shown}}}", runs.notation(slots)

    def clock(self) -> tuple[int, list[int]]:
        """The usual seconds between two assessments, and the place of each on such a clock.

        Recordings have gaps, and sites that are read at times of their own; promtool takes samples
        at one pace.
        """
        pairs = itertools.pairwise(self.times)
        step = max(1, round(statistics.median(b - a for a, b in pairs)))
        return step, [round((time - self.times[0]) / step) for time in self.times]


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
