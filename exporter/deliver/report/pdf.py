"""HTML to PDF with WeasyPrint, in a process of its own: ``python -m exporter.deliver.report.pdf``.

Typesetting a fleet of 1,000 sites takes many seconds of processor time and memory that would be
missed by the poll loop; the process gives both back when it ends.
"""

from __future__ import annotations

import os
import sys
from typing import Any, NoReturn

from exporter.model.workers import Program, ProgramError

LIMIT_SECONDS = 600.0


class NoPdfError(Exception):
    """The PDF could not be made; the text says why."""


async def as_pdf(html: str) -> bytes:
    """The document as PDF.

    Raises
    ------
    NoPdfError
    """
    program = Program("exporter.deliver.report.pdf")
    try:
        return await program.output(html.encode(), LIMIT_SECONDS)
    except TimeoutError as error:
        raise NoPdfError(f"the PDF took longer than {LIMIT_SECONDS:.0f} s") from error
    except ProgramError as error:
        raise NoPdfError(str(error)) from error


def _nothing(url: str, *_: Any, **__: Any) -> NoReturn:
    raise ValueError(f"a report needs nothing from elsewhere: {url[:80]}")


def main() -> None:
    """Read HTML, write PDF."""
    try:
        from weasyprint import HTML
    except OSError as error:
        raise SystemExit(
            "no PDF without Pango (Debian: apt-get install libpango-1.0-0 libpangoft2-1.0-0 "
            f"libharfbuzz-subset0): {error}"
        ) from error
    # Polling comes first.
    os.nice(10)
    html = sys.stdin.buffer.read().decode()
    sys.stdout.buffer.write(HTML(string=html, url_fetcher=_nothing).write_pdf() or b"")


if __name__ == "__main__":
    main()
