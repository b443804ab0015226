"""Series read from a file and over HTTP and stored; what is wrong leaves them as they are."""

from __future__ import annotations

import asyncio
import gzip
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from exporter.energy.price_feed import PriceFeed
from exporter.energy.tariff_file import load_tariffs
from exporter.store.queue import Batch


class Gathered:
    """Takes batches in place of a writer."""

    def __init__(self) -> None:
        self.batches: list[Batch] = []

    def put(self, batch: Batch) -> None:
        self.batches.append(batch)

    def lines(self) -> list[str]:
        return [
            line
            for batch in self.batches
            for line in gzip.decompress(batch.body).decode().split("\n")
        ]


@pytest.fixture
def service() -> Iterator[http.server.ThreadingHTTPServer]:
    class Handler(http.server.BaseHTTPRequestHandler):
        body = b'{"unix_seconds": [1767222000, 1767225600], "price": [100.0, null]}'
        asked = 0

        def do_GET(self) -> None:
            type(self).asked += 1
            self.send_response(200)
            self.send_header("Content-Length", str(len(self.body)))
            self.end_headers()
            self.wfile.write(self.body)

        def log_message(self, *_: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def test_a_file_and_a_service(service: http.server.ThreadingHTTPServer, tmp_path: Path) -> None:
    port = service.server_address[1]
    (tmp_path / "prices.csv").write_text("time,price\n1767222000,7\n", "utf-8")
    (tmp_path / "tariffs.yaml").write_text(
        "currency: EUR\n"
        "series:\n"
        f"  spot: {{url: 'http://127.0.0.1:{port}/', unit: MWh, refresh_minutes: 30}}\n"
        "  local: {file: prices.csv, unit: ct/kWh}\n"
        "tariffs: {a: {grid: {series: spot}, feed_in: {series: local}}}\n",
        "utf-8",
    )
    clock = [1e9]
    store = Gathered()

    async def turns() -> None:
        feed = PriceFeed(load_tariffs(tmp_path / "tariffs.yaml"), store, lambda: clock[0])  # type: ignore[arg-type]
        await feed.turn()
        assert sorted(store.lines()) == [
            "price,series=local price=0.07,seconds=3600.0 1767222000000",
            "price,series=spot price=0.1,seconds=3600.0 1767222000000",
        ]
        assert {batch.policy for batch in store.batches} == {"rollup_1h"}
        # Neither is due again, until the file changes and half an hour is over.
        await feed.turn()
        assert len(store.lines()) == 2
        (tmp_path / "prices.csv").write_text("time,price\n1767225600,nothing\n", "utf-8")
        clock[0] += 1801
        service.RequestHandlerClass.body = b"[]"  # type: ignore[attr-defined]
        await feed.turn()
        assert len(store.lines()) == 2
        (tmp_path / "prices.csv").write_text("time,price\n1767225600,9\n", "utf-8")
        clock[0] += 60
        await feed.turn()
        assert store.lines()[2:] == ["price,series=local price=0.09,seconds=3600.0 1767225600000"]
        feed.close()

    asyncio.run(turns())
    assert service.RequestHandlerClass.asked == 2  # type: ignore[attr-defined]
