"""A fleet file written by an attacker: it is refused, or does no harm."""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from exporter.config import isolated_reader
from exporter.config.fleet import Fleet
from exporter.config.fleet_file import FleetFileError, parse_fleet
from exporter.config.reload import FleetFile
from exporter.drivers import DRIVERS
from exporter.drivers.transport.http.json_client import HttpClient, get_json
from exporter.model.snapshot import Outcome, ScrapeError

ONE = 'sites:\n- id: a\n  api_endpoint: "http://a"\n'
LAUGHS = 'a: &a ["x","x","x"]\n' + "".join(
    f"{new}: &{new} [{','.join(['*' + old] * 9)}]\n"
    for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)
BOMBS = {
    "laughs": (LAUGHS + "sites: *i\n", "YAML aliases"),
    "merge keys": ("sites:\n- &a {id: a}\n" + "- {<<: *a}\n" * 900, "and 2"),
    "lists in a line": ("- " * 400_000, "nested more than 50 deep"),
    "keys in a line": ("? " * 400_000, "nested more than 50 deep"),
    "both": ("- ? " * 400_000, "nested more than 50 deep"),
    "by blanks": ("\n".join(" " * n + "a:" for n in range(900)), "nested more than 50 deep"),
    "brackets": ("[" * 400_000, "nested more than 50 deep"),
    "tags": ("sites: !!python/object/apply:os.system [id]\n", "YAML tags"),
    "a long text": (ONE + "  name: '" + "x" * 3_000_000 + "'\n", "at most 200 characters"),
    "a long key": (ONE + "  ? " + "x" * 3_000_000 + "\n  : 1\n", "unknown key"),
    "a long number": (ONE + "  capacity_kwh: " + "9" * 3_000_000 + "\n", "expected"),
    "many sites": ("sites:\n" + "- \n" * 100_001, "expected 100000 at most"),
    "many mistakes": ("sites:\n" + "- {x: 1}\n" * 3000, "more"),
    "many tags": (ONE + f"  tags: [{','.join('abcdefghij' * 20)}]\n", "at most 100 entries"),
}


@pytest.mark.slow
@pytest.mark.parametrize(("text", "words"), BOMBS.values(), ids=BOMBS.keys())
def test_bombs_are_refused_in_few_words(text: str, words: str) -> None:
    with pytest.raises(FleetFileError) as caught:
        parse_fleet(text, Path("fleet.yaml"), DRIVERS)
    assert words in str(caught.value)
    assert len(str(caught.value)) < 200_000


