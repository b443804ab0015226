"""Mail as a real mail server receives it."""

from __future__ import annotations

import email
import socketserver
import subprocess
import threading
from collections.abc import Iterator
from email.message import Message
from email.policy import default

import pytest

from provisioning.alertmanager.render import render, write
from provisioning.local.ports import LOOPBACK
from tests.oncall.conftest import OnCall, until

pytestmark = pytest.mark.stack


class MailServer(socketserver.ThreadingTCPServer):
    """As much of SMTP (RFC 5321) as a delivery takes; keeps what it is given."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__((LOOPBACK, 0), Session)
        self.mails: list[tuple[set[str], Message]] = []


class Session(socketserver.StreamRequestHandler):
    server: MailServer

    def handle(self) -> None:
        self.say("220 mail.example.com")
        to: set[str] = set()
        for line in self.rfile:
            words = line.decode().strip()
            command = words[:4].upper()
            if command == "RCPT":
                to.add(words.split("<")[1].split(">")[0])
            if command == "DATA":
                self.say("354 go on")
                lines = iter(self.rfile.readline, b".\r\n")
                mail = email.message_from_bytes(b"".join(lines), policy=default)
                self.server.mails.append((to, mail))
            self.say("221 bye" if command == "QUIT" else "250 ok")
            if command == "QUIT":
                return

    def say(self, words: str) -> None:
        self.wfile.write(f"{words}\r\n".encode())


@pytest.fixture
def mail_server() -> Iterator[MailServer]:
    with MailServer() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_a_page_is_mailed_to_everybody_in_plain_words(
    on_call: OnCall, mail_server: MailServer
) -> None:
    own = on_call.folder / "mail"
    environment = {
        "FLEETSCOPE_ALERT_EMAIL_TO": "ops@example.com, lead@example.com",
        "FLEETSCOPE_SMTP_HOST": f"{LOOPBACK}:{mail_server.server_address[1]}",
        "FLEETSCOPE_SMTP_FROM": "Fleetscope <fleetscope@example.com>",
        "FLEETSCOPE_SMTP_TLS": "false",
    }
    on_call.run_alertmanager(write(render(environment, str(own / "config"), (0, 25)), own))
    note = {"summary": "Alpha is offline", "description": "It is.", "action": "Ask the contact."}
    subprocess.run(
        [
            *("amtool", f"--alertmanager.url={on_call.alertmanager}", "alert", "add"),
            *("FleetscopeSiteOffline", "severity=page", "priority=high", "name=Alpha"),
            "--start=2026-03-01T08:30:00Z",
            *(f"--annotation={name}={text}" for name, text in note.items()),
        ],
        check=True,
    )
    until(lambda: mail_server.mails, "it is mailed")
    ((to, mail),) = mail_server.mails
    assert to == {"ops@example.com", "lead@example.com"}
    assert mail["Subject"] == "Alpha is offline"
    assert mail["From"] == "Fleetscope <fleetscope@example.com>"
    text = "".join(str(part.get_payload()) for part in mail.walk()).replace("\r", "")
    assert "Since: Sun 1 Mar 2026, 08:30 UTC\nDo: Ask the contact.\n" in text
