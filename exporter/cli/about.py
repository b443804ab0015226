"""``fleetscope version`` and ``fleetscope check-config``."""

from __future__ import annotations

import json
import sys
from pathlib import Path


def version_text(*, as_json: bool) -> str:
    """The version, alone or with what it runs on."""
    from exporter import __version__

    if not as_json:
        return __version__
    import platform

    return json.dumps(
        {
            "version": __version__,
            "python": platform.python_version(),
            "system": f"{platform.system()} {platform.machine()}",
        }
    )


def check(file: Path, *, as_json: bool, as_csv: bool) -> int:
    """Check a fleet file and print what is wrong with it; 1 if anything is, 2 for both forms."""
    from exporter.config.fleet_file import FleetFileError, load_fleet
    from exporter.drivers import DRIVERS
    from exporter.model.text import sites_word

    if as_json and as_csv:
        print("fleetscope: --json and --csv exclude each other", file=sys.stderr)
        return 2
    sites = 0
    error: FleetFileError | None = None
    try:
        sites = len(load_fleet(file, DRIVERS).sites)
    except FleetFileError as found:
        error = found
    mistakes = error.mistakes if error else []
    if as_json or as_csv:
        rows = [
            {"line": m.line or None, "column": m.column or None, "key": m.key, "message": m.message}
            for m in mistakes
        ]
        if as_json:
            report = {"file": str(file), "right": error is None, "sites": sites, "mistakes": rows}
            print(json.dumps(report, indent=2, ensure_ascii=False))
        else:
            from exporter.cli.render import csv_text

            columns = [{"key": k, "kind": "text"} for k in ("line", "column", "key", "message")]
            sys.stdout.write(csv_text({"tables": [{"columns": columns, "rows": rows}]}))
    elif error:
        print(f"fleetscope: {error}", file=sys.stderr)
    else:
        print(f"{file}: right, {sites_word(sites)}")
    return 1 if error else 0
