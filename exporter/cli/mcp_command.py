"""``fleetscope mcp``."""

from __future__ import annotations

import ipaddress
import socket
import sys
from typing import Annotated

import typer

from exporter.cli import client
from exporter.cli.extras import require
from exporter.cli.questions import Url


def register(app: typer.Typer) -> None:
    """Add the command."""

    @app.command()
    def mcp(
        url: Url = client.USUAL_URL,
        http: Annotated[
            str | None,
            typer.Option(
                "--http",
                metavar="HOST:PORT",
                help="Streamable HTTP on a loopback address instead of stdio.",
            ),
        ] = None,
    ) -> None:
        """Serve assistants over the Model Context Protocol; read-only."""
        require("mcp")
        if http is None:
            from exporter.cli.mcp.server import run_stdio

            run_stdio(url)
            return
        listener = _listener(http)
        from exporter.cli.mcp.server import run_http

        run_http(url, listener)


def _listener(address: str) -> socket.socket:
    host, _, port = address.rpartition(":")
    host = host.strip("[]")
    try:
        loopback = ipaddress.ip_address("127.0.0.1" if host == "localhost" else host)
        if not loopback.is_loopback or not 0 <= int(port) <= 65535:
            raise ValueError
    except ValueError:
        print(
            "fleetscope: --http takes a loopback address such as 127.0.0.1:9798, since there is no "
            "sign-in; put a proxy that has one before it to serve others",
            file=sys.stderr,
        )
        raise typer.Exit(client.EXIT_CANNOT_ANSWER) from None
    family = socket.AF_INET6 if loopback.version == 6 else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((str(loopback), int(port)))
    except OSError as error:
        listener.close()
        print(f"fleetscope: cannot listen on {address}: {error.strerror}", file=sys.stderr)
        raise typer.Exit(client.EXIT_CANNOT_ANSWER) from None
    return listener
