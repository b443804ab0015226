"""Writes the reference documents from the tables that the service itself uses.

``python -m exporter.cli.reference`` writes them; with ``--check`` it exits 1 if one on disk
differs.
"""

from __future__ import annotations

import re
import sys
import types
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Annotated, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from exporter.cli.devices_page import devices
from exporter.cli.influxdb_reference import influxdb
from exporter.cli.kinds_reference import kind_blocks, kind_rows
from exporter.cli.markdown import page, table
from exporter.cli.scoring_reference import scoring
from exporter.config.dispatch_block import DispatchBlock
from exporter.config.driver_options import Declarations, block_of
from exporter.config.fleet import Contact, Fleet, Project, Site
from exporter.config.fleet_keys import PROJECT_KEYS, SITE_KEYS, THRESHOLD_KEYS
from exporter.config.settings import PREFIX as ENVIRONMENT
from exporter.config.settings import Settings
from exporter.config.site_kinds import BLOCKS
from exporter.config.thresholds import Thresholds
from exporter.drivers import DRIVERS
from exporter.model.generated import write_or_compare
from exporter.model.quantities import (
    DERIVED,
    QUANTITIES,
)
from exporter.model.snapshot import OUTCOME_MEANINGS
from exporter.serve.metric_families import FAMILIES, PREFIX
from scoring.outliers import OUTLIER_METRICS

SITE_BLOCKS = (*BLOCKS, "thresholds", "contact", "maintenance", "mute_times", "dispatch")
"""Keys of a site that have a text of their own."""
FOLDER = Path(__file__).resolve().parents[2] / "docs"


def documents() -> dict[str, str]:
    """Every generated document, by file name."""
    return {
        "metrics.md": metrics(),
        "influxdb.md": influxdb(),
        "settings.md": settings(),
        "fleet-file.md": fleet_file(),
        "devices.md": devices(),
        "scoring.md": scoring(),
        "glossary.md": glossary(),
    }


def metrics() -> str:
    """Reference of the Prometheus metrics."""
    rows = [
        (
            f"`{PREFIX}{name}`",
            m.kind,
            ", ".join(f"`{label}`" for label in m.labels) or "none",
            m.help,
        )
        for name, m in FAMILIES.items()
    ]
    outcomes = [(f"`{outcome}`", meaning) for outcome, meaning in OUTCOME_MEANINGS.items()]
    outliers = [(f"`{m.name}`", m.unit, m.description) for m in OUTLIER_METRICS]
    return page(
        "Metrics",
        "What `GET /metrics` exposes. Units are base units, ratios run from 0 to 1. A reading that "
        "a site did not give, or that lies outside physics, leaves no sample; the series of a site "
        "that is removed from the fleet file are gone at the next scrape. Whatever describes a "
        f"site is in `{PREFIX}site_info`; join it by `site`:",
        "```promql\n"
        f"{PREFIX}site_health_score * on (site) group_left (name, region) {PREFIX}site_info\n```",
        "A healthy site has at most 30 series, and one more for each further pack. The series of a "
        "site that belongs to a project also have the label `project`.",
        table(("metric", "type", "labels", "meaning"), rows),
        "## Values of `outcome`",
        table(("outcome", "meaning"), outcomes),
        "## Values of `metric` in outlier scores",
        table(("metric", "unit", "meaning"), outliers),
        "Values of `code` in `" + PREFIX + "site_issue` are listed in [scoring.md](scoring.md). "
        "The usual `process_` and `python_` metrics of the Prometheus client library are there "
        "too. Names with colons, such as `fleet:health_score:mean`, are made of these by the rules "
        "in `provisioning/prometheus/rules/`.",
    )


def settings() -> str:
    """Reference of the settings."""
    rows = []
    for name, info in Settings.model_fields.items():
        default = info.get_default(call_default_factory=True)
        meaning = re.sub(r"(?:docs/)?(\w+\.md)", r"[\1](\1)", info.description or "")
        rows.append((f"`{ENVIRONMENT}{name.upper()}`", _shown(default), meaning))
    return page(
        "Settings",
        "Everything outside the fleet file is set by environment variables, or by the same names "
        "in a file `.env` in the working directory, which is read as Docker Compose reads it; the "
        "environment wins. Unknown names are reported at the start. A secret comes from its "
        "variable or from a file named by "
        "the variable that ends in `_FILE`, and is never printed or logged. The commands that ask "
        "a running exporter have variables of their own "
        "([ask.md](ask.md#command-line)), and so have the messages of Alertmanager "
        "([on-call.md](on-call.md#where-messages-go)).",
        table(("variable", "default", "meaning"), rows),
    )


def _shown(default: object) -> str:
    """A default as a reader would write it."""
    if default is None or default in ("", ()):
        return "none"
    if isinstance(default, bool):
        return f"`{str(default).lower()}`"
    return f"`{default:g}`" if isinstance(default, float) else f"`{default}`"


