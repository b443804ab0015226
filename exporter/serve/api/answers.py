"""The HTTP face of answers: ``/api/v1/query``, ``/api/v1/ask`` and ``/api/v1/names``."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Query, Request, Response

from exporter.ask.answer import Answer, CannotAnswerError
from exporter.ask.answerer import Answerer
from exporter.ask.language.followup import Context
from exporter.ask.language.parse import NotUnderstoodError, Understood, understand
from exporter.ask.language_model import LanguageModel
from exporter.ask.lookup import UnknownSiteError
from exporter.ask.query import QueryError, What
from exporter.ask.request import PARAMETERS, query_from, zone_of
from exporter.ask.sessions import Sessions
from exporter.serve.access.audit import contacts_header
from exporter.serve.access.guard import may_see_contacts
from exporter.serve.access.roles import Visibility
from exporter.serve.api.answers_openapi import ASKED, EXAMPLE, NAMES, parameters, responses
from exporter.serve.api.problems import problem

TIMELINE = {
    *("site", "filter", "condition", "severity", "limit", "period", "since", "until", "tz"),
    "events",
}


def _json(value: Any, headers: dict[str, str] | None = None) -> Response:
    body = orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY)
    return Response(body, media_type="application/json", headers=headers)


def _noted(answer: Answer, *, contacts: bool) -> dict[str, str]:
    """The header that reports the contacts in an answer."""
    shown = contacts and answer.query.what is What.CONTACT
    return contacts_header(answer.sites) if shown else {}


async def _answered(
    answerer: Answerer, given: dict[str, list[str]], *, contacts: bool = False
) -> Response:
    try:
        wanted = query_from(given, answerer.view().directory, datetime.now(UTC))
        answer = await answerer.answer(wanted, contacts=contacts)
    except QueryError as error:
        return problem(422, str(error))
    except UnknownSiteError as error:
        return problem(404, str(error), suggestions=error.suggestions)
    except CannotAnswerError as error:
        return problem(error.status, str(error), suggestions=error.suggestions)
    return _json(answer.as_dict(), _noted(answer, contacts=contacts))


def _given(request: Request) -> dict[str, list[str]]:
    return {name: request.query_params.getlist(name) for name in request.query_params}


async def _understood(
    answerer: Answerer,
    model: LanguageModel | None,
    text: str,
    tz: str | None,
    context: Context | None,
) -> Understood:
    """The query of a question, by the grammar or else by the language model.

    Raises
    ------
    NotUnderstoodError
    """
    now, directory = datetime.now(UTC), answerer.view().directory
    try:
        return understand(text, directory, now, zone_of(tz), context)
    except NotUnderstoodError as error:
        if model is None or error.final:
            raise
        query = await model.query(text, directory, now, tz)
        if query is None:
            raise
        return Understood(query, (f"understood by the language model {model.endpoint.model}",))


def answers_router(
    answerer: Answerer,
    model: LanguageModel | None = None,
    seen: Callable[[], Visibility] = Visibility,
) -> APIRouter:
    """The routes; all of them only read.

    Parameters
    ----------
    answerer : Answerer
    model : LanguageModel or None
        Asked for questions that the grammar does not understand.
    seen : callable
        What the caller of the request under way sees.
    """
    router = APIRouter(prefix="/api/v1", tags=["answers"])
    sessions = Sessions(time.monotonic)

    @router.get(
        "/query",
        response_class=Response,
        responses=responses(EXAMPLE, 404, 422, 503),
        openapi_extra=parameters(),
    )
    async def query(request: Request) -> Response:
        """Answer one query, with the evidence."""
        return await _answered(answerer, _given(request), contacts=may_see_contacts(request))

    @router.get(
        "/timeline",
        response_class=Response,
        responses=responses(EXAMPLE, 404, 422, 503),
        openapi_extra=parameters(*TIMELINE),
    )
    async def timeline(request: Request) -> Response:
        """What happened in a period, in order, and what was known when it began."""
        given = _given(request)
        if unknown := sorted(set(given) - TIMELINE):
            return problem(422, f"unknown parameter {unknown[0][:40]!r}")
        period = {} if given.keys() & {"since", "period"} else {"since": ["24h"]}
        return await _answered(answerer, {"what": ["timeline"]} | period | given)

    @router.get("/ask", response_class=Response, responses=responses(ASKED, 404, 422, 503))
    async def ask(
        request: Request,
        q: Annotated[str, Query(max_length=2000, description="The question")],
        session: Annotated[
            str | None, Query(max_length=64, description="Of the answer before")
        ] = None,
        tz: Annotated[str | None, Query(max_length=64, description=PARAMETERS["tz"])] = None,
    ) -> Response:
        """Answer a question in plain language, or say that it is not understood.

        With the ``session`` of an answer, the next question may be a follow-up: *and in Spain?*
        """
        session, context = sessions.open(session, seen())
        contacts = may_see_contacts(request)
        try:
            understood = await _understood(answerer, model, q, tz, context)
            answer = await answerer.answer(understood.query, contacts=contacts)
        except NotUnderstoodError as error:
            return problem(422, str(error), examples=error.examples, session=session)
        except QueryError as error:
            return problem(422, str(error), session=session)
        except (CannotAnswerError, UnknownSiteError) as error:
            status = getattr(error, "status", 404)
            return problem(status, str(error), suggestions=error.suggestions, session=session)
        sessions.keep(session, Context(answer.query, answer.sites), seen())
        asked = {"question": q, "session": session, "notes": understood.notes}
        return _json(asked | answer.as_dict(), _noted(answer, contacts=contacts))

    @router.get("/names", response_class=Response, responses=responses(NAMES, 422))
    async def names() -> Response:
        """Ids and names of all sites, for completion."""
        fleet = answerer.view().assessment.fleet
        sites = [{"id": site.id, "name": site.title} for site in fleet.sites]
        return _json({"time": time.time(), "sites": sites})

    return router
