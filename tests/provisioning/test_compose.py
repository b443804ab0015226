"""docker-compose.yml: what it promises, and that compose itself can read it."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
COMPOSE = ROOT / "docker-compose.yml"
SERVICES: dict[str, dict[str, Any]] = yaml.safe_load(COMPOSE.read_text("utf-8"))["services"]
# They run once and end, so they have neither health nor restart.
ONE_SHOT = {"setup", "simulated-fleet"}
LASTING = sorted(set(SERVICES) - ONE_SHOT)


def example_variables() -> dict[str, str]:
    """Variables of .env.example with their values."""
    text = (ROOT / ".env.example").read_text("utf-8")
    return dict(re.findall(r"^([A-Z_]+)=(.*)$", text, re.MULTILINE))


def compose_command() -> list[str]:
    """The compose program that is here."""
    if shutil.which("docker"):
        plugin = subprocess.run(["docker", "compose", "version"], capture_output=True, check=False)
        if plugin.returncode == 0:
            return ["docker", "compose"]
    if shutil.which("docker-compose"):
        told = subprocess.run(
            ["docker-compose", "version"], capture_output=True, text=True, check=False
        )
        if "Docker Compose version" in told.stdout:
            return ["docker-compose"]
    return []


def test_it_has_every_part() -> None:
    assert set(LASTING) == {
        "influxdb",
        "prometheus",
        "alertmanager",
        "grafana",
        "exporter",
        "simulator",
        "mosquitto",
    }


@pytest.mark.parametrize("name", LASTING)
def test_service_is_watched_and_restarted(name: str) -> None:
    service = SERVICES[name]
    assert service["restart"] == "unless-stopped"
    # A shell only where it keeps the password out of the list of processes.
    signs_in = name in ("prometheus", "alertmanager")
    assert service["healthcheck"]["test"][0] == ("CMD-SHELL" if signs_in else "CMD")


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_image_is_pinned_to_a_version(name: str) -> None:
    assert re.search(r":v?\d+\.\d+\.\d+$", SERVICES[name]["image"])


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_ports_are_published_on_loopback_only(name: str) -> None:
    ports = SERVICES[name].get("ports", [])
    assert all(re.fullmatch(r"127\.0\.0\.1:\d+:\d+", port) for port in ports)
    assert SERVICES[name].get("network_mode", "") != "host"


@pytest.mark.parametrize("name", ["influxdb", "prometheus", "alertmanager", "grafana"])
def test_state_is_kept_in_a_volume(name: str) -> None:
    volumes = yaml.safe_load(COMPOSE.read_text("utf-8"))["volumes"]
    sources = {volume.split(":")[0] for volume in SERVICES[name]["volumes"]}
    assert sources & set(volumes)


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_containers_can_write_and_do_little(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["init"] is True
    assert service["pids_limit"] == 512
    assert re.fullmatch(r"\d+[mg]", service["mem_limit"])
    assert not {"privileged", "cap_add", "pid", "ipc", "devices"} & set(service)
    assert not any("docker.sock" in str(volume) for volume in service.get("volumes", []))


def test_the_admin_token_is_given_to_influxdb_and_the_setup_alone() -> None:
    holders = {
        name
        for name, service in SERVICES.items()
        if "${FLEETSCOPE_INFLUXDB_TOKEN" in str(service.get("environment"))
    }
    assert holders == {"influxdb", "setup"}


def test_each_secret_volume_belongs_to_one_container() -> None:
    for name, service in SERVICES.items():
        mounted = [v for v in service.get("volumes", []) if "-secrets:" in v]
        if name == "setup":
            assert len(mounted) == 5
        elif name in ("exporter", "prometheus", "alertmanager", "grafana"):
            assert mounted == [f"{name}-secrets:/secrets:ro"]
        else:
            assert mounted == []


def test_prometheus_differs_from_the_local_run_by_its_sign_in_alone() -> None:
    folder = ROOT / "provisioning" / "prometheus"
    plain = yaml.safe_load((folder / "prometheus.yml").read_text("utf-8"))
    signed_in = yaml.safe_load((folder / "prometheus-sign-in.yml").read_text("utf-8"))
    for part in (signed_in["scrape_configs"][0], signed_in["alerting"]["alertmanagers"][0]):
        sign_in = part.pop("basic_auth")
        assert sign_in == {"username": "prometheus", "password_file": "/secrets/password"}
    assert signed_in == plain


def test_secrets_have_no_default_and_stand_in_the_example() -> None:
    example = example_variables()
    for name, service in SERVICES.items():
        for variable, value in service.get("environment", {}).items():
            if re.search(r"(PASSWORD|TOKEN)$", variable) and not value.startswith("$$__file"):
                match = re.fullmatch(r"\$\{([A-Z_]+):\?[^}]+\}", value)
                assert match, f"{name}: {variable} has a default"
                assert example[match[1]] == "", f"{match[1]} has a value in .env.example"


def test_mounted_files_exist() -> None:
    for service in SERVICES.values():
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            if source.startswith("./provisioning"):
                assert (ROOT / source).is_dir()


def test_targets_are_services_and_their_ports() -> None:
    for name in ("exporter", "alertmanager"):
        path = ROOT / "provisioning/prometheus/targets" / f"{name}.yml"
        ((target,),) = (group["targets"] for group in yaml.safe_load(path.read_text("utf-8")))
        host, port = target.split(":")
        assert host == name
        assert SERVICES[name]["ports"] == [f"127.0.0.1:{port}:{port}"]


def test_grafana_is_told_every_address_that_its_files_name() -> None:
    named = {
        variable
        for path in (ROOT / "provisioning/grafana").rglob("*.yml")
        for variable in re.findall(r"\$\{?(FLEETSCOPE_[A-Z_]+)", path.read_text("utf-8"))
    }
    assert named <= set(SERVICES["grafana"]["environment"])
    assert len(named) == 9


def test_compose_reads_it(tmp_path: Path) -> None:
    command = compose_command()
    if not command:
        pytest.skip("neither docker compose nor docker-compose 2 is here to parse with")
    filled = tmp_path / "env"
    filled.write_text(
        "".join(f"{k}={v or 'secret-of-a-test'}\n" for k, v in example_variables().items())
    )
    done = subprocess.run(
        [*command, "--env-file", str(filled), "-f", str(COMPOSE), "config", "--services"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert set(done.stdout.split()) == set(SERVICES)


def test_compose_refuses_to_start_without_secrets() -> None:
    command = compose_command()
    if not command:
        pytest.skip("neither docker compose nor docker-compose 2 is here to parse with")
    example = str(ROOT / ".env.example")
    done = subprocess.run(
        [*command, "--env-file", example, "-f", str(COMPOSE), "config", "-q"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert "copy .env.example to .env" in done.stderr


def test_dockerfile_is_pinned_hashed_and_not_root() -> None:
    text = (ROOT / "exporter/Dockerfile").read_text("utf-8")
    bases = re.findall(r"^FROM (\S+)", text, re.MULTILINE)
    assert bases
    assert all(re.fullmatch(r"python:3\.\d+\.\d+-slim-\w+", base) for base in bases)
    installs = re.findall(r"pip install [^\n\\&]+", text)
    assert all("--require-hashes" in line or "--no-index" in line for line in installs)
    assert re.search(r"^USER fleetscope$", text, re.MULTILINE)
    assert "HEALTHCHECK" in text


def test_docker_sends_what_the_image_copies() -> None:
    allowed = set(re.findall(r"^!(\S+)$", (ROOT / ".dockerignore").read_text("utf-8"), re.M))
    copied: set[str] = set()
    for line in (ROOT / "exporter/Dockerfile").read_text("utf-8").splitlines():
        if line.startswith("COPY ") and "--from" not in line:
            copied.update(line.split()[1:-1])
    assert copied == allowed