def fleet_file() -> str:
    """Reference of the fleet file."""
    site = _fields(Site, SITE_KEYS, skip=SITE_BLOCKS)
    return page(
        "Fleet file",
        "YAML or JSON, checked whole by `fleetscope check-config FILE`. It is read again when it "
        "changes and on SIGHUP; a file with mistakes is refused and the one before stays in force. "
        "Only `id` and `api_endpoint` are required. Secrets never go into this file.",
        "```yaml\nsites:\n  - id: depot_north\n    name: Depot North\n"
        "    api_endpoint: http://192.0.2.10:8088\n    battery_type: Pylontech US3000C\n"
        "    capacity_kwh: 56\n    solar_capacity_kw: 12\n    priority: high\n"
        "    contact: {name: Site operations, phone: '+44 1632 960001'}\n"
        "    latitude: 52.4\n    longitude: 13.1\nthresholds:\n  battery_soh_warning: 85\n```",
        "## `sites`: a list of",
        table(("key", "type", "default", "meaning"), site),
        "`contact` holds `name`, `phone`, `email`, each optional. `thresholds` of a site may hold "
        "any of the thresholds below and overrides the fleet's.",
        "Without coordinates or `solar_capacity_kw` the PV of a site cannot be judged, and its "
        "solar component is unknown.",
        "## Kinds",
        "Every reading that a site gives is judged, whatever its kind. What a site of its kind "
        "should give and does not is named as missing and lowers its coverage; PV counts where the "
        "site has a capacity of PV.",
        table(("kind", "what it is", "what it should give", "blocks"), kind_rows()),
        *kind_blocks(option_rows),
        "## Drivers",
        "`driver` names how a site is asked. The options of a driver are keys of the site like "
        "those above. What devices in the field do, and what is made of it: "
        "[field-notes.md](field-notes.md).",
        "### Several ways in",
        "`drivers` is a list of ways in to one site, the best one first; each entry has `driver`, "
        "`api_endpoint` and the options of that driver. The first that answers is used. A better "
        "one is used again once it has answered three times in a row, and twice as often each time "
        "that it fails again within half an hour.",
        "```yaml\nsites:\n  - id: depot_north\n    drivers:\n"
        "      - {driver: venus-mqtt, api_endpoint: 'mqtt://192.0.2.10', portal: c0619ab12345}\n"
        "      - {driver: venus-http, api_endpoint: 'http://192.0.2.10:8088'}\n```",
        *driver_options(DRIVERS),
        "## `dispatch`",
        "A block of a site: whether it takes orders, and within which limits "
        "([dispatch.md](dispatch.md)). Powers are in kW.",
        table(("key", "type", "default", "meaning"), option_rows(DispatchBlock)),
        "## `thresholds`",
        table(("key", "type", "default", "meaning"), _fields(Thresholds, THRESHOLD_KEYS)),
        "The fleet's frequency band is for 50 Hz and moves by 10 Hz for sites of 60 Hz; the band "
        "of a single site is taken as it stands.",
        "## `projects`",
        "Optional: the projects that sites may belong to, by id. Where it is given, a site with "
        "another project is a mistake; where it is not, the projects are those that sites name.",
        table(("key", "type", "default", "meaning"), _fields(Project, PROJECT_KEYS)),
        "```yaml\nprojects:\n  south: {name: South Energy, most_sites: 50, "
        "requests_per_minute: 600}\n```",
        "## `maintenance` and `mute_times`",
        "Lists, of a site or of the whole fleet. While one holds, the site raises no alert; it is "
        "still polled, scored and shown. See [on-call.md](on-call.md).",
        "```yaml\nmaintenance:\n"
        "  - {start: 2026-03-02T08:00, end: 2026-03-02T12:00, reason: New inverter}\n"
        "mute_times:\n"
        "  - {start: '22:00', end: '06:00', days: [saturday, sunday], reason: Load tests}\n```",
        "`start` and `end` of `maintenance` are dates with a time, in the site's `timezone` (UTC "
        "without one) unless both have an offset such as `+01:00` or `Z`. Those of `mute_times` "
        "are times of day in the site's `timezone`; an `end` that is not after `start` lies on the "
        "next day; `days` are those on which it starts, every day where it is left out.",
    )


def driver_options(drivers: Declarations) -> list[str]:
    """Sections of the fleet file's reference: each driver with its options."""
    parts = []
    for name, driver in sorted(drivers.items()):
        parts.append(f"### `{name}`")
        endpoint = " or ".join(f"`{scheme}://`" for scheme in driver.schemes)
        parts.append(
            f"{driver.summary} Its `api_endpoint` begins with {endpoint}"
            + ("." if driver.needs_endpoint else "; it may be left out.")
        )
        options = driver.options
        if options.model_fields:
            parts.append(table(("key", "type", "default", "meaning"), option_rows(options)))
        else:
            parts.append("It has no options.")
    return parts


def option_rows(model: type[BaseModel], prefix: str = "") -> list[tuple[str, str, str, str]]:
    """Rows of a driver's options; a block's keys have its name before them."""
    rows = []
    for name, info in model.model_fields.items():
        if (block := block_of(info)) is not None:
            rows += option_rows(block, f"{prefix}{name}.")
            continue
        default = "required" if info.is_required() else _shown(info.default)
        rows.append((f"`{prefix}{name}`", _type_words(info), default, info.description or ""))
    return rows