@pytest.mark.slow
def test_a_file_that_hurts_its_reader_does_not_hurt_the_exporter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is read in another process, within limits; the fleet before stays in force."""
    path = tmp_path / "fleet.yaml"
    path.write_text(ONE, "utf-8")
    file = FleetFile(path, time.time, DRIVERS)
    path.write_text(ONE + "  name: A\n", "utf-8")
    fleet = file.reload()
    assert isinstance(fleet, Fleet)
    assert fleet.sites[0].title == "A"
    path.write_text(ONE + "  name: [\n", "utf-8")
    assert file.reload() is None
    assert not file.successful
    monkeypatch.setattr(isolated_reader, "MOST_SECONDS", 0.01)
    with pytest.raises(FleetFileError, match="cannot be read within"):
        isolated_reader.read(path, DRIVERS)
    assert file.fleet.sites[0].title == "A"


def test_the_reader_knows_no_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLEETSCOPE_INFLUXDB_TOKEN", "s3cret")
    seen: list[dict[str, str]] = []
    started = subprocess.Popen

    def watched(*arguments: Any, **how: Any) -> Any:
        seen.append(how["env"])
        return started(*arguments, **how)

    monkeypatch.setattr(isolated_reader.subprocess, "Popen", watched)
    path = tmp_path / "fleet.yaml"
    path.write_text(ONE, "utf-8")
    assert isolated_reader.read(path, DRIVERS).sites[0].id == "a"
    assert len(seen) == 1
    assert "s3cret" not in str(seen)


async def test_the_exporter_does_not_wait_for_a_file_when_it_ends(tmp_path: Path) -> None:
    path = tmp_path / "fleet.yaml"
    path.write_text("sites:\n" + "- {x: 1}\n" * 200_000, "utf-8")
    reading = asyncio.create_task(asyncio.to_thread(isolated_reader.read, path, DRIVERS))
    while not isolated_reader._reading:  # noqa: ASYNC110 - a moment
        await asyncio.sleep(0.01)
    isolated_reader.give_up()
    with pytest.raises(FleetFileError, match="cannot be read within"):
        await reading


METADATA = [
    "169.254.169.254",
    "169.254.169.254.",
    "2852039166",
    "0xa9fea9fe",
    "0xA9.0xFE.0xA9.0xFE",
    "0251.0376.0251.0376",
    "00000251.0376.0251.0376",
    "169.16689662",
    "169.254.43518",
    "169.0376.0xa9fe",
    "[::ffff:169.254.169.254]",
    "[::ffff:a9fe:a9fe]",
    "[0:0:0:0:0:ffff:a9fe:a9fe]",
    "[::a9fe:a9fe]",
    "[64:ff9b::a9fe:a9fe]",
    "[64:ff9b:1::a9fe:a9fe]",
    "[2002:a9fe:a9fe::]",
    "[fe80::1]",
    "[fe80::1%25lo]",
    "[fd00:ec2::254]",
    "１６９.254.169.254",
    "①⑥⑨.②⑤④.①⑥⑨.②⑤④",
    "169。254。169。254",
    "0",
    "0.0.0.0",
    "[::]",
    "224.0.0.1",
    "%31%36%39.254.169.254",
]


@pytest.mark.parametrize("host", METADATA)
@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_no_way_to_write_a_metadata_address_leads_there(
    host: str, scheme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Refused in the file, or where the connection is made; nothing is sent, whatever it is."""
    tried: list[object] = []
    monkeypatch.setattr(
        asyncio.get_running_loop(), "sock_connect", lambda *where: tried.append(where)
    )
    url = f"{scheme}://{host}:80/latest/meta-data"
    try:
        text = json.dumps({"sites": [{"id": "a", "api_endpoint": url}]})
        parse_fleet(text, Path("fleet.json"), DRIVERS)
    except FleetFileError:
        pass
    async with HttpClient() as http:
        with pytest.raises(ScrapeError) as caught:
            await get_json(http, url, "/value", {})
    assert caught.value.outcome in (Outcome.REFUSED, Outcome.DNS, Outcome.MALFORMED)
    assert tried == []


