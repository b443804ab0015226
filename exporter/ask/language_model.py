"""A question turned into a query by a language model that the user configures; off by default.

The model is asked only for what the built-in grammar does not understand. It is given the question,
the names of quantities and the form of a query, never a reading or the name of a site, and it gives
back a query. The query is checked like any other, and every site and number in it must stand in the
question; then the answer is computed as ever, so the model never writes a figure. Whatever else it
says is not shown. An error, a timeout or nonsense leave the refusal of the grammar as it was.
"""

from __future__ import annotations

import json
import logging
import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from exporter.ask.catalogue import CONDITIONS, METRICS
from exporter.ask.figures import CAUSES, FIGURES
from exporter.ask.lookup import Directory, UnknownSiteError, fold, tokens
from exporter.ask.query import (
    ATTRIBUTES,
    EVENTS,
    ORDERS,
    PARTS_OF_TIME,
    SEVERITIES,
    SHOWN_UNITS,
    WHAT_MEANINGS,
    Query,
    QueryError,
    What,
)
from exporter.ask.request import query_from
from exporter.config.settings import Settings
from exporter.model.http import HttpClient, RequestError
from exporter.model.text import plain_line
from exporter.model.workers import BlockingCalls

log = logging.getLogger(__name__)

LARGEST_REPLY = 64 * 1024
AT_ONCE = 4
_NUMBER = re.compile(r"\d+(?:[.,]\d+)?")
_NUMBER_WORDS = {
    word: str(number)
    for number, word in enumerate(
        ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"], 1
    )
}
_KINDS = [what.value for what in WHAT_MEANINGS if what is not What.HELP]
INSTRUCTIONS = f"""You turn a question about a fleet of battery and solar sites into a query.
Answer with the JSON object alone. Copy names of sites and numbers from the question, never invent
them. If the question is not about such a fleet, asks to change something, or does not fit a query,
set "what" to null. A period is copied from the question, such as "since Monday".
what: {"; ".join(f"{w.value}: {meaning}" for w, meaning in WHAT_MEANINGS.items())}
metrics: {"; ".join(f"{m.name}: {m.label} in {m.unit or 'points'}" for m in METRICS.values())}
conditions: {"; ".join(f"{c.name}: {c.label}" for c in CONDITIONS.values())}
figures of what=energy and what=portfolio: {
    "; ".join(f"{f.name}: {f.label}" for f in FIGURES.values())
}
A condition with ! before it is its opposite. where: comparisons in the unit of the metric, such as
soh<80. filter: attribute:value with one of {", ".join(ATTRIBUTES)}, or !attribute:value."""


def _nullable(schema: dict[str, Any]) -> dict[str, Any]:
    return {"anyOf": [schema, {"type": "null"}]}


