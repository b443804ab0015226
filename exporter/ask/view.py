"""An Assessment as answers see it: values, masks and texts of sites."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from exporter.ask.catalogue import CONDITIONS, METRICS, ConditionKind, Metric
from exporter.ask.lookup import Directory, attribute_values, fold
from exporter.ask.query import Comparison, Condition, Filter, Query
from exporter.assess.assessment import FleetAssessment, Issue
from exporter.collect.state import COLUMN
from exporter.config.maintenance import in_maintenance
from exporter.model.quantities import label
from scoring.issues import Severity
from scoring.status import Status

_OF_FLEET_FILE = {
    "capacity": "capacity_kwh",
    "stored_energy": "capacity_kwh",
    "free_capacity": "capacity_kwh",
    "pv_capacity": "solar_capacity_kw",
}
FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

_LEVEL = {"info": Severity.INFO, "warning": Severity.WARNING, "critical": Severity.CRITICAL}


class View:
    """One Assessment with the names of its sites; ``contacts``: whether the asker may see them."""

    def __init__(
        self, assessment: FleetAssessment, directory: Directory, *, contacts: bool = False
    ) -> None:
        self.contacts = contacts
        self.assessment = assessment
        self.directory = directory
        self.sites = assessment.fleet.sites
        self.count = len(self.sites)

    def values(self, metric: Metric) -> FloatArray:
        """The metric of every site now, shape (N,), in its unit; NaN where it is not known."""
        found = self.assessment
        if metric.source == "score":
            return found.scores.overall.score
        if metric.source == "component":
            return next(c.score for c in found.scores.components if c.name == metric.key)
        if metric.source == "coverage":
            return np.where(np.isnan(found.up), np.nan, 100.0 * found.scores.overall.coverage)
        if metric.source == "scrape":
            return np.where(found.up == 1, found.duration, np.nan)
        if metric.source in _OF_FLEET_FILE:
            return self._of_fleet_file(metric.source)
        if metric.source == "reading":
            return found.readings[metric.key]
        return np.full(self.count, np.nan)

    def _of_fleet_file(self, source: str) -> FloatArray:
        """Capacities, NaN where the fleet file gives none, and what of them is used or free."""
        given = np.array(
            [getattr(site, _OF_FLEET_FILE[source]) or np.nan for site in self.sites], dtype=float
        )
        if source == "stored_energy":
            return given * self.values(METRICS["soc"]) / 100.0
        if source == "free_capacity":
            return given * (1.0 - self.values(METRICS["soc"]) / 100.0)
        return given

    def taken(self, metric: Metric, row: int) -> float:
        """Unix seconds at which the value of a metric was taken."""
        column = COLUMN.get(metric.key)
        if metric.source == "reading" and column is not None:
            age = float(self.assessment.ages[row, column])
            if not math.isnan(age):
                return self.assessment.time - age
        return self.assessment.time

    def mask(self, query: Query) -> BoolArray:
        """Which sites a query is about, by sites and filters; shape (N,)."""
        chosen = np.ones(self.count, dtype=np.bool_)
        if query.sites:
            chosen[:] = False
            chosen[[self.directory.row(site) for site in query.sites]] = True
        by_attribute: dict[str, BoolArray] = {}
        for wanted in query.filters:
            holds = self._filter_mask(wanted)
            if wanted.negate:
                chosen &= ~holds
            else:
                before = by_attribute.get(wanted.attribute)
                by_attribute[wanted.attribute] = holds if before is None else before | holds
        for holds in by_attribute.values():
            chosen &= holds
        return chosen

    def _filter_mask(self, wanted: Filter) -> BoolArray:
        value = fold(wanted.value)
        return np.array(
            [
                any(fold(v) == value for v in attribute_values(site, wanted.attribute))
                for site in self.sites
            ],
            dtype=np.bool_,
        )

    def tests(self, query: Query) -> BoolArray:
        """Where the conditions and comparisons of a query hold, shape (N,)."""
        parts = [self.condition(c) for c in query.conditions]
        parts += [self.comparison(c) for c in query.comparisons]
        if not parts:
            return np.ones(self.count, dtype=np.bool_)
        joined = np.any(parts, axis=0) if query.any_of else np.all(parts, axis=0)
        return np.asarray(joined, dtype=np.bool_)

    def condition(self, condition: Condition) -> BoolArray:
        """Where a condition holds, shape (N,)."""
        kind = CONDITIONS[condition.name]
        overall = self.assessment.scores.overall
        holds = np.zeros(self.count, dtype=np.bool_)
        if kind.codes:
            holds |= self.has_issue(set(kind.codes))
        if kind.absent:
            holds = np.isnan(self.values(METRICS[kind.absent]))
        for status in kind.statuses:
            holds |= overall.status == Status[status.upper()]
        if kind.name == "any_issue":
            holds = overall.worst > Severity.NONE
        elif kind.name == "needs_attention":
            holds = overall.worst >= Severity.WARNING
        elif kind.name == "missing_readings":
            holds = np.any([mask for _, mask in overall.missing], axis=0)
        elif kind.name == "maintenance":
            found = self.assessment
            holds = np.array(
                [in_maintenance(found.fleet, site, found.time) for site in self.sites],
                dtype=np.bool_,
            )
        return ~holds & self._judged(kind) if condition.negate else holds

    def _judged(self, kind: ConditionKind) -> BoolArray:
        """Where it is known whether a condition holds, shape (N,): the unknown is not well."""
        if kind.absent or kind.name in ("unknown", "missing_readings", "no_data", "maintenance"):
            return np.ones(self.count, dtype=np.bool_)
        if kind.metric:
            return ~np.isnan(self.values(METRICS[kind.metric]))
        return np.asarray(self.assessment.scores.overall.status != Status.UNKNOWN)

    def has_issue(self, codes: set[str]) -> BoolArray:
        """Where one of these issues is active, shape (N,)."""
        holds = np.zeros(self.count, dtype=np.bool_)
        for finding in self.assessment.scores.findings:
            if finding.rule.code in codes:
                holds |= finding.severity > Severity.NONE
        return holds

    def comparison(self, wanted: Comparison) -> BoolArray:
        """Where a metric compares as wanted, shape (N,); nowhere that it is not known."""
        values = self.values(METRICS[wanted.metric])
        with np.errstate(invalid="ignore"):
            found = {
                "<": values < wanted.value,
                ">": values > wanted.value,
                "<=": values <= wanted.value,
                ">=": values >= wanted.value,
                "=": np.isclose(
                    values, wanted.value, atol=0.5 * 10.0 ** -METRICS[wanted.metric].decimals
                ),
            }[wanted.operator]
        return np.asarray(found, dtype=np.bool_)

    def at_least(self, severity: str) -> BoolArray:
        """Where an issue of at least that severity is active, shape (N,)."""
        return np.asarray(self.assessment.scores.overall.worst >= _LEVEL[severity])

    def needing_attention(self, rows: Iterable[int]) -> list[int]:
        """Of some rows, those that need attention."""
        worst = self.assessment.scores.overall.worst
        return [row for row in rows if worst[row] >= Severity.WARNING]

    def ranked(self, mask: BoolArray) -> list[int]:
        """Rows within a mask, those that need attention most first."""
        return [row for row in self.assessment.by_attention() if mask[row]]

    def status(self, row: int) -> str:
        """Name of the status."""
        return Status(int(self.assessment.scores.overall.status[row])).name

    def missing(self, row: int) -> list[str]:
        """Inputs that a site should have and did not give, in words."""
        return [label(name) for name, mask in self.assessment.scores.overall.missing if mask[row]]

    def issues(self, row: int, severity: str | None = None) -> list[Issue]:
        """Issues of a site, worst first, from a severity on."""
        least = _LEVEL[severity] if severity else Severity.NONE
        return [i for i in self.assessment.issues[row] if _LEVEL[i.severity] >= least]

    def limit_of(self, row: int, value: float | None) -> float | None:
        """The limit of the active issue that a value of a site is judged by, None without one."""
        for issue in self.assessment.issues[row]:
            if issue.value is not None and issue.value == value:
                return issue.threshold
        return None

    def number(self, values: FloatArray, row: int) -> float | None:
        """One value, None where it is not known."""
        value = float(values[row])
        return None if math.isnan(value) else value

    def identity(self, row: int) -> dict[str, Any]:
        """What begins every row of a table of sites."""
        site = self.sites[row]
        return {"site": site.id, "name": site.title, "status": self.status(row)}


def reading(
    site: str,
    quantity: str,
    value: float | None,
    unit: str,
    taken: float,
    threshold: float | None = None,
) -> dict[str, Any]:
    """One reading as evidence."""
    return {
        "site": site,
        "quantity": quantity,
        "value": value,
        "unit": unit,
        "time": taken,
        "threshold": threshold,
    }
