"""Headers of every kind of answer, as a passive scanner looks at them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import requests

from tests.serve.access.tenants import Tenants, serving

PATHS = (
    *("/", "/docs", "/docs/swagger-ui.css", "/openapi.json", "/metrics", "/healthz", "/readyz"),
    *("/api/v1", "/api/v1/fleet", "/api/v1/sites", "/api/v1/sites/nobody", "/api/v1/ask?q=help"),
    *("/api/v1/history?site=nobody&metric=score", "/nothing", "/api/v1/sites?limit=x"),
)


@pytest.fixture(scope="module")
def tenants(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tenants]:
    with serving(tmp_path_factory.mktemp("headers")) as served:
        yield served


def check(reply: requests.Response) -> None:
    headers = reply.headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
    policy = {
        name: rest for name, _, rest in (p.partition(" ") for p in policy_of(reply).split("; "))
    }
    assert policy["default-src"] == "'none'"
    assert policy["frame-ancestors"] == "'none'"
    assert "'unsafe-eval'" not in policy_of(reply)
    assert "'unsafe-inline'" not in policy.get("script-src", "")
    assert "*" not in policy_of(reply)
    # Nothing that names a program or lets another origin in, and no cookie.
    for name in ("Server", "X-Powered-By", "Access-Control-Allow-Origin", "Set-Cookie"):
        assert name not in headers
    # What is about the fleet stays in no shared cache.
    control = headers["Cache-Control"]
    assert "no-cache" in control or "no-store" in control
    if reply.content:
        assert headers["Content-Type"]


def policy_of(reply: requests.Response) -> str:
    return reply.headers["Content-Security-Policy"]


@pytest.mark.parametrize("path", PATHS)
def test_every_answer_has_them(tenants: Tenants, path: str) -> None:
    for caller in ("all_viewer", "south_viewer", "third", "token"):
        check(tenants.ask(caller, "GET", path))
    check(requests.get(tenants.url + path, timeout=60))


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "TRACE", "HEAD"])
def test_other_methods_have_them_too(tenants: Tenants, method: str) -> None:
    for caller in ("all_viewer", "token"):
        reply = tenants.ask(caller, method, "/api/v1/sites")
        check(reply)
        assert reply.status_code < 500
        if method == "TRACE":
            # It would show what a browser sends.
            assert reply.status_code >= 400
