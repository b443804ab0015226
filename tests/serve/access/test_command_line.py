"""The command line signs in to an exporter that asks for it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from typer.testing import CliRunner

from exporter.cli import client
from exporter.cli.commands import app
from tests.serve.access.conftest import Certificates, hashed
from tests.serve.access.test_guard import configured, serving
from tests.serve.access.test_tls import tls


async def test_it_signs_in_over_tls(
    tmp_path: Path, certificates: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tls(certificates.issue("server.pem", "127.0.0.1"))
    config["basic_auth_users"] = {"ops": hashed("right")}

    settings = configured(tmp_path, config, change_token="change-me-4711-4711")
    async with serving(settings) as (url, _):

        async def refusal() -> str:
            with pytest.raises(client.CannotAskError) as caught:
                await asyncio.to_thread(client.get, url, "fleet")
            return str(caught.value)

        assert "CERTIFICATE_VERIFY_FAILED" in await refusal()
        monkeypatch.setenv("FLEETSCOPE_API_CA_FILE", str(certificates.file))
        assert await refusal() == "a user name and password are needed"
        monkeypatch.setenv("FLEETSCOPE_API_USERNAME", "ops")
        secret = tmp_path / "password"
        secret.write_text("wrong\n")
        monkeypatch.setenv("FLEETSCOPE_API_PASSWORD_FILE", str(secret))
        assert await refusal() == "a user name and password are needed"
        monkeypatch.setenv("FLEETSCOPE_API_TOKEN_FILE", str(tmp_path / "absent"))
        assert await refusal() == "FLEETSCOPE_API_TOKEN_FILE cannot be read"
        monkeypatch.delenv("FLEETSCOPE_API_TOKEN_FILE")
        # A token comes first.
        monkeypatch.setenv("FLEETSCOPE_API_TOKEN", "change-me-4711-4711")
        assert await refusal() == "Not Found"
        monkeypatch.delenv("FLEETSCOPE_API_TOKEN")
        secret.write_text("right\n")
        # Past the door, whose application has no such route here.
        assert await refusal() == "Not Found"
        plan = tmp_path / "tickets.yaml"
        plan.write_text(
            f"state: {tmp_path}/ledger.json\n"
            f"destinations: [{{name: folder, kind: file, folder: {tmp_path}}}]\n"
        )
        for command in (["report"], ["ticket", "--plan", str(plan)], ["rank"], ["status"]):
            asked = [*command, "--url", url]
            done = await asyncio.to_thread(CliRunner().invoke, app, asked)
            assert (done.exit_code, "Not Found" in done.stderr) == (2, True), done.output
