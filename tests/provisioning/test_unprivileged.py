"""The unit and the image run without privileges; by systemd's own word where it is here."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
UNIT = ROOT / "docs" / "fleetscope.service"
# Of 100; systemd calls what is below 20 "OK", and a unit without any setting has 96.
MOST_EXPOSED = 20


def analyze(*arguments: str) -> subprocess.CompletedProcess[str]:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    return subprocess.run(
        ["systemd-analyze", *arguments], check=False, capture_output=True, text=True
    )


def test_systemd_understands_the_unit(tmp_path: Path) -> None:
    # The program that it starts is not installed here, any other is.
    text = re.sub(r"(?m)^ExecStart=\S+", f"ExecStart={sys.executable}", UNIT.read_text("utf-8"))
    unit = tmp_path / UNIT.name
    unit.write_text(text, "utf-8")
    done = analyze("verify", "--man=no", str(unit))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_systemd_finds_little_exposed() -> None:
    done = analyze("security", "--offline=true", f"--threshold={MOST_EXPOSED}", str(UNIT))
    assert done.returncode == 0, done.stdout


def test_the_image_has_a_user_of_its_own() -> None:
    last = (ROOT / "exporter" / "Dockerfile").read_text("utf-8").rpartition("\nFROM ")[2]
    assert re.search(r"useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin", last)
    assert re.findall(r"(?m)^USER (\S+)$", last) == ["fleetscope"]
    assert last.index("\nUSER ") < last.index("\nENTRYPOINT ")
    assert "chmod" not in last
    assert "sudo" not in last


@pytest.mark.parametrize("name", ["exporter", "simulator", "simulated-fleet"])
def test_its_containers_can_write_and_do_little(name: str) -> None:
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))
    service = compose["services"][name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert not {"privileged", "cap_add", "user", "pid", "ipc", "devices"} & set(service)
    assert not any("docker.sock" in str(volume) for volume in service.get("volumes", []))
