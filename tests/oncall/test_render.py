"""The renderer: every channel, every mistake at once, and no secret where it does not belong."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from provisioning.alertmanager.__main__ import main
from provisioning.alertmanager.render import SECRETS, SettingsError, render, write

EVERYTHING = {
    "FLEETSCOPE_ALERT_WEBHOOK_URL": "https://pages.example.com/secret-webhook",
    "FLEETSCOPE_ALERT_CHAT_URL": "https://chat.example.com/secret-chat",
    "FLEETSCOPE_ALERT_CHAT_CHANNEL": "#on-call",
    "FLEETSCOPE_ALERT_EMAIL_TO": "ops@example.com, lead@example.com",
    "FLEETSCOPE_TICKET_WEBHOOK_URL": "https://tickets.example.com/secret-tickets",
    "FLEETSCOPE_SMTP_HOST": "mail.example.com:587",
    "FLEETSCOPE_SMTP_FROM": "Fleetscope <fleetscope@example.com>",
    "FLEETSCOPE_SMTP_USERNAME": "fleetscope",
    "FLEETSCOPE_SMTP_PASSWORD": "secret-password",
    "FLEETSCOPE_GRAFANA_URL": "https://grafana.example.com/",
    "FLEETSCOPE_RUNBOOKS_URL": "https://code.example.com/fleetscope",
}
OLD, NEW = (0, 25), (0, 28)


def mistakes(**environment: str) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        render(environment, "/etc/alertmanager", NEW)
    return caught.value.mistakes


def test_without_variables_nobody_is_told_and_everything_is_seen() -> None:
    rendered = render({}, "/etc/alertmanager", NEW)
    config = yaml.safe_load(rendered.texts["alertmanager.yml"])
    assert config["receivers"] == [{"name": "on-call"}, {"name": "tickets"}, {"name": "nobody"}]
    assert rendered.secrets == {}


def test_no_secret_stands_in_the_configuration() -> None:
    rendered = render(EVERYTHING, "/etc/alertmanager", NEW)
    assert not [name for name, text in rendered.texts.items() if "secret" in text]
    assert rendered.secrets == {
        "alert-webhook-url": "https://pages.example.com/secret-webhook",
        "alert-chat-url": "https://chat.example.com/secret-chat",
        "ticket-webhook-url": "https://tickets.example.com/secret-tickets",
        "smtp-password": "secret-password",
    }
    (page, ticket, _) = yaml.safe_load(rendered.texts["alertmanager.yml"])["receivers"]
    assert page["webhook_configs"] == [{"url_file": "/etc/alertmanager/alert-webhook-url"}]
    assert page["slack_configs"][0]["api_url_file"] == "/etc/alertmanager/alert-chat-url"
    assert page["slack_configs"][0]["channel"] == "#on-call"
    assert page["email_configs"][0]["auth_password_file"] == "/etc/alertmanager/smtp-password"
    assert set(ticket) == {"name", "webhook_configs"}


def test_tickets_go_where_pages_go_unless_told_otherwise() -> None:
    one = {"FLEETSCOPE_ALERT_WEBHOOK_URL": "https://pages.example.com/x"}
    (page, ticket, _) = yaml.safe_load(render(one, "/a", OLD).texts["alertmanager.yml"])[
        "receivers"
    ]
    assert page["webhook_configs"] == ticket["webhook_configs"]
    assert page["webhook_configs"] == [{"url": "https://pages.example.com/x"}]


def test_secrets_come_from_files(tmp_path: Path) -> None:
    files = {}
    for name in SECRETS & EVERYTHING.keys():
        path = tmp_path / name
        path.write_text(EVERYTHING[name] + "\n", "utf-8")
        files[f"{name}_FILE"] = str(path)
    rest = {name: value for name, value in EVERYTHING.items() if name not in SECRETS}
    assert render(rest | files, "/a", NEW) == render(EVERYTHING, "/a", NEW)


def test_every_mistake_is_told_at_once_and_no_value(tmp_path: Path) -> None:
    told = mistakes(
        FLEETSCOPE_ALERT_WEBHOOK_URL="ftp://user:hidden@example.com",
        FLEETSCOPE_ALERT_CHAT_URL_FILE=str(tmp_path / "absent"),
        FLEETSCOPE_TICKET_CHAT_CHANNEL="#hidden",
        FLEETSCOPE_ALERT_EMAIL_TO="ops@example.com",
        FLEETSCOPE_SMTP_HOST="hidden.example.com",
        FLEETSCOPE_SMTP_TLS="hidden",
        FLEETSCOPE_SMTP_USERNAME="hidden",
        FLEETSCOPE_GRAFANA_URL="hidden{{ .Evil }}",
    )
    assert told == [
        "FLEETSCOPE_ALERT_WEBHOOK_URL is not an http or https address",
        "FLEETSCOPE_ALERT_CHAT_URL_FILE cannot be read: No such file or directory",
        "FLEETSCOPE_SMTP_HOST is not of the form that it must have",
        "FLEETSCOPE_SMTP_FROM is needed to send mail",
        "FLEETSCOPE_SMTP_TLS is neither true nor false",
        "FLEETSCOPE_SMTP_USERNAME and its password go together",
        "FLEETSCOPE_TICKET_CHAT_CHANNEL is set without FLEETSCOPE_TICKET_CHAT_URL",
        "FLEETSCOPE_GRAFANA_URL is not an http or https address",
    ]


def test_both_forms_of_a_secret_are_one_too_many(tmp_path: Path) -> None:
    (tmp_path / "url").write_text("", "utf-8")
    name = "FLEETSCOPE_ALERT_WEBHOOK_URL"
    both = {name: "https://pages.example.com", f"{name}_FILE": str(tmp_path / "url")}
    assert mistakes(**both) == [f"{name} and {name}_FILE are both set; one is enough"]
    assert mistakes(FLEETSCOPE_ALERT_CHAT_URL_FILE=str(tmp_path / "url")) == [
        "FLEETSCOPE_ALERT_CHAT_URL_FILE names an empty file"
    ]


def test_only_the_owner_gets_past_the_folder(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    write(render(EVERYTHING, "/a", NEW), folder)
    assert folder.stat().st_mode & 0o777 == 0o700
    written = write(render({}, "/a", NEW), folder)
    assert {path.name for path in written.parent.iterdir()} == {
        "alertmanager.yml",
        "chat.tmpl",
        "fleetscope.tmpl",
        "links.tmpl",
    }


def test_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in SECRETS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_text("FLEETSCOPE_ALERT_WEBHOOK_URL=https://pages.example.com/x\n")
    assert main(["--seen-as", "/etc/alertmanager", "--alertmanager", "0.28.1"]) == 0
    path = tmp_path / ".fleetscope/alertmanager/config/alertmanager.yml"
    assert capsys.readouterr().out == f"Wrote {path}\n"
    assert "/etc/alertmanager/alert-webhook-url" in path.read_text("utf-8")
    monkeypatch.setenv("FLEETSCOPE_ALERT_WEBHOOK_URL", "nowhere")
    assert main([]) == 2
    assert "nowhere" not in capsys.readouterr().err


@pytest.mark.stack
@pytest.mark.parametrize("environment", [{}, EVERYTHING], ids=["no receiver", "every receiver"])
def test_amtool_accepts_it(
    servers: dict[str, Path], tmp_path: Path, environment: dict[str, str]
) -> None:
    path = write(render(environment, str(tmp_path / "config"), OLD), tmp_path)
    done = subprocess.run(
        [str(shutil.which("amtool")), "check-config", str(path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