def _fields(
    model: type[BaseModel], meanings: Mapping[str, str], skip: tuple[str, ...] = ()
) -> list[tuple[str, str, str, str]]:
    rows = []
    for name, info in model.model_fields.items():
        if name in skip:
            continue
        default = "required" if info.is_required() else _shown(info.default)
        rows.append((f"`{name}`", _type_words(info), default, meanings[name]))
    return rows


def _type_words(info: FieldInfo) -> str:
    words = _annotation_words(info.annotation)
    limits = [*info.metadata, *_nested_metadata(info.annotation)]
    bounds = []
    for attribute, text in (("gt", "above"), ("ge", "from"), ("le", "to")):
        for item in limits:
            value = getattr(item, attribute, None)
            if value is not None:
                bounds.append(f"{text} {value:g}")
    return f"{words}, {' '.join(bounds)}" if bounds else words


def _nested_metadata(annotation: object) -> list[object]:
    found: list[object] = []
    for argument in get_args(annotation):
        if get_origin(argument) is Annotated:
            for item in get_args(argument)[1:]:
                found += getattr(item, "metadata", [item])
    return found


def _annotation_words(annotation: object) -> str:
    origin = get_origin(annotation)
    if origin is Annotated:
        return _annotation_words(get_args(annotation)[0])
    if origin is Literal:
        return " or ".join(f"`{value}`" for value in get_args(annotation))
    if origin in (Union, types.UnionType):
        kinds = [a for a in get_args(annotation) if a is not type(None)]
        return _annotation_words(kinds[0])
    if origin is tuple:
        return f"list of {_annotation_words(get_args(annotation)[0])}"
    words = {str: "text", float: "number", bool: "true or false", date: "date"}
    words[int] = "whole number"
    return words.get(annotation, "mapping")  # type: ignore[call-overload, no-any-return]


def glossary() -> str:
    """Every quantity with its one name."""
    rows = [
        (q.meaning, f"`{q.name}`", q.unit or "–", f"{q.minimum:g} to {q.maximum:g}")
        for q in QUANTITIES.values()
    ]
    return page(
        "Glossary",
        "One name for each thing. A value outside the limits is implausible: it is counted and "
        "kept out of scores and storage.",
        table(("quantity", "name", "unit", "plausible"), rows),
        "## Figures of a site",
        "A site may have several batteries. Charge, voltage, current and power of a site are those "
        "of its active battery. Where the worst battery counts, or where the figure is calculated, "
        "it has a name of its own. The API gives some of them under a second key too, that of the "
        "quantity of the battery: on a site it is the same figure, on a pack it is that of the "
        "pack.",
        table(
            ("figure", "name", "unit", "made of", "second key in the API"),
            [
                (
                    d.meaning,
                    f"`{d.name}`",
                    d.unit or "–",
                    ", ".join(f"`{name}`" for name in d.sources) or "–",
                    f"`{d.api_key}`" if d.api_key else "–",
                )
                for d in DERIVED.values()
            ],
        ),
        "## Terms",
        table(
            ("term", "meaning"),
            [
                ("site", "One installation with one endpoint, known by its `id`"),
                (
                    "scrape",
                    "One reading of a site, of one to four requests; to poll is to do it on time",
                ),
                ("Snapshot", "What one scrape of one site found"),
                ("Assessment", "Scores, status, issues and ranks made of the latest Snapshots"),
                (
                    "component",
                    "One of battery, grid, solar, connectivity; issues of `devices` belong to none "
                    "of them and take no points",
                ),
                ("issue", "Something wrong with a site, with a stable code and a severity"),
                (
                    "status",
                    "HEALTHY, GOOD, WARNING, CRITICAL or OFFLINE; UNKNOWN before the first scrape",
                ),
                ("coverage", "Share of the inputs of a full judgement that a site gave"),
                ("pack", "Cells in series with their own extremes; one battery device"),
                ("cell spread", "Highest minus lowest cell voltage of a pack"),
                ("missing", "The device has no such value"),
                ("implausible", "The device gave a value outside physics"),
                ("stale", "Not renewed for three intervals and 10 s"),
                ("off-grid site", "One that should have no grid, so that none is missed"),
                ("driver", "The module that speaks one protocol"),
                ("full detail", "Readings as they were scraped (`raw` in InfluxDB)"),
                ("roll-up", "What is kept of a window of 5 min, 15 min, 1 h or 1 d"),
                (
                    "queue",
                    "What waits for InfluxDB, in memory or on disk; `spool` in metrics and alerts",
                ),
                (
                    "ticket",
                    "A maintenance ticket at a tracker; as `severity`, an alert that can wait",
                ),
            ],
        ),
        f"A contact has {', '.join(f'`{name}`' for name in Contact.model_fields)}; the fleet file "
        f"has {', '.join(f'`{name}`' for name in Fleet.model_fields)}.",
    )


def main(arguments: list[str]) -> int:
    """Write the documents, or compare them; returns the exit code."""
    return write_or_compare(documents(), FOLDER, arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