async def test_a_name_that_changes_its_address_is_looked_at_each_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Right when it is looked up first, a metadata address when it is connected to."""
    answers = [("127.0.0.1", 9), ("169.254.169.254", 80)]

    async def resolved(*asked: object, **how: object) -> list[object]:
        address = answers.pop(0) if len(answers) > 1 else answers[0]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", address)]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", resolved)
    words = []
    async with HttpClient() as http:
        for _ in range(2):
            http.forget_addresses()
            with pytest.raises(ScrapeError) as caught:
                await get_json(http, "http://meta.example:9", "/value", {})
            words.append(caught.value.detail)
    assert "metadata" not in words[0]
    assert "metadata" in words[1]


URLS = [
    *("file:///etc/passwd", "ftp://a", "gopher://a:70/_x", "javascript:alert(1)", "data:,x"),
    *(
        "//a",
        "http:a",
        "http:///etc/passwd",
        "unix:///run/docker.sock",
        "http://a b",
        "http://a\\@b",
    ),
    *("http://a:0", "http://a:65536", "http://a:-1", "http://a/\r\nHost: b", "http://a/?x=1"),
    *(
        "http://a#b",
        "http://[::1",
        "http://.",
        "http://-a",
        "http://a..b",
        "HTTP://",
        "http://a:80:90",
    ),
]


@pytest.mark.parametrize("url", URLS)
def test_no_other_kind_of_url(url: str) -> None:
    text = json.dumps({"sites": [{"id": "a", "api_endpoint": url}]})
    with pytest.raises(FleetFileError) as caught:
        parse_fleet(text, Path("fleet.json"), DRIVERS)
    assert "\r" not in str(caught.value)


WITH_SECRETS = [
    *("http://user:s3cret@a", "http://s3cret@a", "http://user:s3cret%40a", "http://user:s3cret"),
    *("https:user:s3cret@a", "user:s3cret@a", "http://a?token=s3cret", "http://a/x#s3cret"),
    *("http:\\\\user:s3cret@a", "http://user:s3cret\u0040a", "http://user:s3cret＠a:x"),
    *("http://a/;token:s3cret?", "ftp://user:s3cret@a", "http://a:s3cret/"),
]


@pytest.mark.parametrize("url", WITH_SECRETS)
def test_a_password_in_a_url_is_never_told(url: str) -> None:
    for text in (
        json.dumps({"sites": [{"id": "a", "api_endpoint": url}]}),
        f"sites:\n- id: a\n  api_endpoint: '{url}'\n",
        f"sites:\n- id: a\n  api_endpoint: {url}\n",
    ):
        with pytest.raises(FleetFileError) as caught:
            parse_fleet(text, Path("fleet.yaml"), DRIVERS)
        assert "s3cret" not in str(caught.value)


NAMES = ["a\nb", "a\x1b[2J", "a\x00", "a\u2028b", "\u202eabc", "a\u2066b", "a\x85b", "a\x7f"]


@pytest.mark.parametrize("key", ["name", "location", "region", "vendor", "serial", "battery_type"])
@pytest.mark.parametrize("name", NAMES)
def test_no_name_acts_on_a_terminal_or_forges_a_line(key: str, name: str) -> None:
    text = json.dumps({"sites": [{"id": "a", "api_endpoint": "http://a", key: name}]})
    with pytest.raises(FleetFileError) as caught:
        parse_fleet(text, Path("fleet.json"), DRIVERS)
    assert str(caught.value).replace("\n", "").isprintable()


NUMBERS = ["1e400", "-1e400", "1e308", "9" * 400, "NaN", "Infinity", "-1", "0", "1e8"]


@pytest.mark.parametrize("number", NUMBERS)
def test_no_capacity_is_beyond_reason(number: str) -> None:
    site = '{"id": "a", "api_endpoint": "http://a", "capacity_kwh": ' + number + "}"
    with pytest.raises(FleetFileError):
        parse_fleet('{"sites": [' + site + "]}", Path("fleet.json"), DRIVERS)


@pytest.mark.parametrize(
    "other", ["site_a", "SITE_A", "Site_A", "ſite_a", "ｓite_a", "site_ａ", "site_a "]
)
def test_no_id_looks_like_another(other: str) -> None:
    sites = [{"id": i, "api_endpoint": "http://a"} for i in ("site_a", other)]
    with pytest.raises(FleetFileError):
        parse_fleet(json.dumps({"sites": sites}), Path("fleet.json"), DRIVERS)


FILES = ["../../../../etc/shadow", "/etc/passwd", "/dev/zero", "/proc/self/environ", "..", "a\x00b"]


@pytest.mark.parametrize("name", FILES)
def test_nothing_of_a_file_that_is_named_is_told(name: str, tmp_path: Path) -> None:
    site = {"id": "a", "api_endpoint": "https://a", "ca_file": name}
    with pytest.raises(FleetFileError) as caught:
        parse_fleet(json.dumps({"sites": [site]}), tmp_path / "fleet.json", DRIVERS)
    told = str(caught.value).replace(str(tmp_path), "")
    assert "root" not in told
    assert "PATH" not in told
