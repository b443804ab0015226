"""Command line: ``python -m provisioning.alertmanager [--output DIR] [--seen-as DIR]``."""

from __future__ import annotations

import argparse
import os
import re
import sys
from pathlib import Path

from exporter.config.dotenv_file import read_dotenv
from provisioning.alertmanager.render import SECRETS, VARIABLES, SettingsError, render, write


def main(arguments: list[str] | None = None) -> int:
    """Write the configuration; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m provisioning.alertmanager",
        description="Writes Alertmanager's configuration with receivers from the environment or "
        "from .env in the working directory.",
        epilog="Variables: "
        + "; ".join(f"{name}: {meaning}" for name, meaning in VARIABLES.items())
        + f". Instead of {', '.join(sorted(SECRETS))} a variable with _FILE may name a file.",
    )
    parser.add_argument("--output", type=Path, default=Path(".fleetscope/alertmanager"))
    parser.add_argument(
        "--seen-as", help="folder of the configuration as Alertmanager sees it, in a container"
    )
    parser.add_argument(
        "--alertmanager", type=_version, default=(0, 25), help="its version; default 0.25"
    )
    args = parser.parse_args(arguments)
    folder = args.output.resolve()
    named = read_dotenv(Path(".env"), os.environ)
    try:
        rendered = render(
            {**named, **os.environ}, args.seen_as or str(folder / "config"), args.alertmanager
        )
    except SettingsError as error:
        for mistake in error.mistakes:
            print(f"alertmanager: {mistake}", file=sys.stderr)
        return 2
    print(f"Wrote {write(rendered, folder)}")
    return 0


def _version(text: str) -> tuple[int, ...]:
    match = re.fullmatch(r"v?(\d+)\.(\d+)(?:\.\d+)?", text)
    if match is None:
        raise argparse.ArgumentTypeError(f"{text} is not a version such as 0.28.1")
    return int(match[1]), int(match[2])


if __name__ == "__main__":
    sys.exit(main())
