"""A service that takes orders for the sites of two projects, from callers with tokens."""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from exporter.control.journal import JournalReader
from simulator.controlled import ControlledSite
from tests.service_process import ServiceProcess, serving, until
from tests.stack.dispatch_service import Device, described, device

RULES = [{"claim": "groups", "pattern": "/(?P<project>[a-z]+)/(?P<role>viewer|operator)"}]


@dataclass
class Ordering:
    """The service, and a device in each project."""

    service: ServiceProcess
    south: Device
    north: Device
    journal: Path

    def ask(
        self,
        token: str,
        method: str,
        path: str,
        body: Any = None,
        *,
        address: int = 1,
        key: str = "",
    ) -> tuple[int, Any]:
        """Status and answer; each address of the loopback is a caller's own, so that no refusal
        makes another wait."""
        parts = urlsplit(self.service.url)
        assert parts.hostname is not None
        connection = http.client.HTTPConnection(
            parts.hostname, parts.port, timeout=60, source_address=(f"127.0.0.{address}", 0)
        )
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        headers |= {"Idempotency-Key": key} if key else {}
        with contextlib.closing(connection):
            raw = None if body is None else json.dumps(body)
            connection.request(method, f"/api/v1/{path}", raw, headers)
            reply = connection.getresponse()
            return reply.status, json.loads(reply.read())


@contextlib.contextmanager
def ordering(folder: Path, oidc: Mapping[str, Any]) -> Iterator[Ordering]:
    """The service while it runs; the provider is there already."""
    with (
        device(ControlledSite(reversion_seconds=None)) as south,
        device(ControlledSite(portal="c0619ab00002", reversion_seconds=None)) as north,
    ):
        sites = [
            described(name, "modbus-tcp", f"modbus://127.0.0.1:{one.port}", project=name)
            for name, one in (("south", south), ("north", north))
        ]
        document = {"sites": sites, "projects": {"south": {}, "north": {}}}
        (folder / "fleet.yaml").write_text(json.dumps(document), "utf-8")
        config = folder / "web.yml"
        config.write_text(yaml.safe_dump({"oidc": {**oidc, "roles": RULES}}), "utf-8")
        journal = folder / "orders.sqlite"
        with serving(
            folder / "fleet.yaml",
            dispatch="on",
            dispatch_journal=str(journal),
            web_config=str(config),
        ) as service:
            until(lambda: service.get("/readyz")[0] == 200)
            yield Ordering(service, south, north, journal)


def claims_of(token: str) -> dict[str, Any]:
    """What a token says, unverified."""
    part = token.split(".")[1]
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return found


def unsigned(token: str) -> str:
    """The same claims with the algorithm ``none`` and no signature."""
    head = base64.urlsafe_b64encode(b'{"alg":"none","typ":"JWT"}').rstrip(b"=").decode()
    return ".".join([head, token.split(".")[1], ""])


def check_orders(
    running: Ordering, *, operator: str, viewer: str, other: str, refused: Mapping[str, str]
) -> None:
    """Who may order does, once; nobody else writes one row or one register.

    Parameters
    ----------
    running : Ordering
    operator, viewer : str
        Tokens of project ``south``.
    other : str
        A token of an operator of project ``north``.
    refused : mapping of str to str
        Tokens that prove nothing, by what is wrong with them.
    """
    body = {"targets": ["south"], "action": "charge", "kw": 1, "reason": "peak"}

    def dry() -> bool:
        status, answer = running.ask(operator, "POST", "dispatch", body)
        return status == 200 and answer["orders"][0]["state"] == "dry"

    until(dry)
    rows = len(JournalReader(running.journal).log(limit=1000))
    now = {**body, "dry_run": False}
    for number, (wrong, token) in enumerate(refused.items(), 10):
        for method, path, document in (("POST", "dispatch", now), ("GET", "orders", None)):
            status, _ = running.ask(token, method, path, document, address=number)
            assert status == 401, wrong
    assert running.ask(viewer, "POST", "dispatch", now)[0] == 403
    assert running.ask(other, "POST", "dispatch", now)[0] in (403, 404)
    assert running.ask(operator, "POST", "dispatch", {**now, "targets": ["north"]})[0] in (403, 404)
    assert len(JournalReader(running.journal).log(limit=1000)) == rows
    # A request that is played again is carried out once; with another body it is refused.
    status, answer = running.ask(operator, "POST", "dispatch", {**now, "targets": "all"}, key="k")
    assert status == 200
    (made,) = answer["orders"]
    again = running.ask(operator, "POST", "dispatch", {**now, "targets": "all"}, key="k")
    assert again == (200, answer)
    assert running.ask(operator, "POST", "dispatch", {**now, "kw": 2}, key="k")[0] == 409
    until(
        lambda: (
            running.ask(operator, "GET", f"orders/{made['id']}")[1]["order"]["state"] == "effective"
        )
    )
    for method, path, document in (
        ("GET", f"orders/{made['id']}", None),
        ("POST", f"orders/{made['id']}/cancel", {"reason": "mine now"}),
        ("GET", f"dispatch/{answer['dispatch']}", None),
    ):
        assert running.ask(other, method, path, document)[0] == 404, path
    assert running.ask(viewer, "POST", f"orders/{made['id']}/cancel", {"reason": "no"})[0] == 403
    release = {"targets": "all", "action": "release", "reason": "enough"}
    status, freed = running.ask(operator, "POST", "dispatch", release)
    assert (status, [one["site"] for one in freed["orders"]]) == (200, ["south"])
    name = freed["orders"][0]["id"]
    until(lambda: running.ask(operator, "GET", f"orders/{name}")[1]["order"]["state"] == "released")
    carried_out = JournalReader(running.journal).orders(dry=False, limit=1000)
    assert {(one.order.site, one.order.role) for one in carried_out} == {("south", "operator")}
    assert len(carried_out) == 2
    assert not running.south.site.forced
    assert running.north.site.writes == []
