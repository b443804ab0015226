"""``python -m exporter.cli.container_setup``: what the containers need before they start.

docker-compose.yml runs it once at each start. It writes to ``/secrets`` what is not there yet:

- ``web-config.yml`` for exporter, Prometheus and Alertmanager, with a user and a random password
  for each that asks them: ``ops`` (people), ``exporter``, ``prometheus``, ``grafana``, ``health``;
- in the folder of each user its own ``password``; that of ``ops`` is ``exporter/ops-password``, and
  ``health`` is the header by which a health check signs in;
- ``exporter/influxdb-token``, which reads and writes buckets, and ``grafana/influxdb-token``, which
  only reads them. InfluxDB's admin token stays with InfluxDB and with this program.

Each folder is a volume of the one container that needs it, so its files are readable by every user
of that container. ``--renew`` makes new passwords and tokens; restart the containers afterwards.
"""

from __future__ import annotations

import base64
import json
import os
import secrets
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import bcrypt
import yaml

from exporter.config.settings import Settings, SettingsError, load_settings
from exporter.model.http import HttpClient, Reply, RequestError
from exporter.store.connection import Connection, connection_of, token_header

FOLDER = Path("/secrets")
WAIT_SECONDS = 300.0
REPLY_SECONDS = 10.0
BCRYPT_COST = 10
# Where each user's password is kept. A health check knows only its header.
_PASSWORDS: Mapping[str, str] = {
    "ops": "exporter/ops-password",
    "exporter": "exporter/password",
    "prometheus": "prometheus/password",
    "grafana": "grafana/password",
    "health": "health/password",
}
# Who may ask each server.
_USERS: Mapping[str, tuple[str, ...]] = {
    "exporter": ("ops", "prometheus"),
    "prometheus": ("ops", "exporter", "grafana", "health"),
    "alertmanager": ("ops", "exporter", "grafana", "prometheus", "health"),
}
# What each holder of a token may do in the organisation; the exporter makes its buckets and their
# mappings for InfluxQL itself.
_RIGHTS: Mapping[str, tuple[tuple[str, str], ...]] = {
    "exporter": (
        ("read", "buckets"),
        ("write", "buckets"),
        ("read", "dbrp"),
        ("write", "dbrp"),
        ("read", "orgs"),
    ),
    "grafana": (("read", "buckets"), ("read", "dbrp")),
}


class SetupError(Exception):
    """The containers cannot start; the message says why."""


def write_passwords(folder: Path, renew: bool = False) -> list[str]:
    """Write passwords and web configurations, unless they are there.

    Parameters
    ----------
    folder : Path
        Holds a folder for each container.
    renew : bool
        Replace what is there.

    Returns
    -------
    list of str
        Users with a new password.
    """
    passwords, new = {}, []
    for user, file in _PASSWORDS.items():
        path = folder / file
        if renew or not path.exists():
            _write(path, secrets.token_urlsafe(18))
            new.append(user)
        passwords[user] = path.read_text("utf-8")
    for server, users in _USERS.items():
        header = base64.b64encode(f"health:{passwords['health']}".encode()).decode()
        if "health" in users:
            _write(folder / server / "health", f"Authorization: Basic {header}")
        path = folder / server / "web-config.yml"
        if path.exists() and set(users) <= _users_of(path) and not set(users) & set(new):
            continue
        hashes = {user: _hashed(passwords[user]) for user in users}
        _write(path, yaml.safe_dump({"basic_auth_users": hashes}))
    return new


def _hashed(password: str) -> str:
    return bcrypt.hashpw(password.encode(), bcrypt.gensalt(BCRYPT_COST)).decode()


def _users_of(path: Path) -> set[str]:
    return set(yaml.safe_load(path.read_text("utf-8"))["basic_auth_users"])


