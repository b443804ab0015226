"""The runbooks as a page of their own, each under the name of its alert."""

from __future__ import annotations

import functools
import itertools

from markdown_it import MarkdownIt

from exporter.deliver.runbooks import runbooks_text


@functools.cache
def runbooks_html() -> str:
    """The runbooks as HTML; an entry has the name of its alert in lower case as its id.

    Raises
    ------
    FileNotFoundError
        Where the documents are not installed.
    """
    reader = MarkdownIt("commonmark", {"html": False}).enable("table")
    parsed = reader.parse(runbooks_text())
    for token, following in itertools.pairwise(parsed):
        if token.type == "heading_open" and token.tag == "h2":
            token.attrSet("id", following.content.strip().lower())
        for child in following.children or ():
            # Other documents are not served.
            if child.type == "link_open" and "://" not in str(child.attrs["href"]):
                del child.attrs["href"]
    return str(reader.renderer.render(parsed, reader.options, {}))
