"""Fleet files: each mistake told whole, all of them at once, and no secret among them."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.config.fleet_file import FleetFileError, load_fleet, parse_fleet
from exporter.drivers import DRIVERS

DATA = Path(__file__).parents[1] / "data" / "config"
WRONG = sorted((DATA / "wrong").iterdir())
GOOD = sorted((DATA / "good").iterdir())
SITE = "sites:\n  - id: alpha\n    api_endpoint: http://192.0.2.10:8088\n"


def expected_mistakes(path: Path) -> list[str]:
    lines = path.read_text(encoding="utf-8").splitlines()
    marks = ("# expect: ", "// expect: ")
    names = ", ".join(sorted(DRIVERS))
    expected = [line.split(" expect: ", 1)[1] for line in lines if line.startswith(marks)]
    return [line.replace("{drivers}", names) for line in expected]


def mistakes_of(text: str, name: str = "fleet.yaml") -> list[str]:
    with pytest.raises(FleetFileError) as caught:
        parse_fleet(text, Path(name), DRIVERS)
    return [str(mistake) for mistake in caught.value.mistakes]


@pytest.mark.parametrize("path", WRONG, ids=lambda path: path.stem)
def test_each_mistake_is_told_whole(path: Path) -> None:
    expected = expected_mistakes(path)
    assert expected, "a file of this folder begins with what it expects"
    with pytest.raises(FleetFileError) as caught:
        load_fleet(path, DRIVERS)
    assert [str(mistake) for mistake in caught.value.mistakes] == expected
    count = f"{len(expected)} mistake{'s' if len(expected) > 1 else ''}"
    told = "".join(f"\n  {mistake}" for mistake in expected)
    assert str(caught.value) == f"{path}: {count}{told}"


def test_one_file_has_one_mistake_but_for_the_one_of_thirty() -> None:
    counts = {path.stem: len(expected_mistakes(path)) for path in WRONG}
    assert counts.pop("thirty_mistakes") >= 30
    assert set(counts.values()) == {1}
    assert len(counts) >= 40


@pytest.mark.parametrize("path", WRONG, ids=lambda path: path.stem)
def test_no_secret_and_nothing_that_acts_on_a_terminal_is_told(path: Path) -> None:
    with pytest.raises(FleetFileError) as caught:
        load_fleet(path, DRIVERS)
    assert "hunter2" not in str(caught.value)
    assert "hunter2" not in repr(caught.value)
    assert all(line.isprintable() for line in str(caught.value).splitlines())


@pytest.mark.parametrize("path", GOOD, ids=lambda path: path.stem)
def test_good_files_are_read(path: Path) -> None:
    fleet = load_fleet(path, DRIVERS)
    assert len({site.id for site in fleet.sites}) == len(fleet.sites)


def test_the_older_file_reads_as_it_stands() -> None:
    fleet = load_fleet(DATA / "good" / "older_sites.json", DRIVERS)
    alpha, beta = fleet.sites
    assert (alpha.id, alpha.name, alpha.location) == ("site-001", "Alpha warehouse", "Leeds")
    assert alpha.api_endpoint == "http://192.0.2.10:8088"
    assert (alpha.battery_type, alpha.capacity_kwh, alpha.solar_capacity_kw) == ("LFP", 100, 50)
    assert alpha.priority == "high"
    assert alpha.contact is not None
    assert (alpha.contact.name, alpha.contact.phone) == ("Site operations", "+44 1632 960001")
    assert beta.contact is None
    assert alpha.driver == "venus-http"
    assert fleet.thresholds.temperature_max == 45
    assert fleet.thresholds.soc_critical == 10


def test_every_field_is_read() -> None:
    alpha, beta = load_fleet(DATA / "good" / "everything.yaml", DRIVERS).sites
    assert alpha.api_endpoint == "https://[2001:db8::1]:8443/site/alpha"
    assert alpha.capacity_kwh == 100
    assert alpha.tags == ("warehouse", "2024-01-01")
    assert alpha.off_grid is False
    assert beta.nominal_v == 120
    assert beta.title == "beta"


def test_thresholds_in_force_for_a_site() -> None:
    fleet = load_fleet(DATA / "good" / "everything.yaml", DRIVERS)
    alpha, beta = (fleet.thresholds_of(site) for site in fleet.sites)
    assert (alpha.temperature_max, beta.temperature_max) == (50, 45)
    assert alpha.battery_soh_warning == beta.battery_soh_warning == 80
    assert (alpha.grid_frequency_min, beta.grid_frequency_min) == (49.5, 59.5)
    assert (alpha.grid_frequency_max, beta.grid_frequency_max) == (50.5, 60.5)


def test_a_site_is_not_blamed_for_the_fleets_contradiction() -> None:
    text = (
        SITE + "    thresholds:\n      soc_critical: 5\nthresholds:\n  battery_soh_critical: 90\n"
    )
    assert len(mistakes_of(text)) == 1


def test_one_wrong_site_does_not_hide_the_others() -> None:
    sites = "".join(f"  - id: s{n}\n    colour{n}: red\n" for n in range(20))
    mistakes = mistakes_of("sites:\n" + sites)
    assert len(mistakes) == 40
    assert sum("api_endpoint: is missing" in mistake for mistake in mistakes) == 20


def test_of_a_key_that_stands_twice_the_first_counts_in_yaml_and_json() -> None:
    yaml = mistakes_of(SITE + "    priority: low\n    priority: urgent\n")
    assert yaml == [
        "line 5, column 5: sites[0].priority: is given twice; the first is in line 4, column 5"
    ]
    body = '{"sites": [{"id": "a", "api_endpoint": "http://h", "tags": [], "tags": {"x": 1}}]}'
    (told,) = mistakes_of(body, "fleet.json")
    assert "sites[0].tags: is given twice" in told


@pytest.mark.parametrize("blank", ["", "\t", "\r\n  "])
def test_json_places_are_those_of_the_file(blank: str) -> None:
    head = f'{{{blank}"sites":{blank}[{{"id":"\\u00e9\\"\\\\","name":"\U0001f600",{blank}'
    text = head + '"api_endpoint":"http://h"}]}'
    (told,) = mistakes_of(text, "fleet.json")
    at = text.index('"id"')
    line = text.count("\n", 0, at) + 1
    column = at - text.rfind("\n", 0, at)
    assert told.startswith(f"line {line}, column {column}: sites[0].id: ")


def test_a_file_that_is_not_there_a_folder_and_bytes_that_are_no_text(tmp_path: Path) -> None:
    with pytest.raises(FleetFileError, match="cannot be read: No such file or directory"):
        load_fleet(tmp_path / "absent.yaml", DRIVERS)
    with pytest.raises(FleetFileError, match="cannot be read: Is a directory"):
        load_fleet(tmp_path, DRIVERS)
    (tmp_path / "latin.yaml").write_bytes("# Málaga\n".encode("latin-1"))
    with pytest.raises(FleetFileError, match=r"is not UTF-8 \(byte 4\)"):
        load_fleet(tmp_path / "latin.yaml", DRIVERS)


@pytest.mark.parametrize("text", ["", "\n", "# nothing\n", "---\n"])
def test_empty_files(text: str) -> None:
    (told,) = mistakes_of(text)
    assert "expected" in told


def test_a_byte_order_mark_and_windows_line_ends_are_read(tmp_path: Path) -> None:
    path = tmp_path / "fleet.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + SITE.replace("\n", "\r\n").encode())
    assert load_fleet(path, DRIVERS).sites[0].id == "alpha"


@pytest.mark.parametrize(
    "text",
    [
        "sites: " + "[" * 3000 + "]" * 3000,
        "sites: " + "{a: " * 3000 + "1" + "}" * 3000,
        "sites:\n" + "- " * 5000 + "a",
        "[" * 3000,
        '{"sites": ' + "[" * 100_000,
    ],
    ids=["lists", "mappings", "blocks", "open lists", "json"],
)
def test_nesting_without_end_is_refused(text: str) -> None:
    assert any("nested more than" in mistake for mistake in mistakes_of(text))


@pytest.mark.parametrize("host", ["h", "a-b.example.com", "[::1]", "10.0.0.1", "a_b", "x.local."])
@pytest.mark.parametrize("rest", ["", ":1", ":65535", "/site/a", ":80/"])
def test_good_endpoints(host: str, rest: str) -> None:
    text = f'sites:\n  - id: a\n    api_endpoint: "http://{host}{rest}"\n'
    endpoint = parse_fleet(text, Path("f"), DRIVERS).sites[0].api_endpoint
    assert endpoint == f"http://{host}{rest}".rstrip("/")


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("http://[fe80::1%eth0]:8088", "http://[fe80::1%eth0]:8088"),
        ("http://[fe80::1%25eth0]:8088/x", "http://[fe80::1%eth0]:8088/x"),
        ("http://bücherei-süd.example:8088", "http://bücherei-süd.example:8088"),
        ("http://xn--bcherei-sd-9dbj.example", "http://xn--bcherei-sd-9dbj.example"),
    ],
)
def test_zones_and_international_names_are_endpoints(written: str, read: str) -> None:
    text = f'sites:\n  - id: a\n    api_endpoint: "{written}"\n'
    assert parse_fleet(text, Path("f"), DRIVERS).sites[0].api_endpoint == read


@pytest.mark.parametrize(
    ("written", "message"),
    [
        (
            "http://[fe80::1]:8088",
            "a link-local address needs its network interface: [fe80::1%eth0]",
        ),
        ("http://[2001:db8::1%eth0]", "only a link-local IPv6 address has a zone (%)"),
        ("http://a€b..example", "the host name has a character that no host name may hold"),
        ("http://snow☃man.example", "the host name has a character that no host name may hold"),
    ],
)
def test_endpoints_are_refused_with_the_reason(written: str, message: str) -> None:
    (mistake,) = mistakes_of(f'sites:\n  - id: a\n    api_endpoint: "{written}"\n')
    assert message in mistake


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6),
    lambda v: st.lists(v, max_size=3) | st.dictionaries(st.text(max_size=4), v, max_size=3),
    max_leaves=6,
)
FIELDS = [
    "id",
    "name",
    "api_endpoint",
    "driver",
    "capacity_kwh",
    "priority",
    "contact",
    "latitude",
    "longitude",
    "timezone",
    "grid_nominal_hz",
    "off_grid",
    "tags",
    "thresholds",
    "dispatch",
]


@given(
    st.dictionaries(st.sampled_from(FIELDS), JSON, max_size=6),
    st.dictionaries(st.sampled_from(["soc_critical", "grid_frequency_min", "x"]), JSON),
)
@settings(max_examples=120, deadline=None, derandomize=True)
def test_any_values_are_a_fleet_or_mistakes(site: object, thresholds: object) -> None:
    text = json.dumps({"sites": [site, JSON_SITE], "thresholds": thresholds}, indent=1)
    for name in ("fleet.json", "fleet.yaml"):
        with contextlib.suppress(FleetFileError):
            parse_fleet(text, Path(name), DRIVERS)
            continue
        mistakes = mistakes_of(text, name)
        assert mistakes
        assert all(told.isprintable() and told.startswith("line ") for told in mistakes)
        assert not [told for told in mistakes if "Input should be" in told]


JSON_SITE = {"id": "other", "api_endpoint": "http://192.0.2.11:8088"}


@pytest.mark.parametrize("text", ["{", "[", "{ ", '{"sites": [{', '{"sites": [{,'])
def test_a_file_that_breaks_off_is_told(text: str) -> None:
    with pytest.raises(FleetFileError, match="mistake"):
        parse_fleet(text, Path("fleet.json"), DRIVERS)
