"""Shards: every site has one, and one more shard moves few sites."""

from __future__ import annotations

import json
import time
from collections import Counter
from pathlib import Path

import pytest

from exporter.config.fleet_file import parse_fleet
from exporter.config.reload import FleetFile
from exporter.config.shards import Shard, parse_shard, shard_of
from exporter.drivers import DRIVERS

pytestmark = pytest.mark.slow

IDS = [f"site_{n:05d}" for n in range(4000)]


def text_of(ids: list[str]) -> str:
    sites = [{"id": i, "api_endpoint": f"http://127.0.0.1/{i}"} for i in ids]
    return json.dumps({"sites": sites})


@pytest.mark.parametrize("count", [1, 2, 4, 7])
def test_every_site_is_in_one_shard(count: int) -> None:
    fleet = parse_fleet(text_of(IDS[:400]), Path("fleet.json"), DRIVERS)
    parts = [Shard(index, count).part_of(fleet) for index in range(count)]
    polled = Counter(site.id for part in parts for site in part.sites)
    assert polled == Counter(IDS[:400])
    for part in parts:
        assert [s.id for s in part.sites] == sorted(s.id for s in part.sites)
        assert part.thresholds == fleet.thresholds


def test_shards_are_of_about_one_size() -> None:
    sizes = Counter(shard_of(site, 4) for site in IDS)
    assert sorted(sizes) == [0, 1, 2, 3]
    assert all(900 <= size <= 1100 for size in sizes.values())


@pytest.mark.parametrize("count", [1, 3, 4, 9])
def test_one_more_shard_takes_its_part_and_moves_no_other_site(count: int) -> None:
    moved = [site for site in IDS if shard_of(site, count) != shard_of(site, count + 1)]
    assert all(shard_of(site, count + 1) == count for site in moved)
    assert len(moved) / len(IDS) == pytest.approx(1 / (count + 1), rel=0.15)


def test_the_shard_of_a_site_stays_from_version_to_version() -> None:
    assert [shard_of(site, 4) for site in ("a", "b", "c", "d", "e", "f")] == KNOWN


KNOWN = [0, 3, 2, 2, 2, 2]


@pytest.mark.parametrize("text", ["", "1", "4/4", "-1/4", "0/0", "0/1001", "1/4/", "a/b", "0 / 4"])
def test_what_is_no_shard_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="0/4 to 3/4"):
        parse_shard(text)


def test_a_shard_reads_its_part_of_the_file_again(tmp_path: Path) -> None:
    path = tmp_path / "fleet.json"
    path.write_text(text_of(IDS[:40]), "utf-8")
    file = FleetFile(path, time.time, DRIVERS, parse_shard("1/4"))
    mine = [site.id for site in file.fleet.sites]
    assert mine == [site for site in IDS[:40] if shard_of(site, 4) == 1]
    assert file.all_sites == 40
    others = [site for site in IDS[40:60] if shard_of(site, 4) != 1]
    path.write_text(text_of(IDS[:40] + others), "utf-8")
    # Sites of other shards change nothing here.
    assert file.reload() is None
    assert file.all_sites == 40 + len(others)
    more = [site for site in IDS[40:60] if shard_of(site, 4) == 1]
    path.write_text(text_of(IDS[:60]), "utf-8")
    again = file.reload()
    assert again is not None
    assert [site.id for site in again.sites] == mine + more
