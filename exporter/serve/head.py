"""HEAD, answered as GET is but without a body (RFC 9110, 9.3.2)."""

from __future__ import annotations

import asyncio

from starlette.types import ASGIApp, Message, Receive, Scope, Send


class HeadRequests:
    """ASGI middleware: a HEAD request gets the headers of the GET, and streams end at once.

    Parameters
    ----------
    app : ASGI application
        It sees a GET.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See the ASGI specification."""
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self._app(scope, receive, send)
            return
        answered = asyncio.Event()

        async def send_head(message: Message) -> None:
            if message["type"] == "http.response.start":
                await send(message)
                await send({"type": "http.response.body", "body": b""})
                answered.set()

        application = asyncio.ensure_future(
            self._app({**scope, "method": "GET"}, receive, send_head)
        )
        answer = asyncio.ensure_future(answered.wait())
        try:
            await asyncio.wait({application, answer}, return_when=asyncio.FIRST_COMPLETED)
            # An event stream would go on: nobody reads it.
            if application.done():
                application.result()
        finally:
            for task in (application, answer):
                task.cancel()
            await asyncio.gather(application, answer, return_exceptions=True)
