"""What an import says: while it runs, and of what it found."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from exporter.history.importing.counts import Counts
from exporter.history.importing.importer import FileResult, Outcome
from exporter.history.importing.layout import FilePlan, Signal
from exporter.history.importing.local_time import load_zone

_FILES_SHOWN = 12
_SIGNALS_SHOWN = 24


class Bar:
    """A progress bar on the terminal's error output, so that results can be piped."""

    def __init__(self, console: Console, total_bytes: int, files: int) -> None:
        self.console = console
        self._progress = Progress(
            TextColumn("{task.fields[file]}"),
            BarColumn(),
            TaskProgressColumn(),
            TextColumn("{task.fields[of]} files, {task.fields[points]} readings"),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._points = 0
        self._files = files
        self._bytes = self._progress.add_task(
            "", total=total_bytes, file="", points="0", of=f"0/{files}"
        )

    def __enter__(self) -> Bar:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def begin(self, name: str, number: int) -> None:
        """See :class:`exporter.history.importing.importer.Watcher`."""
        self._progress.update(self._bytes, file=name[-40:], of=f"{number}/{self._files}")

    def advance(self, bytes: int, points: int) -> None:
        """See :class:`exporter.history.importing.importer.Watcher`."""
        self._points += points
        self._progress.update(self._bytes, advance=bytes, points=f"{self._points:,}")

    def note(self, sentence: str) -> None:
        """See :class:`exporter.history.importing.importer.Watcher`."""
        self.console.print(sentence, style="yellow", highlight=False, soft_wrap=True)


def show(outcome: Outcome, console: Console, *, checked: bool, seconds: float) -> None:
    """The report for a person."""
    total = outcome.total
    before = sum(1 for r in outcome.files if r.before)
    done = [r for r in outcome.files if r.fault is None]
    if checked:
        verb = "Would import"
        count = total.readings
    else:
        verb, count = "Imported", total.points
    already = f", {before} of them imported before" if before else ""
    console.print(
        f"[bold]{verb} {count:,} readings[/] of {len(done):,} files{already}, in {seconds:.1f} s",
        highlight=False,
    )
    if done:
        console.print(_by_quantity(done))
    if checked:
        for line in sample_lines(done):
            console.print(Text(line), soft_wrap=True)
    for sentence in notes(outcome):
        console.print(Text("• " + sentence), soft_wrap=True)
    for sentence in shortfalls(outcome):
        console.print(Text(sentence, style="bold red"), soft_wrap=True)
    _show_reasons(outcome, console, total)
    _show_files(
        console,
        "Not imported",
        {r.plan.name: r.fault for r in outcome.files if r.fault is not None},
    )
    _show_files(console, "Left out", outcome.left_out)
    if outcome.bad_rows is not None:
        console.print(Text(f"Bad rows are kept in {outcome.bad_rows}"), soft_wrap=True)
    command = rollup_command(outcome)
    if command and not checked and outcome.rollups_due:
        console.print(Text(f"To renew the roll-ups of this range: {command}"), soft_wrap=True)


def _by_quantity(results: list[FileResult]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name, justify in (
        *(("site", "left"), ("quantity", "left"), ("files", "right"), ("readings", "right")),
        *(("from (UTC)", "left"), ("to", "left"), ("every", "right")),
        ("gaps", "right"),
    ):
        table.add_column(name, justify=justify, no_wrap=True)  # type: ignore[arg-type]
    groups: dict[tuple[str, str], list[FileResult]] = {}
    for result in results:
        quantity = ", ".join(_quantities(result))
        shown = ", ".join(result.sites) if len(result.sites) < 4 else f"{len(result.sites)} sites"
        groups.setdefault((shown, quantity), []).append(result)
    for (site, quantity), members in groups.items():
        counts = Counts()
        for member in members:
            counts.add(member.counts)
        cadences = sorted(m.counts.cadence for m in members if m.counts.cadence is not None)
        table.add_row(
            *(site, quantity, f"{len(members):,}", f"{counts.readings:,}"),
            *(stamp(counts.first)[:10], stamp(counts.last)[:10]),
            duration(cadences[len(cadences) // 2]) if cadences else "",
            f"{counts.gaps:,}",
        )
    return table


def _quantities(result: FileResult) -> list[str]:
    """The quantities that a file holds; of one that was imported before, those of its rule."""
    if result.signals:
        return sorted({signal.quantity.name for signal in result.signals})
    rule = result.plan.rule
    return [rule.quantity] if rule.quantity else sorted({str(c.quantity) for c in rule.columns})


def notes(outcome: Outcome) -> list[str]:
    """What was noticed and dealt with, in sentences."""
    total = outcome.total
    found = []
    if total.repeated:
        found.append(
            f"{total.repeated:,} rows lie in the hour that the clock shows twice when daylight "
            "saving ends; each was given its pass, by the order of the rows unless --ambiguous "
            "says otherwise"
        )
    if total.unordered:
        found.append(f"{total.unordered:,} rows were out of order; they were put in order")
    if total.duplicates:
        found.append(f"{total.duplicates:,} rows say again what another row says; written once")
    if total.missing:
        found.append(f"{total.missing:,} fields are empty; nothing is written for them")
    if total.resets or total.wraps:
        found.append(
            f"counters were reset {total.resets:,} times and passed their largest number "
            f"{total.wraps:,} times; roll-ups count on from there"
        )
    if total.left_out:
        found.append(f"{total.left_out:,} rows are of something else and were left out")
    if total.gaps:
        hours = total.gap_seconds / 3600
        found.append(
            f"{total.gaps:,} gaps, {hours:,.1f} hours over all files, the longest "
            f"{duration(total.longest_gap)}; nothing is filled in"
        )
    found += overlaps(outcome.files)
    if total.rejected:
        found.append(f"InfluxDB refused {total.rejected:,} points: {outcome.refusals[0]}")
    return found


_ADVICE = (
    ("not a number", "Say --decimal if the marks differ, --value-column if it is another one"),
    ("time cannot be read", "Say --time-format and --time-column"),
    ("fields where", "Say --separator; write decimal commas in a file that separates by ; or tabs"),
    ("outside physics", "Say --unit if it is another one"),
    ("time is not between", "Say --time-format"),
    ("exists twice", "Say --ambiguous earlier or --ambiguous later"),
    ("does not exist", "Say --timezone +01:00 or the like, if the clock does not change"),
    (
        "another value",
        "If its rows are of several series, say --where COLUMN=TEXT, or series in the mapping",
    ),
    ("a counter", "Map it to another quantity if it is no counter"),
    ("", "See the bad rows"),
)


def shortfalls(outcome: Outcome) -> list[str]:
    """Of each file read in part: the share that is missing, the likeliest reason, what helps."""
    found = []
    for result in outcome.short:
        counts = result.counts
        example = outcome.examples.get(counts.main_reason, "")
        shown = f", such as {example}" if example else ""
        reason = counts.main_reason or "no field of its column of values holds anything"
        found.append(
            f"{result.plan.name}: {counts.shortfall:.0%} of its rows could not be read. Most of "
            f"them: {reason}{shown}. {_advice(result)}"
        )
    if len(found) > _FILES_SHOWN:
        found = [*found[:_FILES_SHOWN], f"and {len(found) - _FILES_SHOWN} more such files"]
    return found


def _advice(result: FileResult) -> str:
    """What mends the most frequent fault of a file."""
    reason = result.counts.main_reason
    if not reason:
        return "Say --value-column if it is another one"
    return next(text for start, text in _ADVICE if start in reason)


def sample_lines(results: list[FileResult]) -> list[str]:
    """The first readings of each signal, as they would be stored."""
    signals = [(r, signal, first) for r in results for signal, first in r.samples if first]
    lines = []
    for result, signal, first in signals[:_SIGNALS_SHOWN]:
        readings = "; ".join(reading_in_words(result.plan, signal, *one) for one in first)
        lines.append(f"  {signal.tags[0][1]} {signal.name}: {readings}")
    if len(signals) > _SIGNALS_SHOWN:
        more = len(signals) - _SIGNALS_SHOWN
        lines.append(f"  and {more:,} more signals; --json shows the first readings of each")
    return ["First readings, as they would be stored:", *lines] if lines else []


def reading_in_words(plan: FilePlan, signal: Signal, time_ms: int, value: float) -> str:
    """``3 Mar 2025 00:15 Berlin: 1,002 kWh``; the time is that of the file's zone, else UTC."""
    moment = datetime.fromtimestamp(time_ms / 1000, UTC)
    name, zone = "UTC", plan.format.timezone
    if zone is not None and zone not in ("UTC", "Z"):
        name = zone.rpartition("/")[2].replace("_", " ")
        moment += timedelta(milliseconds=load_zone(zone).offset_ms(time_ms))
    clock = f"{moment:%H:%M:%S}".removesuffix(":00")
    unit = f" {signal.quantity.unit}" if signal.quantity.unit else ""
    return f"{moment.day} {moment:%b %Y} {clock} {name}: {value:,.10g}{unit}"


def overlaps(results: list[FileResult]) -> list[str]:
    """Series that two files give for the same time: the file that comes later wins there."""
    last: dict[str, FileResult] = {}
    found: list[str] = []
    order = sorted(results, key=lambda r: r.counts.first or 0)
    for result in order:
        if result.signals is None or result.counts.first is None:
            continue
        for signal in result.signals:
            name = f"{signal.tags[0][1]} {signal.name}"
            other = last.get(name)
            if other is not None and (other.counts.last or 0) >= result.counts.first:
                found.append(
                    f"{other.plan.name} and {result.plan.name} both hold {signal.name} from "
                    f"{stamp(result.counts.first)}; where they differ, the last one imported counts"
                )
            last[name] = result
    if len(found) > _FILES_SHOWN:
        found = [*found[:_FILES_SHOWN], f"and {len(found) - _FILES_SHOWN} more such pairs"]
    return found


def _show_reasons(outcome: Outcome, console: Console, total: Counts) -> None:
    if not total.bad:
        return
    console.print(f"[bold]{total.bad_rows:,} bad rows[/], none of them written", highlight=False)
    for reason, count in sorted(total.bad.items(), key=lambda item: -item[1]):
        example = outcome.examples.get(reason)
        shown = f", such as {example}" if example else ""
        console.print(Text(f"  {count:,}  {reason}{shown}"), soft_wrap=True)
    skipped = sum(n for reason, n in total.bad.items() if "skips it" in reason)
    if skipped:
        console.print(
            Text(
                "  A clock that does not change for daylight saving shows such times: then say "
                "--timezone +01:00 or the like"
            ),
            soft_wrap=True,
        )


def _show_files(console: Console, title: str, reasons: dict[str, str]) -> None:
    if not reasons:
        return
    console.print(f"[bold]{title}: {len(reasons):,} files[/]", highlight=False)
    by_reason: dict[str, list[str]] = {}
    for name, reason in reasons.items():
        by_reason.setdefault(reason, []).append(name)
    for reason, names in list(by_reason.items())[:_FILES_SHOWN]:
        more = f" and {len(names) - 3} more" if len(names) > 3 else ""
        console.print(Text(f"  {', '.join(names[:3])}{more}: {reason}"), soft_wrap=True)
    if len(by_reason) > _FILES_SHOWN:
        console.print(f"  and {len(by_reason) - _FILES_SHOWN} more reasons")


def as_dict(outcome: Outcome) -> dict[str, Any]:
    """The report as plain JSON values."""
    return {
        "complete": outcome.complete,
        "shortfalls": shortfalls(outcome),
        "total": asdict(outcome.total),
        "files": [
            {
                "file": result.plan.name,
                "site": result.plan.site,
                "signals": None if result.signals is None else [s.name for s in result.signals],
                "imported_before": result.before,
                "fault": result.fault,
                "shortfall": round(result.counts.shortfall, 4),
                "first_readings": {
                    f"{signal.tags[0][1]} {signal.name}": [
                        reading_in_words(result.plan, signal, *one) for one in first
                    ]
                    for signal, first in result.samples
                },
                **asdict(result.counts),
            }
            for result in outcome.files
        ],
        "left_out": outcome.left_out,
        "refusals": outcome.refusals,
        "bad_rows": None if outcome.bad_rows is None else str(outcome.bad_rows),
        "rollup": rollup_command(outcome),
        "rollups_due": outcome.rollups_due,
    }


def rollup_range(outcome: Outcome) -> tuple[str, str, tuple[str, ...]] | None:
    """From when to when and for which sites roll-ups lack what was imported; None if nothing was.

    No sites are all sites.
    """
    total = outcome.total
    if total.first is None or total.last is None:
        return None
    sites = {x for r in outcome.files if r.counts.first is not None for x in r.sites}
    # Of a file that was imported before, whose rows say whose they are, the sites are not known.
    every = any(r.counts.first is not None and not r.sites for r in outcome.files)
    chosen = () if every else tuple(sorted(sites))
    return _iso(total.first), _iso(total.last + 1000), chosen


def rollup_command(outcome: Outcome) -> str | None:
    """The command that renews the roll-ups of all that was imported; None if nothing was."""
    wanted = rollup_range(outcome)
    if wanted is None:
        return None
    start, end, sites = wanted
    chosen = "".join(f" --site {site}" for site in sites)
    return f"fleetscope rollup{chosen} --from {start} --to {end}"


def _iso(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def stamp(milliseconds: int | None) -> str:
    """A time as a person reads it."""
    if milliseconds is None:
        return ""
    return datetime.fromtimestamp(milliseconds / 1000, UTC).strftime("%Y-%m-%d %H:%M")


def duration(seconds: float) -> str:
    """A duration as a person reads it."""
    for unit, length in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length or seconds == length:
            return f"{seconds / length:.4g} {unit}"
    return f"{seconds:.4g} s"
