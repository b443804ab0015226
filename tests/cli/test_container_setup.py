"""What the containers get before they start."""

from __future__ import annotations

import base64
import gzip
import stat
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import bcrypt
import pytest
import yaml

from exporter.cli import container_setup
from exporter.config.settings import load_settings
from exporter.model.http import HttpClient
from exporter.serve.access.web_config import WebConfig
from exporter.store.connection import Connection, token_header
from exporter.store.influx_v2 import InfluxV2
from tests.faults.store import TOKEN, influxdb2


@pytest.fixture
def volumes(tmp_path: Path) -> Path:
    for name in ("alertmanager", "exporter", "grafana", "health", "prometheus"):
        (tmp_path / name).mkdir()
    return tmp_path


def hashes(folder: Path, server: str = "exporter") -> dict[str, str]:
    text = (folder / server / "web-config.yml").read_text("utf-8")
    return dict(yaml.safe_load(text)["basic_auth_users"])


USERS = {
    "exporter": {"ops", "prometheus"},
    "prometheus": {"ops", "exporter", "grafana", "health"},
    "alertmanager": {"ops", "exporter", "grafana", "prometheus", "health"},
}
FILES = {
    "ops": "exporter/ops-password",
    "exporter": "exporter/password",
    "prometheus": "prometheus/password",
    "grafana": "grafana/password",
    "health": "health/password",
}


def test_passwords_open_the_web_configurations(volumes: Path) -> None:
    assert set(container_setup.write_passwords(volumes)) == set(FILES)
    WebConfig.model_validate(yaml.safe_load((volumes / "exporter/web-config.yml").read_text()))
    for server, users in USERS.items():
        found = hashes(volumes, server)
        assert set(found) == users
        for user in users:
            path = volumes / FILES[user]
            assert len(path.read_bytes()) >= 20
            assert bcrypt.checkpw(path.read_bytes(), found[user].encode())
            assert stat.S_IMODE(path.stat().st_mode) == 0o444


@pytest.mark.parametrize("server", ["prometheus", "alertmanager"])
def test_the_header_of_a_health_check_signs_in(volumes: Path, server: str) -> None:
    container_setup.write_passwords(volumes)
    name, _, header = (volumes / server / "health").read_text("utf-8").partition(": Basic ")
    assert name == "Authorization"
    user, _, password = base64.b64decode(header).decode().partition(":")
    assert bcrypt.checkpw(password.encode(), hashes(volumes, server)[user].encode())


def test_passwords_stay_until_they_are_renewed(volumes: Path) -> None:
    container_setup.write_passwords(volumes)
    first = {server: hashes(volumes, server) for server in USERS}
    assert container_setup.write_passwords(volumes) == []
    assert {server: hashes(volumes, server) for server in USERS} == first
    assert set(container_setup.write_passwords(volumes, renew=True)) == set(FILES)
    for server, before in first.items():
        assert hashes(volumes, server).items().isdisjoint(before.items())


def test_a_lost_password_is_replaced_with_its_hashes_and_no_other(volumes: Path) -> None:
    container_setup.write_passwords(volumes)
    ops = (volumes / FILES["ops"]).read_bytes()
    (volumes / FILES["prometheus"]).unlink()
    assert container_setup.write_passwords(volumes) == ["prometheus"]
    password = (volumes / FILES["prometheus"]).read_bytes()
    for server in ("exporter", "alertmanager"):
        assert bcrypt.checkpw(password, hashes(volumes, server)["prometheus"].encode())
    assert (volumes / FILES["ops"]).read_bytes() == ops


def test_volumes_of_an_earlier_version_keep_their_passwords(volumes: Path) -> None:
    container_setup.write_passwords(volumes)
    ops = (volumes / FILES["ops"]).read_bytes()
    for name in ("prometheus/web-config.yml", "exporter/password", "grafana/password"):
        (volumes / name).unlink()
    assert set(container_setup.write_passwords(volumes)) == {"exporter", "grafana"}
    assert (volumes / FILES["ops"]).read_bytes() == ops
    assert bcrypt.checkpw(ops, hashes(volumes, "prometheus")["ops"].encode())


def test_influxdb_1_needs_no_tokens(volumes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLEETSCOPE_INFLUXDB_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("FLEETSCOPE_INFLUXDB_API", "v1")
    assert len(container_setup.prepare(load_settings(), volumes)) == 2
    assert not (volumes / "grafana/influxdb-token").exists()


def test_an_influxdb_that_does_not_answer_is_named(
    volumes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(container_setup, "WAIT_SECONDS", 0.0)
    connection = Connection("http://127.0.0.1:9", "fleet", token_header("admin-token"), api="v2")
    with pytest.raises(container_setup.SetupError, match="InfluxDB does not answer"):
        container_setup.write_tokens(connection, volumes)
    assert not list((volumes / "grafana").iterdir())


@pytest.mark.stack
class TestTokens:
    @pytest.fixture
    def connection(self, tmp_path: Path) -> Iterator[Connection]:
        folder = tmp_path / "influxdb"
        folder.mkdir()
        with influxdb2(folder) as store:
            yield Connection(
                store.url, "fleet", token_header(TOKEN), api="v2", organisation="fleetscope"
            )

    def test_each_holder_can_do_its_work_and_no_more(
        self, connection: Connection, volumes: Path
    ) -> None:
        assert container_setup.write_tokens(connection, volumes) == ["exporter", "grafana"]
        tokens = {
            name: (volumes / name / "influxdb-token").read_text()
            for name in ("exporter", "grafana")
        }
        bucket = {"org": "fleetscope", "bucket": "other"}
        address = f"{connection.url}/api/v2/write"
        for name, expected in (("exporter", 204), ("grafana", 403)):
            client = HttpClient(token_header(tokens[name]))
            given = {"params": bucket, "data": b"site online=1"}
            assert client.request("POST", address, seconds=10, **given).status == expected
            listed = client.request("GET", f"{connection.url}/api/v2/authorizations", seconds=10)
            assert tokens["exporter"] not in listed.body.decode()

    def test_a_token_stays_while_influxdb_takes_it(
        self, connection: Connection, volumes: Path
    ) -> None:
        container_setup.write_tokens(connection, volumes)
        first = (volumes / "grafana/influxdb-token").read_text()
        assert container_setup.write_tokens(connection, volumes) == []
        (volumes / "grafana/influxdb-token").chmod(0o644)
        (volumes / "grafana/influxdb-token").write_text("of another InfluxDB")
        assert container_setup.write_tokens(connection, volumes) == ["grafana"]
        client = HttpClient(token_header(first))
        reply = client.request("GET", f"{connection.url}/api/v2/buckets", seconds=10)
        assert reply.status == 401

    async def test_the_exporter_can_make_its_buckets(
        self, connection: Connection, volumes: Path
    ) -> None:
        container_setup.write_tokens(connection, volumes)
        headers = token_header((volumes / "exporter/influxdb-token").read_text())
        target = InfluxV2(replace(connection, headers=headers), "90d")
        try:
            await target.prepare()
            await target.write(gzip.compress(b"site,site=a online=1"))
        finally:
            await target.close()

    def test_a_wrong_admin_token_is_reported(self, connection: Connection, volumes: Path) -> None:
        wrong = replace(connection, headers=token_header("no-such-token"))
        with pytest.raises(container_setup.SetupError, match="401"):
            container_setup.write_tokens(wrong, volumes)
