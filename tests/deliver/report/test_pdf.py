"""A PDF does not end with a page of a few lines."""

from __future__ import annotations

from ctypes.util import find_library

import pytest

needs_pango = pytest.mark.skipif(
    find_library("pangoft2-1.0") is None, reason="Pango is not installed: no PDF to look at"
)


@needs_pango
@pytest.mark.parametrize("extra", [1, 3, 30])
def test_no_page_of_six_lines(extra: int) -> None:
    from weasyprint import HTML

    from exporter.deliver.report.pdf import fitted

    style = "<style>@page { size: A4; margin: 16mm } p { margin: 0 } body { font-size: 10.5px }"

    def pages(count: int) -> str:
        return f"{style}</style><body>" + "".join(f"<p>{n}</p>" for n in range(count)) + "</body>"

    full = next(n for n in range(40, 120) if len(HTML(string=pages(n)).render().pages) == 2) - 1
    document = fitted(pages(full + extra))
    assert len(document.pages) == (2 if extra == 30 else 1)
