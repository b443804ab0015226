"""The one place that answers: a Query in, an Answer out, whoever asks."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace

from exporter.answers.answer import Answer, CannotAnswerError, Column, Evidence, Table
from exporter.answers.lookup import Directory
from exporter.answers.now import answer_now
from exporter.answers.past import answer_past
from exporter.answers.query import WHAT_MEANINGS, Query, What, in_words
from exporter.answers.view import View
from exporter.assessment import FleetAssessment
from exporter.influxql import InfluxQL

NO_PRICES = "No price list is configured, so there is no figure."


class Desk:
    """Answers queries about the fleet.

    Parameters
    ----------
    latest : callable
        The latest Assessment.
    stored : InfluxQL, optional
        Where the past is; None where nothing is stored.
    """

    def __init__(
        self, latest: Callable[[], FleetAssessment], stored: InfluxQL | None = None
    ) -> None:
        self._latest = latest
        self._stored = stored
        self._directory: Directory | None = None

    def view(self) -> View:
        """The latest Assessment, with the names of its sites."""
        assessment = self._latest()
        directory = self._directory
        if directory is None or directory.fleet is not assessment.fleet:
            directory = self._directory = Directory(assessment.fleet)
        return View(assessment, directory)

    async def answer(self, query: Query) -> Answer:
        """Answer a query whose sites and filters are spelled as in the fleet file.

        Raises
        ------
        CannotAnswerError
            If there is no answer; it says why.
        """
        if query.what is What.HELP:
            return _help(query, self.view())
        if query.what is What.COST:
            return self._cost(query)
        view = self.view()
        if query.period is None:
            if query.what is What.HISTORY:
                raise CannotAnswerError("a history needs a period, such as since Monday or 7d")
            # Beside the poll loop: a large fleet takes some milliseconds.
            answer = await asyncio.to_thread(answer_now, view, query)
        else:
            answer = await answer_past(view, query, self._stored)
        return replace(answer, cost=NO_PRICES) if query.with_cost else answer

    def _cost(self, query: Query) -> Answer:
        view = self.view()
        return Answer(
            query=query,
            understood=in_words(query, view.directory.titles),
            headline=NO_PRICES,
            tables=[],
            evidence=Evidence(time=view.assessment.time, missing=["price list"]),
            cost=NO_PRICES,
        )


def _help(query: Query, view: View) -> Answer:
    rows = [
        {"question": example, "answer": WHAT_MEANINGS[what]} for what, example in EXAMPLES.items()
    ]
    columns = (Column("question", "Ask"), Column("answer", "Answered with"))
    return Answer(
        query=query,
        understood=in_words(query),
        headline="Ask about the sites of this fleet, such as:",
        tables=[Table("What can be asked", columns, rows, len(rows))],
        evidence=Evidence(time=view.assessment.time),
    )


EXAMPLES = {
    What.ATTENTION: "which sites need attention this week?",
    What.STATUS: "give me a summary of the fleet",
    What.RANK: "top 5 sites by state of health",
    What.SITE: "how is Alpha?",
    What.EXPLAIN: "why is Alpha critical?",
    What.WHICH: "which high priority sites have cell imbalance?",
    What.COMPARE: "compare Alpha and Beta on temperature",
    What.OUTLIERS: "any outliers in cell spread?",
    What.SINCE: "since when is Epsilon offline?",
    What.HISTORY: "how did the score develop since Monday?",
    What.VALUE: "what is the state of charge of Alpha?",
    What.COST: "what will it cost?",
}
