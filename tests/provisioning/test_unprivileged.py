"""The unit and the image run without privileges; by systemd's own word where it is here."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

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
