"""Replies of the API: JSON with an ETag, compressed where the caller can read it."""

from __future__ import annotations

import hashlib
from typing import Any

import orjson
from fastapi import Request, Response

from exporter.model.compression import gzip_bytes

COMPRESS_FROM_BYTES = 1024


def reply(request: Request, value: Any, **more: str) -> Response:
    """A value as JSON; 304 without a body where the caller has the same already.

    The ETag is weak, since the compressed and the plain body share it; ``more`` are further
    headers.
    """
    return reply_bytes(request, orjson.dumps(value), "application/json", **more)


def reply_bytes(request: Request, body: bytes, media_type: str, **more: str) -> Response:
    """The same for a body that is made already; ``more`` are further headers."""
    etag = f'W/"{hashlib.blake2b(body, digest_size=12).hexdigest()}"'
    headers = {"ETag": etag, "Cache-Control": "no-cache", "Vary": "Accept-Encoding"} | more
    if _has(request, etag):
        return Response(status_code=304, headers=headers)
    if len(body) >= COMPRESS_FROM_BYTES and "gzip" in request.headers.get("accept-encoding", ""):
        body = gzip_bytes(body)
        headers["Content-Encoding"] = "gzip"
    return Response(body, media_type=media_type, headers=headers)


def _has(request: Request, etag: str) -> bool:
    """Whether ``If-None-Match`` names the ETag, compared weakly (RFC 9110, 13.1.2)."""
    asked = request.headers.get("if-none-match", "")
    known = [part.strip().removeprefix("W/") for part in asked.split(",")]
    return "*" in known or etag.removeprefix("W/") in known
