"""A mail server and an HTTP receiver on real sockets, which keep what they get."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@contextlib.contextmanager
def mail_server(letters: list[bytes]) -> Iterator[int]:
    """Takes one mail after the other, in the plainest SMTP."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection, connection.makefile("rwb") as stream:

                def say(line: str, stream: Any = stream) -> None:
                    stream.write(line.encode() + b"\r\n")
                    stream.flush()

                say("220 test")
                for raw in stream:
                    word = raw[:4].upper()
                    if word == b"DATA":
                        say("354 go on")
                        body = b""
                        while (line := stream.readline()) != b".\r\n":
                            # A line that begins with a dot was sent with two (RFC 5321, 4.5.2).
                            body += line[1:] if line.startswith(b"..") else line
                        letters.append(body)
                        say("250 kept")
                    elif word == b"QUIT":
                        say("221 bye")
                        break
                    else:
                        say("250 ok")

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


class Receiver:
    """Keeps requests; answers with the statuses of ``script``, then 201 and ``reply``."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, str, dict[str, str], bytes]] = []
        self.script: list[int] = []
        self.reply = b"{}"
        self.url = ""

    @contextlib.contextmanager
    def serving(self) -> Iterator[Receiver]:
        keeper = self

        class Handler(BaseHTTPRequestHandler):
            def _take(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                if self.headers.get("Transfer-Encoding") == "chunked":
                    while size := int(self.rfile.readline(), 16):
                        body += self.rfile.read(size)
                        self.rfile.readline()
                    self.rfile.readline()
                headers = {name.lower(): value for name, value in self.headers.items()}
                keeper.requests.append((self.command, self.path, headers, body))
                status = keeper.script.pop(0) if keeper.script else 201
                self.send_response(status)
                self.send_header("Content-Length", str(len(keeper.reply)))
                self.end_headers()
                self.wfile.write(keeper.reply)

            do_GET = do_POST = do_PATCH = do_PUT = _take  # noqa: N815

            def log_message(self, *_: object) -> None:
                """Silent."""

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        self.url = f"http://127.0.0.1:{server.server_address[1]}"
        try:
            yield self
        finally:
            server.shutdown()
            thread.join()
            server.server_close()