def write_tokens(connection: Connection, folder: Path, renew: bool = False) -> list[str]:
    """Write a token of its own for each holder, unless InfluxDB takes the one that is there.

    Parameters
    ----------
    connection : Connection
        An InfluxDB 2.x, with its admin token.
    folder : Path
        Holds a folder for each holder.
    renew : bool
        Replace what is there.

    Returns
    -------
    list of str
        Holders with a new token.

    Raises
    ------
    SetupError
        InfluxDB does not answer, or refuses.
    """
    admin = HttpClient(connection.headers)
    organisation = _organisation(admin, connection)
    written = []
    for holder, rights in _RIGHTS.items():
        path = folder / holder / "influxdb-token"
        if not renew and path.exists() and _taken(connection, path.read_text("utf-8")):
            continue
        description = f"fleetscope {holder}"
        _delete_tokens(admin, connection, organisation, description)
        permissions = [_permission(action, kind, organisation) for action, kind in rights]
        body = {"orgID": organisation, "description": description, "permissions": permissions}
        made = _ask(admin, "POST", f"{connection.url}/api/v2/authorizations", json=body)
        _write(path, made["token"])
        written.append(holder)
    return written


def _permission(action: str, kind: str, organisation: str) -> dict[str, Any]:
    owner = "id" if kind == "orgs" else "orgID"
    return {"action": action, "resource": {"type": kind, owner: organisation}}


def _organisation(admin: HttpClient, connection: Connection) -> str:
    """The organisation's id; waits for InfluxDB to start."""
    until = time.monotonic() + WAIT_SECONDS
    while True:
        try:
            given = {"org": connection.organisation}
            found = _ask(admin, "GET", f"{connection.url}/api/v2/orgs", params=given)
            return str(found["orgs"][0]["id"])
        except RequestError as error:
            if time.monotonic() > until:
                raise SetupError(f"InfluxDB does not answer: {error}") from error
            time.sleep(1.0)
        except (LookupError, TypeError) as error:
            raise SetupError(
                f"InfluxDB has no organization {connection.organisation} for this token"
            ) from error


def _taken(connection: Connection, token: str) -> bool:
    client = HttpClient(token_header(token.strip()))
    reply = _reply(client, "GET", f"{connection.url}/api/v2/buckets", params={"limit": 1})
    return reply.status == 200


def _delete_tokens(
    admin: HttpClient, connection: Connection, organisation: str, description: str
) -> None:
    """Delete the tokens that this program made before: nobody holds them any more."""
    address = f"{connection.url}/api/v2/authorizations"
    existing = _ask(admin, "GET", address, params={"orgID": organisation})["authorizations"]
    for entry in existing:
        if entry.get("description") == description:
            _ask(admin, "DELETE", f"{address}/{entry['id']}")


def _reply(client: HttpClient, method: str, address: str, **given: Any) -> Reply:
    return client.request(method, address, seconds=REPLY_SECONDS, **given)


def _ask(client: HttpClient, method: str, address: str, **given: Any) -> Any:
    reply = _reply(client, method, address, **given)
    if reply.status >= 300:
        words = " ".join(reply.body.decode("utf-8", "replace").split())[:300]
        raise SetupError(f"{address} answered {reply.status}: {words}")
    return json.loads(reply.body) if reply.body else None


def _write(path: Path, text: str) -> None:
    """Replace a file at once, so that no reader sees half of it."""
    new = path.with_name(f".{path.name}.new")
    new.unlink(missing_ok=True)
    new.write_text(text, "utf-8")
    new.chmod(0o444)
    os.replace(new, path)


def prepare(settings: Settings, folder: Path, renew: bool = False) -> list[str]:
    """Write everything that is missing; a sentence for each thing that was written.

    Raises
    ------
    SetupError
    """
    done = []
    if new := write_passwords(folder, renew):
        done.append(f"Made passwords for {', '.join(new)}.")
    if "ops" in new:
        done.append("That of ops is in /secrets/ops-password of the exporter.")
    connection = connection_of(settings)
    if connection is None or connection.api != "v2":
        return done
    try:
        written = write_tokens(connection, folder, renew)
    except RequestError as error:
        raise SetupError(f"InfluxDB does not answer: {error}") from error
    return [*done, *(f"Made a token of InfluxDB for {holder}." for holder in written)]


def main(arguments: list[str]) -> int:
    """Prepare the volumes of the containers; returns the exit code."""
    if set(arguments) - {"--renew"}:
        print("usage: python -m exporter.cli.container_setup [--renew]", file=sys.stderr)
        return 2
    try:
        done = prepare(load_settings(), FOLDER, "--renew" in arguments)
    except (SetupError, SettingsError, OSError) as error:
        print(f"the containers cannot be set up: {error}", file=sys.stderr)
        return 1
    for sentence in done:
        print(sentence)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