def _list_of(schema: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": schema, "maxItems": 20}


_TEXT = {"type": "string", "maxLength": 200}
_PROPERTIES: dict[str, dict[str, Any]] = {
    "what": _nullable({"type": "string", "enum": _KINDS}),
    "site": _list_of(_TEXT),
    "filter": _list_of(_TEXT),
    "condition": _list_of(
        {"type": "string", "enum": [*CONDITIONS, *(f"!{name}" for name in CONDITIONS)]}
    ),
    "where": _list_of(_TEXT),
    "metric": _list_of({"type": "string", "enum": list(METRICS)}),
    "any_of": {"type": "boolean"},
    "count": {"type": "boolean"},
    "cost": {"type": "boolean"},
    "order": _nullable({"type": "string", "enum": list(ORDERS)}),
    "limit": _nullable({"type": "integer"}),
    "severity": _nullable({"type": "string", "enum": list(SEVERITIES)}),
    "period": _nullable(_TEXT),
    "against": _nullable(_TEXT),
    "group_by": _nullable({"type": "string", "enum": [*ATTRIBUTES, *PARTS_OF_TIME]}),
    "lasting": _nullable(_TEXT),
    "times": _nullable({"type": "integer"}),
    "unit": _nullable({"type": "string", "enum": list(SHOWN_UNITS)}),
    "events": _nullable({"type": "string", "enum": list(EVENTS)}),
    "figure": _nullable({"type": "string", "enum": list(FIGURES)}),
    "cause": _list_of({"type": "string", "enum": list(CAUSES)}),
}
SCHEMA = {
    "type": "object",
    "properties": _PROPERTIES,
    "required": list(_PROPERTIES),
    "additionalProperties": False,
}


class NoQueryError(Exception):
    """The model gave no query that may be asked; the text says why, for the log."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where the model is: the URL of an OpenAI-compatible API, the model, its token, a limit."""

    url: str
    model: str
    token: str
    seconds: float


class LanguageModel:
    """Asks one model."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        headers = {"Authorization": f"Bearer {endpoint.token}"} if endpoint.token else {}
        self._http = HttpClient(headers)
        self._calls = BlockingCalls(AT_ONCE, "language-model")

    @classmethod
    def from_settings(cls, settings: Settings) -> LanguageModel | None:
        """The model of the settings; None where they name none."""
        if settings.llm_url is None or settings.llm_model is None:
            return None
        token = settings.llm_token.get_secret_value() if settings.llm_token else ""
        return cls(Endpoint(settings.llm_url, settings.llm_model, token, settings.llm_seconds))

    async def query(
        self, question: str, directory: Directory, now: datetime, zone: str | None
    ) -> Query | None:
        """The query that a question asks; None where the model gives none that may be asked.

        Parameters
        ----------
        question : str
        directory : Directory
        now : datetime
            With a time zone.
        zone : str or None
            The asker's, as in a request.
        """
        try:
            reply = await self._calls.run(self._ask, question)
            return checked(reply, question, directory, now, zone)
        except NoQueryError as error:
            log.info("the language model gave no query: %s", plain_line(str(error))[:200])
            return None

    def _ask(self, question: str) -> str:
        """What the model says.

        Raises
        ------
        NoQueryError
        """
        body = {
            "model": self.endpoint.model,
            "temperature": 0,
            "max_tokens": 600,
            "messages": [
                {"role": "system", "content": INSTRUCTIONS},
                {"role": "user", "content": question},
            ],
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "query", "strict": True, "schema": SCHEMA},
            },
        }
        try:
            reply = self._http.request(
                "POST",
                f"{self.endpoint.url}/chat/completions",
                json=body,
                seconds=self.endpoint.seconds,
                connect_seconds=min(2.0, self.endpoint.seconds),
                largest=LARGEST_REPLY,
            )
        except RequestError as error:
            raise NoQueryError(str(error)) from error
        if reply.status != 200:
            raise NoQueryError(f"status {reply.status}")
        try:
            said = json.loads(reply.body)["choices"][0]["message"]["content"]
        except (ValueError, KeyError, IndexError, TypeError, RecursionError) as error:
            raise NoQueryError("an answer of another form") from error
        if not isinstance(said, str):
            raise NoQueryError("no text")
        return said


def checked(
    reply: str, question: str, directory: Directory, now: datetime, zone: str | None
) -> Query:
    """The query of a reply, if it may be asked.

    Raises
    ------
    NoQueryError
        If it is none, or names a site or a number that the question does not.
    """
    try:
        given = json.loads(reply)
    except (ValueError, RecursionError) as error:
        raise NoQueryError("no JSON") from error
    if not isinstance(given, dict) or set(given) - set(_PROPERTIES):
        raise NoQueryError("not the form of a query")
    if given.get("what") is None:
        raise NoQueryError("it says that this is no question of the fleet")
    parameters = {name: _texts(name, value) for name, value in given.items()}
    parameters = {name: texts for name, texts in parameters.items() if texts}
    _check_numbers(parameters, question)
    try:
        query = query_from(parameters | ({"tz": [zone]} if zone else {}), directory, now)
    except (QueryError, UnknownSiteError) as error:
        raise NoQueryError(str(error)) from error
    _check_names(query, question, directory)
    return query


def _texts(name: str, value: Any) -> list[str]:
    """A member of the reply as values of a parameter."""
    if value is None or value is False:
        return []
    if value is True:
        return ["1"]
    values = value if isinstance(value, list) else [value]
    if len(values) > 20 or not all(isinstance(v, str) or type(v) is int for v in values):
        raise NoQueryError(f"{name} is of another form")
    return [str(v)[:200] for v in values]


def _check_numbers(parameters: dict[str, list[str]], question: str) -> None:
    """Every number must stand in the question."""
    said = {_NUMBER_WORDS.get(word, word).replace(",", ".") for word in tokens(question)}
    said |= {number.replace(",", ".") for number in _NUMBER.findall(question)}
    for name in ("where", "limit", "period", "against", "lasting", "times"):
        for text in parameters.get(name, ()):
            for number in _NUMBER.findall(text):
                if number.replace(",", ".") not in said:
                    raise NoQueryError(f"{number} in {name} is not in the question")


def _check_names(query: Query, question: str, directory: Directory) -> None:
    """Every site and every group must be named in the question, at least by a part of its name."""
    words = set(tokens(question))
    for site in query.sites:
        if not words & {*tokens(site), *tokens(directory.titles[site])}:
            raise NoQueryError(f"the question does not name {site}")
    for wanted in query.filters:
        named = {*tokens(wanted.value)}
        stems = {word.removesuffix("s") for word in words} | words
        if not any(part in stems or _begins(part, words) for part in named):
            raise NoQueryError(f"the question does not name {fold(wanted.value)}")


def _begins(part: str, words: set[str]) -> bool:
    """Whether a word begins as a name does: Spanish for Spain."""
    return len(part) >= 4 and any(word.startswith(part[:4]) for word in words)
