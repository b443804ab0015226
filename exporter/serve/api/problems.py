"""Errors of the API as problem details (RFC 9457): what, where, and what would be right."""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import Any

import orjson
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

log = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"


def problem(status: int, detail: str, **more: Any) -> Response:
    """One problem; ``more`` are members of its own beside the standard ones."""
    headers = more.pop("headers", None)
    body = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
    }
    return Response(orjson.dumps(body | more), status, headers, MEDIA_TYPE)


def install(app: FastAPI) -> None:
    """Tell every error of the application in this form."""

    @app.exception_handler(HTTPException)
    async def refused(request: Request, error: HTTPException) -> Response:
        headers = dict(error.headers) if error.headers else None
        return problem(error.status_code, str(error.detail), headers=headers)

    @app.exception_handler(RequestValidationError)
    async def wrong(request: Request, error: RequestValidationError) -> Response:
        errors = [
            {"parameter": str(found["loc"][:2][-1])[:80], "message": _words(found)}
            for found in error.errors()
        ]
        detail = "; ".join(f"{found['parameter']}: {found['message']}" for found in errors)
        return problem(422, detail, errors=errors)

    @app.exception_handler(Exception)
    async def broken(request: Request, error: Exception) -> Response:
        # The server logs the error itself; a caller learns nothing of the inside.
        return problem(500, "the exporter made a mistake; its log says which")


def _words(found: Any) -> str:
    if found["type"] == "extra_forbidden":
        return "there is no such parameter here"
    message = str(found["msg"]).removeprefix("Value error, ")
    return message.replace("Input should be ", "expected ", 1)
