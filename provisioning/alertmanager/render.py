"""Alertmanager reads no environment: this writes its configuration from it, without secrets.

A secret is written to a file of its own beside the configuration, which names that file.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from provisioning.alertmanager.chat import chat_templates

BASE = Path(__file__).parent
CONFIG = "alertmanager.yml"
PAGES, TICKETS = "FLEETSCOPE_ALERT_", "FLEETSCOPE_TICKET_"
# The first Alertmanager that reads the address of a webhook from a file.
URL_FILES_SINCE = (0, 26)

VARIABLES: Mapping[str, str] = {
    f"{PAGES}WEBHOOK_URL": "Address that pages are posted to as Alertmanager's JSON",
    f"{PAGES}CHAT_URL": "Incoming webhook of Slack, Mattermost or a chat that speaks their format",
    f"{PAGES}CHAT_CHANNEL": "Channel, where it is not the one of the incoming webhook",
    f"{PAGES}EMAIL_TO": "Address, or several with commas, that pages are mailed to",
    f"{TICKETS}WEBHOOK_URL": "The same for tickets; where none of the FLEETSCOPE_TICKET_ variables "
    "is set, tickets go where pages go",
    f"{TICKETS}CHAT_URL": "See above",
    f"{TICKETS}CHAT_CHANNEL": "See above",
    f"{TICKETS}EMAIL_TO": "See above",
    "FLEETSCOPE_SMTP_HOST": "Mail server as HOST:PORT; needed for mail",
    "FLEETSCOPE_SMTP_FROM": "Sender; needed for mail",
    "FLEETSCOPE_SMTP_USERNAME": "User name, where the mail server wants one",
    "FLEETSCOPE_SMTP_PASSWORD": "Its password",
    "FLEETSCOPE_SMTP_TLS": "true (default) or false: whether the mail server must offer TLS",
    "FLEETSCOPE_GRAFANA_URL": "Grafana as the reader of a message reaches it",
    "FLEETSCOPE_RUNBOOKS_URL": "Address under which the reader finds docs/runbooks.md",
}
SECRETS = frozenset(
    name for name in VARIABLES if re.search(r"_(WEBHOOK|CHAT)_URL$|_PASSWORD$", name)
)


class SettingsError(Exception):
    """Variables that cannot be used; ``mistakes`` has one sentence for each, without any value."""

    def __init__(self, mistakes: list[str]) -> None:
        self.mistakes = mistakes
        super().__init__("\n".join(mistakes))


@dataclass(frozen=True)
class Rendered:
    """What is to be written: text and secrets by file name."""

    texts: Mapping[str, str]
    secrets: Mapping[str, str]


def render(environment: Mapping[str, str], folder: str, version: tuple[int, ...]) -> Rendered:
    """The configuration for an environment.

    Parameters
    ----------
    environment : mapping
        Variables of :data:`VARIABLES`; each of :data:`SECRETS` may instead be given as a file, by
        the variable of the same name with ``_FILE``. Empty ones count as absent.
    folder : str
        Absolute path of the configuration's folder as Alertmanager sees it.
    version : tuple of int
        Alertmanager's. Before 0.26 the address of a webhook can only stand in the configuration.

    Raises
    ------
    SettingsError
        With every mistake.
    """
    found = _Variables(environment)
    files = _Files(folder)
    pages = _receiver(PAGES, found, files, url_files=version >= URL_FILES_SINCE)
    tickets = _receiver(TICKETS, found, files, url_files=version >= URL_FILES_SINCE) or pages
    config = yaml.safe_load((BASE / CONFIG).read_text("utf-8"))
    config["receivers"] = [
        {"name": "on-call", **pages},
        {"name": "tickets", **copy.deepcopy(tickets)},
        {"name": "nobody"},
    ]
    runbooks = found.link("FLEETSCOPE_RUNBOOKS_URL", "")
    links = "".join(
        f'{{{{ define "fleetscope.{name}" }}}}{address}{{{{ end }}}}\n'
        for name, address in (
            ("grafana_url", found.link("FLEETSCOPE_GRAFANA_URL", "http://127.0.0.1:3000")),
            ("runbooks_url", f"{runbooks}/" if runbooks else ""),
        )
    )
    if found.mistakes:
        raise SettingsError(found.mistakes)
    templates = (BASE / "fleetscope.tmpl").read_text("utf-8")
    text = "# Written by `python -m provisioning.alertmanager`; the next run overwrites it.\n"
    return Rendered(
        texts={
            CONFIG: text + yaml.safe_dump(config, sort_keys=False, allow_unicode=True),
            "fleetscope.tmpl": templates,
            "chat.tmpl": chat_templates(templates),
            "links.tmpl": links,
        },
        secrets=files.contents,
    )


def write(rendered: Rendered, folder: Path) -> Path:
    """Write into ``folder/config``, readable for whoever may enter ``folder``: its owner.

    The user of a container is another one than the owner. It sees ``config`` alone, mounted, and
    can read what is in it; on this machine nobody else gets past ``folder``.

    Returns
    -------
    Path
        Of the configuration file.
    """
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    config = folder / "config"
    config.mkdir(exist_ok=True)
    config.chmod(0o755)
    for old in config.iterdir():
        old.unlink()
    for name, text in {**rendered.secrets, **rendered.texts}.items():
        path = config / name
        path.write_text(text, "utf-8")
        path.chmod(0o644)
    return config / CONFIG


class _Variables:
    """Variables as they were given, and what is wrong with them."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._given = {name: value.strip() for name, value in environment.items() if value.strip()}
        self.mistakes: list[str] = []

    def plain(self, name: str) -> str | None:
        return self._given.get(name)

    def secret(self, name: str) -> str | None:
        value, path = self._given.get(name), self._given.get(f"{name}_FILE")
        if value and path:
            self.mistakes.append(f"{name} and {name}_FILE are both set; one is enough")
        if value or not path:
            return value
        try:
            value = Path(path).read_text("utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "not UTF-8"
            self.mistakes.append(f"{name}_FILE cannot be read: {reason}")
            return None
        if not value:
            self.mistakes.append(f"{name}_FILE names an empty file")
        return value

    def address(self, name: str) -> str | None:
        value = self.secret(name)
        if value and not _is_address(value):
            self.mistakes.append(f"{name} is not an http or https address")
        return value

    def link(self, name: str, default: str) -> str:
        value = self.plain(name)
        if value is None:
            return default
        if not _is_address(value) or "{{" in value:
            self.mistakes.append(f"{name} is not an http or https address")
        return value.rstrip("/")


def _is_address(value: str) -> bool:
    try:
        parts = urlsplit(value)
    except ValueError:
        return False
    return (
        parts.scheme in ("http", "https") and bool(parts.hostname) and not re.search(r"\s", value)
    )


class _Files:
    """Secrets in files of their own beside the configuration."""

    def __init__(self, folder: str) -> None:
        self._folder = folder.rstrip("/")
        self.contents: dict[str, str] = {}

    def add(self, name: str, secret: str) -> str:
        self.contents[name] = secret
        return f"{self._folder}/{name}"


def _receiver(prefix: str, found: _Variables, files: _Files, *, url_files: bool) -> dict[str, Any]:
    receiver: dict[str, Any] = {}
    kind = prefix.removeprefix("FLEETSCOPE_").strip("_").lower()
    webhook = found.address(f"{prefix}WEBHOOK_URL")
    if webhook:
        receiver["webhook_configs"] = [
            {"url_file": files.add(f"{kind}-webhook-url", webhook)}
            if url_files
            else {"url": webhook}
        ]
    chat = found.address(f"{prefix}CHAT_URL")
    if chat:
        receiver["slack_configs"] = [
            {
                "api_url_file": files.add(f"{kind}-chat-url", chat),
                "channel": found.plain(f"{prefix}CHAT_CHANNEL") or "",
                "send_resolved": True,
                "title": '{{ template "fleetscope.chat.title" . }}',
                "title_link": "{{ .ExternalURL }}",
                "text": '{{ template "fleetscope.chat.text" . }}',
                "fallback": '{{ template "fleetscope.chat.title" . }}',
            }
        ]
    elif found.plain(f"{prefix}CHAT_CHANNEL"):
        found.mistakes.append(f"{prefix}CHAT_CHANNEL is set without {prefix}CHAT_URL")
    to = found.plain(f"{prefix}EMAIL_TO")
    if to:
        receiver["email_configs"] = [_mail(to, found, files)]
    return receiver


def _mail(to: str, found: _Variables, files: _Files) -> dict[str, Any]:
    host, sender = found.plain("FLEETSCOPE_SMTP_HOST"), found.plain("FLEETSCOPE_SMTP_FROM")
    for name, value, form in (
        ("FLEETSCOPE_SMTP_HOST", host, r"[^\s:]+:[0-9]+|\[[0-9a-fA-F:]+\]:[0-9]+"),
        ("FLEETSCOPE_SMTP_FROM", sender, r".*[^@\s]+@[^@\s]+"),
    ):
        if value is None:
            found.mistakes.append(f"{name} is needed to send mail")
        elif not re.fullmatch(form, value):
            found.mistakes.append(f"{name} is not of the form that it must have")
    tls = (found.plain("FLEETSCOPE_SMTP_TLS") or "true").lower()
    if tls not in ("true", "false"):
        found.mistakes.append("FLEETSCOPE_SMTP_TLS is neither true nor false")
    mail: dict[str, Any] = {
        "to": to,
        "from": sender,
        "smarthost": host,
        "require_tls": tls == "true",
        "send_resolved": True,
        "headers": {"Subject": '{{ template "fleetscope.title" . }}'},
        "html": "",
        "text": '{{ template "fleetscope.text" . }}',
    }
    user = found.plain("FLEETSCOPE_SMTP_USERNAME")
    password = found.secret("FLEETSCOPE_SMTP_PASSWORD")
    if user:
        mail["auth_username"] = user
    if password:
        mail["auth_password_file"] = files.add("smtp-password", password)
    if bool(user) != bool(password):
        found.mistakes.append("FLEETSCOPE_SMTP_USERNAME and its password go together")
    return mail
