"""A PDF does not end with a page of a few lines."""

from __future__ import annotations

import socket
from ctypes.util import find_library

import pytest

pytestmark = pytest.mark.slow

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


@needs_pango
@pytest.mark.parametrize(
    "markup",
    [
        '<img src="{url}/x.png">',
        '<link rel="stylesheet" href="{url}/x.css">',
        '<link rel="attachment" href="{url}/x">',
        "<style>@import '{url}/x.css'; @font-face {{ font-family: f; src: url({url}/f) }} "
        "body {{ background: url({url}/b); font-family: f }}</style>",
        '<svg><image href="{url}/x"/></svg>',
        '<object data="{url}/x"></object>',
        '<img src="file:///etc/passwd"><link rel="attachment" href="file:///etc/passwd">',
    ],
)
def test_what_a_document_names_is_left_out(markup: str) -> None:
    """The PDF is made, and nobody is asked for anything."""
    from exporter.deliver.report.pdf import fitted

    with socket.create_server(("127.0.0.1", 0)) as untouched:
        url = f"http://127.0.0.1:{untouched.getsockname()[1]}"
        made = fitted(f"<body><p>Report</p>{markup.format(url=url)}</body>").write_pdf()
        untouched.settimeout(0)
        with pytest.raises(BlockingIOError):
            untouched.accept()
    assert made.startswith(b"%PDF")
    assert b"root:" not in made
