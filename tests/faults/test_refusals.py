"""What InfluxDB refuses is found, kept with its own words, and nothing else is lost with it."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from exporter.cli.commands import app
from exporter.store.queue import Fate, compress
from tests.faults.plant import plant, target_for
from tests.faults.store import BASE, TOKEN, Store

pytestmark = [pytest.mark.stack, pytest.mark.usefixtures("quick")]


def rejects(folder: Path) -> list[dict[str, str]]:
    path = folder / "queue" / "rejects.jsonl"
    return [json.loads(text) for text in path.read_text("utf-8").splitlines()]


async def test_bad_points_are_found_and_the_rest_goes_in(either: Store, tmp_path: Path) -> None:
    """A type conflict (partial write: 400 in 1.x, 422 in 2.x) and lines that are no points."""
    measurement = f"mixed{time.time_ns()}"
    bad = [
        f'{measurement},site=a n="text" {BASE + 100_000}',
        f'{measurement},site=a n="text" {BASE + 100_001}',
        f"{measurement},site=a n= {BASE + 100_002}",
    ]
    async with plant(either.url, tmp_path, api=either.api) as running:
        running.make(5, measurement)
        await running.sent()
        for index in range(3):
            running.make(200, measurement)
            running.writer.add([bad[index]])
            running.make(200, measurement)
        await running.sent()
        counts = running.counts
    assert either.indices(measurement) == list(range(1205))
    assert (counts[Fate.WRITTEN], counts[Fate.REJECTED], counts[Fate.DROPPED]) == (1205, 3, 0)
    found = rejects(tmp_path)
    assert sorted(one["point"] for one in found) == sorted(bad)
    words = {one["point"]: one["words"] for one in found}
    assert all("type conflict" in words[line] for line in bad[:2])
    assert "unable to parse" in words[bad[2]]


async def test_a_batch_that_is_too_large_goes_in_parts(store: Store, tmp_path: Path) -> None:
    """1.x with a small max-body-size answers 413, or breaks the connection off while reading."""
    async with plant(store.url, tmp_path) as running:
        running.make(1)
        await running.sent()
        running.make(12, size=20_000)
        await running.sent()
        assert running.counts[Fate.WRITTEN] == 13
    assert store.indices("scrape") == list(range(13))


async def test_a_repeat_changes_nothing(either: Store) -> None:
    target = target_for(either.url, either.api)
    measurement = f"again{time.time_ns()}"
    lines = [f"{measurement},site=a n={float(n)} {BASE + n}" for n in range(100)]
    try:
        await target.prepare()
        for _ in range(3):
            await target.write(compress(lines, 0.0).body)
            assert either.indices(measurement) == list(range(100))
    finally:
        await target.close()


async def test_verify_counts_against_the_books(
    either: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with plant(either.url, tmp_path, api=either.api) as running:
        running.make(500)
        stamps = range(BASE + 600_000, BASE + 600_010)
        running.writer.add([f"site,site=a online=1.0 {stamp}" for stamp in stamps])
        running.writer.add([f"site,site=a pv_expected_w=1.0 {stamp}" for stamp in stamps[:4]])
        await running.sent()
    for name, value in {
        "QUEUE_DIR": str(tmp_path / "queue"),
        "INFLUXDB_URL": either.url,
        "INFLUXDB_API": either.api,
        **({"INFLUXDB_TOKEN": TOKEN} if either.api == "v2" else {}),
    }.items():
        monkeypatch.setenv(f"FLEETSCOPE_{name}", value)
    day = time.strftime("%Y-%m-%dT00:00", time.gmtime(BASE / 1000))
    end = time.strftime("%Y-%m-%dT01:00", time.gmtime(BASE / 1000))

    def verify(*arguments: str) -> tuple[int, str]:
        import concurrent.futures

        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            done = pool.submit(CliRunner().invoke, app, ["verify", *arguments]).result()
        return done.exit_code, done.output

    code, told = verify("--from", day, "--to", end)
    assert (code, "Everything that was written is in InfluxDB" in told) == (0, True)
    either.take_out("scrape", 7)
    code, told = verify("--from", day, "--to", end)
    assert (code, "1 points were written and are not in InfluxDB" in told) == (1, True)
    code, told = verify("--from", "2001-01-01", "--to", "2001-01-02")
    assert code == 2
    assert "nothing to compare" in told
    code, told = verify("--from", "some time")
    assert code == 2
