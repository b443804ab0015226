"""Issues that were active in a period, from InfluxDB and, where it reaches now, the Assessment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from exporter.answers.history import where
from exporter.answers.influx import ask
from exporter.answers.query import Period
from exporter.answers.view import View
from exporter.influxql import InfluxQL

_LEVELS = {1: "info", 2: "warning", 3: "critical"}
_NUMBERS = {name: number for number, name in _LEVELS.items()}
STORED_EVERY_SECONDS = 10.0


@dataclass(slots=True)
class Event:
    """An issue of a site within a period.

    ``first`` and ``last`` are Unix seconds; ``seconds`` is how long it was active within the
    period; ``times`` counts how often it began.
    """

    site: str
    code: str
    severity: str
    sentence: str
    value: float | None
    threshold: float | None
    first: float
    last: float
    seconds: float
    times: int
    ongoing: bool

    @property
    def level(self) -> int:
        """1 info, 2 warning, 3 critical."""
        return _NUMBERS[self.severity]


def statements(period: Period, sites: list[str] | None) -> list[str]:
    """What is asked of InfluxDB."""
    clause = where(period, sites, '"active" = 1')
    group = 'GROUP BY "site", "code"'
    return [
        'SELECT max("severity") AS "severity", min("since") AS "since", count("active") AS "count",'
        ' last("sentence") AS "sentence", last("value") AS "value", last("threshold") AS '
        f'"threshold" FROM "issue" WHERE {clause} {group}',
        f'SELECT last("active") FROM "issue" WHERE {clause} {group}',
        'SELECT count("since") AS "times" FROM (SELECT distinct("since") AS "since" FROM "issue" '
        f"WHERE {clause} {group}) {group}",
    ]


async def fetch(
    stored: InfluxQL, view: View, period: Period, sites: list[str] | None
) -> tuple[list[Event], list[str]]:
    """Events of a period, and the statements that gave them.

    Raises
    ------
    CannotAnswerError
    """
    asked = statements(period, sites)
    told, ends, times = await ask(stored, asked)
    last = {_key(series.tags): series.rows[0][0] for series in ends}
    begun = {_key(series.tags): int(series.rows[0][1]) for series in times}
    wanted = set(view.directory.titles if sites is None else sites)
    found: dict[tuple[str, str], Event] = {}
    for series in told:
        key = _key(series.tags)
        if key[0] not in wanted:
            continue
        row: dict[str, Any] = dict(zip(series.columns, series.rows[0], strict=True))
        found[key] = Event(
            site=key[0],
            code=key[1],
            severity=_LEVELS.get(int(row["severity"] or 1), "info"),
            sentence=row["sentence"] or key[1],
            value=row["value"],
            threshold=row["threshold"],
            first=row["since"] or period.start.timestamp(),
            last=last.get(key, period.end.timestamp()),
            seconds=min(row["count"] * STORED_EVERY_SECONDS, period.seconds),
            times=max(1, begun.get(key, 1)),
            ongoing=False,
        )
    _add_present(found, view, period, wanted)
    return list(found.values()), asked


def _key(tags: dict[str, str]) -> tuple[str, str]:
    return tags["site"], tags["code"]


def _add_present(
    found: dict[tuple[str, str], Event], view: View, period: Period, wanted: set[str]
) -> None:
    """What is active now, which InfluxDB may not have yet."""
    now = view.assessment.time
    start, end = period.start.timestamp(), period.end.timestamp()
    if not start <= now <= end + 60:
        return
    for site, issues in zip(view.sites, view.assessment.issues, strict=True):
        if site.id not in wanted:
            continue
        for issue in issues:
            event = found.get((site.id, issue.code))
            if event is not None:
                event.ongoing = True
                event.sentence, event.value = issue.sentence, issue.value
                event.last = now
                if event.level < _NUMBERS[issue.severity]:
                    event.severity = issue.severity
                continue
            found[site.id, issue.code] = Event(
                site=site.id,
                code=issue.code,
                severity=issue.severity,
                sentence=issue.sentence,
                value=issue.value,
                threshold=issue.threshold,
                first=issue.since,
                last=now,
                seconds=now - max(start, issue.since),
                times=1,
                ongoing=True,
            )
