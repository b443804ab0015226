"""The file of projects' databases: what it changes, and what it refuses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from exporter.config.project_databases import databases_of
from exporter.config.settings import Settings, SettingsError, load_settings

URL = "http://127.0.0.1:8086"


def settings(folder: Path, projects: Any = None, **also: Any) -> Settings:
    if projects is not None:
        path = folder / "projects.yaml"
        path.write_text(yaml.safe_dump({"projects": projects}, sort_keys=False), "utf-8")
        also["influxdb_projects"] = path
    return load_settings(**{"influxdb_url": URL, "influxdb_token": "shared-token"} | also)


def test_without_the_file_there_is_one_database(tmp_path: Path) -> None:
    own = settings(tmp_path)
    assert databases_of(own) == {None: own}
    assert databases_of(load_settings()) == {}


def test_each_project_has_its_own_and_keeps_the_rest(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("token-of-south\n", "utf-8")
    found = databases_of(
        settings(
            tmp_path,
            {
                "south": {"database": "fleet_south", "token": {"file": str(tmp_path / "token")}},
                "north": {"database": "fleet", "url": "http://127.0.0.2:8086", "org": "north"},
            },
            queue_dir=tmp_path / "queue",
            queue_disk_megabytes=3000,
            influxdb_retention="30d",
        )
    )
    assert list(found) == [None, "south", "north"]
    south, north, shared = found["south"], found["north"], found[None]
    assert south.influxdb_url == URL
    assert south.influxdb_database == "fleet_south"
    assert south.influxdb_token is not None
    assert south.influxdb_token.get_secret_value() == "token-of-south"
    assert south.influxdb_retention == north.influxdb_retention == "30d"
    assert (north.influxdb_url, north.influxdb_org) == ("http://127.0.0.2:8086", "north")
    # The token of one server is never sent to another.
    assert north.influxdb_token is None
    assert shared.influxdb_token is not None
    queues = {one.queue_dir for one in found.values()}
    assert queues == {tmp_path / "queue", *(tmp_path / f"queue/projects/{p}" for p in found if p)}
    # Together they stay within the limit.
    assert {one.queue_disk_megabytes for one in found.values()} == {1000}
    assert "token-of-south" not in repr(found)


def test_all_projects_may_have_their_own_and_nothing_else_be_stored(tmp_path: Path) -> None:
    entry = {"database": "fleet_south", "url": URL}
    found = databases_of(settings(tmp_path, {"south": entry}, influxdb_url=None))
    assert list(found) == ["south"]


@pytest.mark.parametrize(
    ("projects", "words"),
    [
        ({"south": {"database": "fleet"}}, "projects.south.database: fleet is that of FLEETSCOPE"),
        (
            {"south": {"database": "a"}, "north": {"database": "a"}},
            "projects.north.database: a is that of projects.south",
        ),
        ({"south": {}}, "projects.south.database"),
        ({"south": {"database": "a/b"}}, "projects.south.database"),
        ({"south": {"database": "a", "tokn": "x"}}, "projects.south.tokn: unknown key"),
        ({"south": {"database": "a", "token": "s3cret"}}, "projects.south.token"),
        ({"south": {"database": "a", "url": "http://u:s3cret@h"}}, "user name or password"),
        ({"s/": {"database": "a"}}, "projects.s/"),
        ({"south": {"database": "a", "token": {"file": "/absent"}}}, "projects.south: /absent"),
        ({}, "projects"),
    ],
)
def test_what_is_wrong_is_named_without_secrets(
    tmp_path: Path, projects: dict[str, Any], words: str
) -> None:
    with pytest.raises(SettingsError) as raised:
        databases_of(settings(tmp_path, projects))
    assert words in str(raised.value)
    assert "s3cret" not in str(raised.value)


def test_an_absent_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"FLEETSCOPE_INFLUXDB_PROJECTS: .*absent"):
        databases_of(settings(tmp_path, influxdb_projects=tmp_path / "absent.yaml"))
    projects = {"south": {"database": "a"}}
    with pytest.raises(SettingsError, match=r"projects.south: url is needed"):
        databases_of(settings(tmp_path, projects, influxdb_url=None))
