"""The API as its own description has it, and as it has it not: made up by schemathesis."""

from __future__ import annotations

import base64
import contextlib
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.errors import Unsatisfiable
from requests import RequestException
from schemathesis import Case, GenerationMode
from schemathesis.checks import CHECKS, load_all_checks

from exporter.config.settings import load_settings
from exporter.serve.access.guard import LARGEST_HEAD
from exporter.serve.access.roles import OPEN, Visibility
from exporter.serve.access.server import GuardedServer
from exporter.serve.application import make_app
from exporter.serve.metrics import registry
from tests.serve.access.tenants import CALLERS, CHANGE_TOKEN, PROJECTS, serving
from tests.serve.api.served import ServedFleet, plan
from tests.serve.test_metrics import NUMBERS

TOKEN = "change-me-4711-4711"
# A stream does not end.
LEFT_OUT = {"/api/v1/events"}
# What a question means is no matter of its schema, and the moment of a history neither.
MEANT = {
    *("/api/v1/ask", "/api/v1/query", "/api/v1/timeline", "/api/v1/history", "/api/v1/report"),
}
# A report is made of a whole year at times, on a machine that does other work.
PATIENCE_SECONDS = 120.0
RESET = 0
"""Counts answers that were lost, of addresses beyond every limit, beside those with a status."""
# The guard answers so before it looks who asks.
NEVER_SEEN = (400, 413, 431)
_CONFORMS = (
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
)


def application(folder: Path) -> Callable[..., Any]:
    """The whole application behind its guard, without a limit of requests."""
    config = folder / "web.yml"
    config.write_text("rate_limit: {interval: 0, burst: 1}\n", "utf-8")
    fleet = ServedFleet(plan(12))
    fleet.scrape(s0003=None, s0005={"soh_percent": 60.0})
    made = registry(lambda: fleet.latest, lambda: NUMBERS)
    app = make_app(lambda: fleet.latest, lambda: None, made, reload=lambda: None)
    GuardedServer(
        app,
        load_settings(
            web_config=config,
            change_token=TOKEN,
            allowed_hosts="testserver",
            caller_seconds=3600,
        ),
    )
    return app


def operations(where: Callable[..., Any] | str, **headers: str) -> Iterator[Any]:
    """Every route that an application describes, or the server at a URL."""
    if isinstance(where, str):
        schema = schemathesis.openapi.from_url(f"{where}/openapi.json", headers=headers)
    else:
        schema = schemathesis.openapi.from_asgi("/openapi.json", where)
    for found in schema.get_all_operations():
        operation = found.ok()
        if operation.path not in LEFT_OUT:
            yield operation


def exercise(operation: Any, examples: int, number: int) -> None:
    """Requests that are as described, and as many that are not; each answer is as described.

    A 503 is an answer like others where it is described: nothing is stored here.
    """
    load_all_checks()
    checks = list(CHECKS.get_by_names(_CONFORMS))
    accepted = [*checks, *CHECKS.get_by_names(["positive_data_acceptance"])]

    def right(case: Case) -> None:
        reply = case.call(timeout=PATIENCE_SECONDS)
        case.validate_response(reply, checks=checks if operation.path in MEANT else accepted)
        assert reply.status_code not in (500, 502, 504)

    def wrong(case: Case) -> None:
        reply = case.call(timeout=PATIENCE_SECONDS)
        case.validate_response(reply, checks=checks)
        assert reply.status_code not in (500, 502, 504)

    _made_up(
        operation,
        ((GenerationMode.POSITIVE, right), (GenerationMode.NEGATIVE, wrong)),
        examples,
        number,
    )


def _made_up(
    operation: Any,
    modes: Sequence[tuple[GenerationMode, Callable[[Case], None]]],
    examples: int,
    number: int,
) -> None:
    """Have requests of each kind checked."""
    for mode, check in modes:
        strategy = operation.as_strategy(generation_mode=mode)
        run = settings(
            max_examples=examples,
            deadline=None,
            database=None,
            phases=(Phase.generate, Phase.shrink),
            suppress_health_check=list(HealthCheck),
        )(seed(number)(given(case=strategy)(check)))
        # Where there is nothing that could be wrong, none is made up.
        with contextlib.suppress(Unsatisfiable):
            run()


def exercise_all(inputs: int, number: int) -> None:
    """As many requests, shared out among the routes that take parameters."""
    with tempfile.TemporaryDirectory() as folder:
        found = list(operations(application(Path(folder))))
        several = [one for one in found if one.query or one.path_parameters]
        for operation in found:
            exercise(operation, max(inputs // (2 * len(several)), 1), number)


def exercise_roles(inputs: int, number: int) -> Counter[int]:
    """As many requests, shared out among routes and callers of every role in two projects.

    An answer is as it is described, is no mistake of the server, and holds no text of a project
    that its caller does not see. Returns how often each status was answered.
    """
    load_all_checks()
    checks = list(CHECKS.get_by_names(_CONFORMS))
    statuses: Counter[int] = Counter()
    with tempfile.TemporaryDirectory() as folder, serving(Path(folder)) as tenants:
        nobody: dict[str, str] = {}
        callers = [("", Visibility(frozenset(), frozenset()), nobody)]
        callers += [(name, one.visibility, _basic(name)) for name, one in CALLERS.items()]
        bearer = {"Authorization": f"Bearer {CHANGE_TOKEN}"}
        callers.append(("token", Visibility(), bearer))
        found = list(operations(tenants.url, **bearer))
        each = max(inputs // (2 * len(found) * len(callers)), 1)
        for operation in found:
            for name, seen, headers in callers:
                check = _as_caller(name, seen, headers, checks, statuses)
                modes = ((GenerationMode.POSITIVE, check), (GenerationMode.NEGATIVE, check))
                _made_up(operation, modes, each, number)
    return statuses


def _as_caller(
    name: str,
    seen: Visibility,
    headers: dict[str, str],
    checks: list[Any],
    statuses: Counter[int],
) -> Callable[[Case], None]:
    """Sends a request as a caller, and checks the answer; without a name nobody signs in."""
    hidden = [
        mark.encode()
        for project, mark in PROJECTS.items()
        if seen.projects is not None and project not in seen.projects
    ]

    def check(case: Case) -> None:
        try:
            reply = case.call(headers=headers, timeout=PATIENCE_SECONDS)
        except RequestException:
            # Its refusal is lost where the server closes before all of such an address is sent.
            assert _query_length(case) > LARGEST_HEAD
            statuses[RESET] += 1
            return
        case.validate_response(reply, checks=checks)
        statuses[reply.status_code] += 1
        assert reply.status_code not in (500, 502, 504)
        assert not [mark for mark in hidden if mark in reply.content], name
        if not name:
            assert reply.status_code in (*NEVER_SEEN, 401) or case.path in OPEN

    return check


def _query_length(case: Case) -> int:
    return len(urlencode(case.query or {}, doseq=True))


def _basic(name: str) -> dict[str, str]:
    both = base64.b64encode(f"{name}:pw".encode()).decode()
    return {"Authorization": f"Basic {both}"}
