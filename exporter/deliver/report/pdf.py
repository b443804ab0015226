"""HTML to PDF with WeasyPrint, in a process of its own: ``python -m exporter.deliver.report.pdf``.

Typesetting a fleet of 1,000 sites takes many seconds of processor time and memory that would be
missed by the poll loop; the process gives both back when it ends.
"""

from __future__ import annotations

import os
import sys
from typing import Any

from exporter.model.extras import missing
from exporter.model.workers import Program, ProgramError, end_with_parent, limit_data

LIMIT_SECONDS = 600.0
MOST_BYTES = 1024**3
_LEAST_FILLED = 0.25
"""A last page with less text is spared by a smaller type, if that suffices."""
_SMALLER = (10.0, 9.5, 9.0)


class NoPdfError(Exception):
    """The PDF could not be made; the text says why."""


async def as_pdf(html: str) -> bytes:
    """The document as PDF.

    Raises
    ------
    NoPdfError
    """
    if reason := missing("report"):
        raise NoPdfError(reason)
    program = Program("exporter.deliver.report.pdf")
    try:
        return await program.output(html.encode(), LIMIT_SECONDS)
    except TimeoutError as error:
        raise NoPdfError(f"the PDF took longer than {LIMIT_SECONDS:.0f} s") from error
    except ProgramError as error:
        raise NoPdfError(str(error)) from error


def main() -> None:
    """Read HTML, write PDF."""
    try:
        import weasyprint  # noqa: F401 - loads Pango, or says what is absent
    except OSError as error:
        raise SystemExit(
            "no PDF without Pango (Debian: apt-get install libpango-1.0-0 libpangoft2-1.0-0 "
            f"libharfbuzz-subset0): {error}"
        ) from error
    # Polling comes first.
    os.nice(10)
    limit_data(MOST_BYTES)
    end_with_parent()
    html = sys.stdin.buffer.read().decode()
    sys.stdout.buffer.write(fitted(html).write_pdf() or b"")


def fitted(html: str) -> Any:
    """The document in pages; in smaller type where that spares a last page of a few lines."""
    from weasyprint import CSS, HTML
    from weasyprint.urls import URLFetcher

    # A report needs nothing from elsewhere; what its texts name is left out.
    fetcher = URLFetcher(allowed_protocols=("data",), allow_redirects=False)
    document = HTML(string=html, url_fetcher=fetcher).render()
    for size in _SMALLER:
        if len(document.pages) < 2 or _filled(document.pages[-1]) >= _LEAST_FILLED:
            break
        style = CSS(string=f"@media print {{ body {{ font-size: {size}px !important }} }}")
        smaller = HTML(string=html, url_fetcher=fetcher).render(stylesheets=[style])
        if len(smaller.pages) < len(document.pages):
            document = smaller
            break
    return document


def _filled(page: Any) -> float:
    """Share of a page's height that has text, 0 to 1."""
    (body, *_) = page._page_box.children
    bottoms = [
        float(box.position_y) + float(box.height)
        for box in body.descendants()
        if getattr(box, "text", None)
    ]
    return max(bottoms, default=0.0) / float(page.height)


if __name__ == "__main__":
    main()
