"""Tokens of a real Keycloak, which ``KEYCLOAK_HOME`` names (26.5; it needs Java 17)."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jwt
import pytest
import requests

from exporter.serve.access import signing_keys
from tests.serve.access import tenants
from tests.serve.access.issuer import rsa_key
from tests.serve.access.ordering import check_orders, claims_of, ordering, unsigned
from tests.serve.access.tenants import Tenants
from tests.service_process import until

pytestmark = pytest.mark.stack
START_SECONDS = 240.0
AUDIENCE = {
    "name": "audience",
    "protocol": "openid-connect",
    "protocolMapper": "oidc-audience-mapper",
    "config": {"included.custom.audience": "fleetscope", "access.token.claim": "true"},
}
GROUPS = {
    "name": "groups",
    "protocol": "openid-connect",
    "protocolMapper": "oidc-group-membership-mapper",
    "config": {"full.path": "true", "claim.name": "groups", "access.token.claim": "true"},
}


def user(name: str, **more: Any) -> dict[str, Any]:
    return {
        "username": name,
        "enabled": True,
        "firstName": name,
        "lastName": "Tester",
        "email": f"{name}@example.com",
        "emailVerified": True,
        "credentials": [{"type": "password", "value": "pw"}],
    } | more


def app(name: str, *mappers: dict[str, Any]) -> dict[str, Any]:
    return {
        "clientId": name,
        "publicClient": True,
        "directAccessGrantsEnabled": True,
        "protocolMappers": list(mappers),
    }


REALM = {
    "realm": "fleet",
    "enabled": True,
    "roles": {"realm": [{"name": "fleet-admin"}]},
    "groups": [
        {"name": "south", "subGroups": [{"name": "operator"}, {"name": "viewer"}]},
        {"name": "north", "subGroups": [{"name": "operator"}]},
    ],
    "clients": [
        app("fleetscope-cli", AUDIENCE, GROUPS),
        app("other", GROUPS),
        app("brief", AUDIENCE, GROUPS) | {"attributes": {"access.token.lifespan": "1"}},
    ],
    "users": [
        user("anna", groups=["/south/operator"]),
        user("ben", groups=["/south/viewer"]),
        user("nora", groups=["/north/operator"]),
        user("ops", realmRoles=["fleet-admin"]),
        user("curious"),
    ],
}


@dataclass(slots=True)
class Keycloak:
    url: str

    @property
    def issuer(self) -> str:
        return f"{self.url}/realms/fleet"

    def tokens(self, name: str, client: str = "fleetscope-cli") -> dict[str, str]:
        form = {
            "grant_type": "password",
            "scope": "openid",
            "client_id": client,
            "username": name,
            "password": "pw",
        }
        reply = requests.post(f"{self.issuer}/protocol/openid-connect/token", data=form, timeout=60)
        assert reply.status_code == 200, reply.text
        found: dict[str, str] = reply.json()
        return found

    def rotate(self) -> None:
        """Sign with a new key from now on; the old one is gone."""
        form = {
            "grant_type": "password",
            "client_id": "admin-cli",
            "username": "admin",
            "password": "admin",
        }
        token_url = f"{self.url}/realms/master/protocol/openid-connect/token"
        token = requests.post(token_url, data=form, timeout=60).json()["access_token"]
        headers = {"Authorization": f"Bearer {token}"}
        components = f"{self.url}/admin/realms/fleet/components"
        kind = "org.keycloak.keys.KeyProvider"
        known = requests.get(f"{components}?type={kind}", headers=headers, timeout=60).json()
        key = {
            "name": "next",
            "providerId": "rsa-generated",
            "providerType": kind,
            "config": {"priority": ["500"], "algorithm": ["RS256"]},
        }
        assert requests.post(components, json=key, headers=headers, timeout=60).status_code == 201
        for old in known:
            if old["providerId"] == "rsa-generated":
                done = requests.delete(f"{components}/{old['id']}", headers=headers, timeout=60)
                assert done.status_code == 204


@pytest.fixture(scope="module")
def keycloak(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Keycloak]:
    given = os.environ.get("KEYCLOAK_HOME")
    if not given or shutil.which("java") is None:
        pytest.skip("no Keycloak: KEYCLOAK_HOME names none, or there is no java")
    home = tmp_path_factory.mktemp("keycloak") / "home"
    shutil.copytree(given, home)
    imported = home / "data" / "import"
    imported.mkdir(parents=True, exist_ok=True)
    (imported / "fleet.json").write_text(json.dumps(REALM), "utf-8")
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    admin = {"KC_BOOTSTRAP_ADMIN_USERNAME": "admin", "KC_BOOTSTRAP_ADMIN_PASSWORD": "admin"}
    options = ["--http-host=127.0.0.1", f"--http-port={port}", "--import-realm"]
    with (home / "log").open("wb") as log:
        process = subprocess.Popen(
            [str(home / "bin" / "kc.sh"), "start-dev", *options],
            stdout=log,
            stderr=subprocess.STDOUT,
            env=os.environ | admin | {"JAVA_OPTS_APPEND": "-Xmx512m"},
            start_new_session=True,
        )
    found = Keycloak(f"http://127.0.0.1:{port}")
    try:
        wait_for(found, process, home / "log")
        yield found
    finally:
        # The script waits for Java, which has to get the signal too.
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(60)
        shutil.rmtree(home)


def wait_for(keycloak: Keycloak, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + START_SECONDS
    while True:
        try:
            if requests.get(keycloak.issuer, timeout=5).status_code == 200:
                return
        except requests.ConnectionError:
            pass
        assert process.poll() is None, log.read_text("utf-8")
        assert time.monotonic() < end, log.read_text("utf-8")
        time.sleep(0.5)


@pytest.fixture(scope="module")
def running(keycloak: Keycloak, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tenants]:
    oidc = {
        "issuer": keycloak.issuer,
        "audience": "fleetscope",
        "name_claim": "preferred_username",
        "roles": [
            {"claim": "groups", "pattern": "/(?P<project>[a-z]+)/(?P<role>viewer|operator)"},
            {
                "claim": ["realm_access", "roles"],
                "value": "fleet-admin",
                "project": "*",
                "role": "admin",
            },
        ],
    }
    with tenants.serving(tmp_path_factory.mktemp("tenants"), oidc=oidc) as found:
        yield found


def asked(running: Tenants, token: str, path: str, method: str = "GET") -> requests.Response:
    headers = {"Authorization": f"Bearer {token}"}
    return requests.request(method, running.url + path, headers=headers, timeout=60)


def test_roles_come_from_groups_and_realm_roles(keycloak: Keycloak, running: Tenants) -> None:
    anna, ben, ops = (keycloak.tokens(n)["access_token"] for n in ("anna", "ben", "ops"))
    for token, sites, contacts in ((anna, 6, True), (ben, 6, False), (ops, 13, True)):
        assert asked(running, token, "/api/v1/fleet").json()["sites"] == sites
        metrics = asked(running, token, "/metrics").text
        assert ("Person southmark" in metrics) is contacts
        assert ("northmark" in metrics) is (sites == 13)
    assert asked(running, anna, "/-/reload", "POST").status_code == 403
    assert asked(running, ops, "/-/reload", "POST").status_code == 202
    curious = keycloak.tokens("curious")["access_token"]
    assert asked(running, curious, "/api/v1/fleet").status_code == 403


@pytest.mark.parametrize(
    ("client", "kind"),
    [
        # Keycloak names no audience unless a mapper does.
        ("other", "access_token"),
        ("fleetscope-cli", "id_token"),
        ("fleetscope-cli", "refresh_token"),
    ],
)
def test_other_tokens_of_the_same_provider_are_refused(
    keycloak: Keycloak, running: Tenants, client: str, kind: str
) -> None:
    token = keycloak.tokens("anna", client)[kind]
    assert asked(running, token, "/api/v1/fleet").status_code == 401


def test_tokens_decide_who_orders(keycloak: Keycloak, tmp_path: Path) -> None:
    oidc = {"issuer": keycloak.issuer, "audience": "fleetscope", "leeway": "1s"}
    anna = keycloak.tokens("anna")
    good = anna["access_token"]
    brief = keycloak.tokens("anna", "brief")["access_token"]
    kid = jwt.get_unverified_header(good)["kid"]
    swapped = jwt.encode(claims_of(good), rsa_key(), "RS256", headers={"kid": kid})
    with ordering(tmp_path, oidc) as running:
        until(lambda: time.time() > claims_of(brief)["exp"] + 2)
        check_orders(
            running,
            operator=good,
            viewer=keycloak.tokens("ben")["access_token"],
            other=keycloak.tokens("nora")["access_token"],
            refused={
                "no audience": keycloak.tokens("anna", "other")["access_token"],
                "another kind": anna["id_token"],
                "a refresh token": anna["refresh_token"],
                "expired": brief,
                "none": unsigned(good),
                "swapped key": swapped,
            },
        )


def test_a_rotated_key_is_taken_and_the_old_one_refused(
    keycloak: Keycloak, running: Tenants, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = keycloak.tokens("anna")["access_token"]
    assert asked(running, old, "/api/v1/fleet").status_code == 200
    keycloak.rotate()
    monkeypatch.setattr(signing_keys, "UNKNOWN_KEY_SECONDS", 0.0)
    new = keycloak.tokens("anna")["access_token"]
    assert asked(running, new, "/api/v1/fleet").status_code == 200
    assert asked(running, old, "/api/v1/fleet").status_code == 401
