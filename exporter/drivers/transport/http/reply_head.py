"""The head of an HTTP reply that begins as nearly all do; any other is for a general parser."""

from __future__ import annotations

import functools
import re
from typing import NamedTuple

_END = b"\r\n\r\n"
_STATUS = re.compile(rb"HTTP/1\.[01] ([2-5]\d\d)(?: [^\r\n]*)?\r\n")
# Field lines as RFC 9110 has them; what differs is for aiohttp to judge.
_FIELDS = re.compile(rb"(?:\r\n[!#$%&'*+.^_`|~0-9A-Za-z-]+:[\t\x20-\x7e\x80-\xff]*)*\Z")
MEDIA_TYPE = re.compile(r"[a-z0-9!#$&^_.+-]+/[a-z0-9!#$&^_.+-]+\Z")
_NO_BODY = frozenset({204, 304})
_LENGTH = re.compile(rb"\s*(\d{1,15})\s*\Z")


class Head(NamedTuple):
    """The head of a reply: its size in bytes, the length of the body where it is given, and the
    date, empty without one."""

    size: int
    status: int
    length: int | None
    content_type: str
    encoding: str
    date: str


def usual_head(data: bytes) -> Head | None:
    """The head of a reply that begins as nearly all do; None for any other."""
    end = data.find(_END)
    return _head(data[:end]) if end >= 0 else None


# Sites of a fleet answer alike within a second.
@functools.lru_cache(maxsize=256)
def _head(data: bytes) -> Head | None:
    """The same of a head without the empty line that ends it."""
    end = len(data)
    status = _STATUS.match(data + b"\r\n")
    if status is None:
        return None
    fields = data[status.end() - 2 : end].lower()
    if b"\ntransfer-encoding" in fields or not _FIELDS.match(fields):
        return None
    code = int(status[1])
    length: int | None = None
    at = fields.find(b"\ncontent-length:")
    if at >= 0:
        found = _LENGTH.match(_value(fields, at))
        if found is None or b"\ncontent-length:" in fields[at + 1 :]:
            return None
        length = int(found[1])
    if code in _NO_BODY:
        length = 0
    return Head(
        size=end + 4,
        status=code,
        length=length,
        content_type=_media_type(fields),
        encoding=_text(fields, b"\ncontent-encoding:") or "identity",
        date=_text(fields, b"\ndate:"),
    )


def _value(fields: bytes, at: int) -> bytes:
    """The value of the field whose line begins at ``at``."""
    begin = fields.index(b":", at) + 1
    end = fields.find(b"\r\n", begin)
    return fields[begin:end] if end >= 0 else fields[begin:]


def _text(fields: bytes, name: bytes) -> str:
    at = fields.find(name)
    if at < 0:
        return ""
    return _value(fields, at).partition(b";")[0].strip().decode("latin-1")


def _media_type(fields: bytes) -> str:
    found = _text(fields, b"\ncontent-type:")
    return found if MEDIA_TYPE.match(found) else "application/octet-stream"
