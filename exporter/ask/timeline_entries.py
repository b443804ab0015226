"""What a timeline consists of: entries, what stood before, stretches."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from exporter.ask.planned_work import Planned
from exporter.history.alert_history import Alert


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that happened.

    Attributes
    ----------
    time : float
        Unix seconds.
    site : str
        Site id; empty for what concerns the whole fleet.
    kind : str
        ``began``, ``seen again`` (as after a restart), ``ended`` or ``last seen`` (an issue),
        ``fired`` or ``resolved`` (an alert), ``status``, ``maintenance``, ``mute``, ``order``,
        ``way in``, ``unobserved``, ``reload`` or ``start``.
    what : str
        In words.
    severity : str
        Of an issue or an alert.
    code : str
        Of an issue; the name of an alert; the id of an order.
    seconds : float or None
        How long it lasted, or was going on, within its whole length; None where it has none.
    """

    time: float
    site: str
    kind: str
    what: str
    severity: str = ""
    code: str = ""
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Open:
    """An issue or an order that stood when the period began, since ``since`` (Unix seconds)."""

    site: str
    code: str
    severity: str
    what: str
    since: float


@dataclass(frozen=True, slots=True)
class Stretch:
    """An issue from its beginning to its end, Unix seconds, both within the period.

    ``end`` is None where the end is not known, as after a restart of the exporter.
    """

    site: str
    code: str
    severity: str
    what: str
    start: float
    end: float | None
    ongoing: bool = False

    @property
    def seconds(self) -> float:
        """How long it lasted within the period; 0 where that is not known."""
        return 0.0 if self.end is None else max(0.0, self.end - self.start)


@dataclass(slots=True)
class Timeline:
    """Entries in order of time, what was known before, and what was asked of InfluxDB.

    ``exact_seconds`` is how exact the times of issues and statuses are: 0 for those of full detail,
    the length of a window where a roll-up was read.
    """

    entries: list[Entry] = field(default_factory=list)
    before: list[Open] = field(default_factory=list)
    statements: list[str] = field(default_factory=list)
    stretches: list[Stretch] = field(default_factory=list)
    exact_seconds: float = 0.0

    def in_order(self) -> None:
        """Sort everything by time."""
        self.entries.sort(key=lambda entry: (entry.time, entry.kind == "ended", entry.site))
        self.before.sort(key=lambda issue: issue.since)
        self.stretches.sort(key=lambda stretch: (stretch.start, stretch.site))

    def add_planned(self, each: Iterable[Planned], start: float, end: float) -> None:
        """Beginnings and ends of planned work within a period."""
        for work in each:
            name = "Maintenance" if work.kind == "maintenance" else "Mute time"
            for time, word in ((work.start, "begins"), (work.end, "ends")):
                if start <= time < end:
                    self.entries.append(
                        Entry(time, work.site, work.kind, f"{name} {word}{work.what}")
                    )
            if work.start < start:
                what = f"{'In maintenance' if work.kind == 'maintenance' else 'Muted'}{work.what}"
                self.before.append(Open(work.site, work.kind, "info", what, work.start))

    def add_alerts(self, alerts: Iterable[Alert]) -> None:
        """When alerts fired and resolved."""
        for alert in alerts:
            site, name, severity = alert.site, alert.name, alert.severity
            what = f"Alert {name}"
            if alert.known_before:
                self.before.append(Open(site, name, severity, what, alert.start))
            else:
                self.entries.append(Entry(alert.start, site, "fired", what, severity, name))
            if alert.end is not None:
                lasted = alert.end - alert.start
                self.entries.append(
                    Entry(alert.end, site, "resolved", what, severity, name, lasted)
                )
