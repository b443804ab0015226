"""A warning about secrets that other users can read."""

from __future__ import annotations

from pathlib import Path

import pytest

from exporter.config.exposed_files import exposed_files


@pytest.mark.parametrize(
    ("text", "mode", "warned"),
    [
        ("FLEETSCOPE_INFLUXDB_TOKEN=s3cr3t\n", 0o644, True),
        ("FLEETSCOPE_INFLUXDB_TOKEN=s3cr3t\n", 0o640, True),
        ("FLEETSCOPE_INFLUXDB_TOKEN=s3cr3t\n", 0o600, False),
        ("FLEETSCOPE_INFLUXDB_TOKEN=\n", 0o644, False),
        ("FLEETSCOPE_LOG_LEVEL=info\nOTHER_TOKEN=x\n", 0o644, False),
        ("FLEETSCOPE_INFLUXDB_TOKEN_FILE=/run/secrets/token\n", 0o644, False),
    ],
)
def test_a_file_of_settings_with_a_secret(
    text: str, mode: int, warned: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert exposed_files() == []
    path = tmp_path / ".env"
    path.write_text(text, "utf-8")
    path.chmod(mode)
    found = exposed_files()
    assert bool(found) is warned
    assert "s3cr3t" not in "".join(found)
    if warned:
        assert f"mode {mode:04o}" in found[0]
        assert "chmod 600 .env" in found[0]
