"""``fleetscope evaluate``: try the detectors on a labelled recording."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated

import typer


def evaluate(
    folder: Annotated[
        Path, typer.Argument(help="Folder with fleet.yaml, readings.csv and labels.csv.")
    ],
    rules: Annotated[
        Path | None,
        typer.Option("--rules", help="Folder of Prometheus' alert rules.", metavar="FOLDER"),
    ] = None,
    findings: Annotated[
        Path | None,
        typer.Option(
            "--findings",
            help="Write each finding there, as CSV: site, time, verdict and sentence.",
            metavar="FILE",
        ),
    ] = None,
) -> None:
    """Play a recording through the detectors and hold what they find against its labels."""
    from exporter.config.positions import FleetFileError
    from exporter.evaluation.alerts import RuleEngineError
    from exporter.evaluation.recording import RecordingError

    try:
        typer.echo(_tables(folder, rules, findings))
    except (RecordingError, FleetFileError, RuleEngineError, OSError) as error:
        typer.echo(f"fleetscope: {error}", err=True)
        raise typer.Exit(1) from error


def _tables(folder: Path, rules: Path | None, findings: Path | None) -> str:
    from exporter.evaluation.alert_series import MetricSeries
    from exporter.evaluation.alerts import RuleEngineError, fired_pages
    from exporter.evaluation.calibration import calibrate
    from exporter.evaluation.completeness import notes
    from exporter.evaluation.findings import findings_csv, within_readings
    from exporter.evaluation.page_rules import PageRules
    from exporter.evaluation.progress import Progress
    from exporter.evaluation.recording import RecordingError, open_recording
    from exporter.evaluation.replay import DETECTORS, Replay
    from exporter.evaluation.table import (
        false_table,
        found_table,
        innocent_table,
        reliability_table,
    )
    from exporter.evaluation.verdict import judge

    rule_files = sorted(rules.glob("*.yml")) if rules is not None else []
    if rules is not None and not rule_files:
        raise RuleEngineError(f"{rules}: no rule files (*.yml)")
    recording = open_recording(folder)
    pages = PageRules.read(rule_files)
    replay = Replay(recording.fleet, recording.interval_seconds, MetricSeries(pages.metrics))
    rows_of: Counter[str] = Counter()
    last_of: dict[str, float] = {}
    progress = Progress(folder.name or str(folder), *recording.span())
    for time, snapshots in recording.moments():
        replay.step(time, snapshots)
        progress.reached(time)
        rows_of.update(snapshot.site for snapshot in snapshots)
        last_of.update((snapshot.site, time) for snapshot in snapshots)
    observed = replay.finish()
    alerts = fired_pages(observed.series, pages) if rule_files else ()
    sites = [site.id for site in recording.fleet.sites]
    span = observed.begin, observed.end
    if span[0] == span[1]:
        raise RecordingError("the recording has a single moment")
    labels = recording.labels
    said = {
        name: within_readings(
            observed.spells[name], alerts if name == "fleetscope" else (), last_of, labels
        )
        for name in DETECTORS
    }
    verdicts = {name: judge(labels, *said[name], len(sites), span, last_of) for name in DETECTORS}
    if findings is not None:
        text = findings_csv(*said["fleetscope"], labels, observed.sentences)
        findings.write_text(text, "utf-8")
    sure = calibrate(observed.confidences, labels, said["fleetscope"][0])
    parts = [found_table(verdicts), false_table(verdicts), innocent_table(verdicts)]
    parts.append(reliability_table(sure))
    times = observed.confidences.times.tolist()
    lacking = notes(times, recording.interval_seconds, rows_of, last_of, sites, labels)
    if not rule_files:
        lacking.append("Pages were not judged; --rules names the folder of the alert rules")
    parts += [f"{note}.\n" for note in lacking]
    return "\n".join(parts)
