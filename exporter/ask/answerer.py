"""The one place that answers: a Query in, an Answer out, whoever asks."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from exporter.ask.alert_answers import alerts_answer
from exporter.ask.answer import Answer, CannotAnswerError, Column, Evidence, Table
from exporter.ask.builder import USUAL_ROWS, Builder
from exporter.ask.catalogue import METRICS
from exporter.ask.current_answers import answer_now
from exporter.ask.display_units import DISPLAY_UNITS, converted, shown_in
from exporter.ask.energy_answers import plan_answer
from exporter.ask.issue_costs import costs
from exporter.ask.lookup import Directory
from exporter.ask.outlook_answers import is_outlook, outlook_answer
from exporter.ask.period_answers import answer_past
from exporter.ask.portfolio_answers import portfolio_answer
from exporter.ask.query import LARGEST_LIMIT, WHAT_MEANINGS, Query, What
from exporter.ask.query_words import in_words
from exporter.ask.side_by_side import joined
from exporter.ask.silence_answers import silences_answer
from exporter.ask.view import View
from exporter.assess.assessment import FleetAssessment
from exporter.assess.costs import PriceList
from exporter.energy.tariff_file import TariffFile
from exporter.history.alert_history import AlertHistory
from exporter.history.influxql import InfluxQL
from exporter.model.silences import Silences

# Askers with different rights see different fleets.
MOST_DIRECTORIES = 8
_STORED_ONLY = (What.PORTFOLIO, What.PLAN)
_ASKED_AS = {What.ENERGY: "figure of energy"}


class Answerer:
    """Answers queries about the fleet.

    Parameters
    ----------
    latest : callable
        The latest Assessment.
    stored : InfluxQL, optional
        Where the past is; None where nothing is stored.
    prices : PriceList, optional
        Prices of repairs; None for no figures.
    alerts : AlertHistory, optional
        Where alerts are; None where no Prometheus is named.
    silences : Silences, optional
        Who knows what is silenced; None where no Alertmanager is named.
    tariffs : TariffFile, optional
        What energy costs; None for no figures.
    """

    def __init__(
        self,
        latest: Callable[[], FleetAssessment],
        stored: InfluxQL | None = None,
        prices: PriceList | None = None,
        alerts: AlertHistory | None = None,
        silences: Silences | None = None,
        tariffs: TariffFile | None = None,
    ) -> None:
        self._latest = latest
        self._stored = stored
        self._prices = prices
        self._directories: OrderedDict[int, Directory] = OrderedDict()
        self._alerts = alerts
        self._silences = silences
        self._tariffs = tariffs

    def view(self, *, contacts: bool = False) -> View:
        """The latest Assessment, with the names of its sites."""
        assessment = self._latest()
        fleet = assessment.fleet
        directory = self._directories.get(id(fleet))
        if directory is None or directory.fleet is not fleet:
            directory = self._directories[id(fleet)] = Directory(fleet)
        self._directories.move_to_end(id(fleet))
        if len(self._directories) > MOST_DIRECTORIES:
            self._directories.popitem(last=False)
        return View(assessment, directory, contacts=contacts)

    async def answer(self, query: Query, *, contacts: bool = False) -> Answer:
        """Answer a query whose sites and filters are spelled as in the fleet file.

        ``contacts`` is whether the asker may see them.

        Raises
        ------
        CannotAnswerError
            If there is no answer; it says why.
        """
        if query.what is What.HELP:
            return _help(query, self.view())
        if query.what is What.COST:
            return self._cost(query)
        view = self.view(contacts=contacts)
        if query.what in (What.ALERTS, What.SILENCES):
            return await self._alerts_of(view, query)
        if query.what in _STORED_ONLY or is_outlook(query):
            return await self._of_what_is_stored(view, query)
        if query.times is not None and query.period is None:
            raise CannotAnswerError("how often needs a period, such as today or since Monday")
        if query.unit is not None and all(
            METRICS[name].unit != DISPLAY_UNITS[query.unit].of for name in query.metrics
        ):
            raise CannotAnswerError(f"nothing that is asked for is measured in {query.unit}")
        with shown_in(query.unit):
            answer = await self._answered(view, query)
        if query.unit is not None:
            answer = converted(answer, query.unit)
        return self._priced(view, query, answer) if query.with_cost else answer

    async def _answered(self, view: View, query: Query) -> Answer:
        # When a battery is empty is known by its own estimate, of a period to come, too.
        if query.period is None or query.what is What.FORECAST:
            if query.what in (What.HISTORY, What.TIMELINE, What.ENERGY):
                raise CannotAnswerError(
                    f"a {_ASKED_AS.get(query.what, query.what.value)} needs a period, such as "
                    "since Monday or 7d"
                )
            # In a thread, since a large fleet takes some milliseconds of the poll loop.
            return await asyncio.to_thread(answer_now, view, query)
        return await answer_past(view, query, self._stored, self._alerts, self._tariffs)

    async def _of_what_is_stored(self, view: View, query: Query) -> Answer:
        """Of what jobs and publications have stored: forecasts, plans, the portfolio."""
        builder = Builder(view, query)
        if not builder.chosen:
            raise builder.nothing_to_ask()
        if query.what is What.PORTFOLIO:
            return await portfolio_answer(builder, self._stored)
        if query.what is What.PLAN:
            return await plan_answer(builder, self._stored)
        return await outlook_answer(builder, self._stored)

    async def _alerts_of(self, view: View, query: Query) -> Answer:
        builder = Builder(view, query)
        if not builder.chosen:
            raise builder.nothing_to_ask()
        if query.what is What.ALERTS and query.beside is not None:
            return await joined(
                builder, lambda one: alerts_answer(one, self._alerts, self._silences)
            )
        if query.what is What.ALERTS:
            return await alerts_answer(builder, self._alerts, self._silences)
        return await silences_answer(builder, self._silences)

    def _priced(self, view: View, query: Query, answer: Answer) -> Answer:
        """The answer, with what the issues of its sites may cost now."""
        if query.group_by:
            raise CannotAnswerError("costs are given by site, not by group; ask them without one")
        sites = answer.sites
        if query.period is None:
            # All of them, also those that the limit left out of the table.
            sites = answer_now(view, query.but(limit=LARGEST_LIMIT)).sites
        else:
            answer.evidence.notes.append("Costs are of the issues that the listed sites have now")
        found = costs(view, sites, self._prices, query.limit or USUAL_ROWS)
        answer.evidence.missing.extend(found.missing)
        tables = [*answer.tables, *([found.table] if found.table else [])]
        return replace(answer, cost=found.sentence, tables=tables)

    def _cost(self, query: Query) -> Answer:
        if query.period is not None:
            raise CannotAnswerError("costs are of what is wrong now; ask them without a period")
        view = self.view()
        mask = view.mask(query) & view.at_least(query.severity or "warning")
        sites = [view.sites[row].id for row in view.ranked(mask)]
        limit = query.limit or USUAL_ROWS
        found = costs(view, sites, self._prices, limit, query.order, query.group_by)
        return Answer(
            query=query,
            understood=in_words(query, view.directory.titles),
            headline=found.sentence,
            tables=[found.table] if found.table else [],
            evidence=Evidence(
                time=view.assessment.time,
                missing=found.missing,
                notes=["Costs are of the issues that are active now"],
            ),
            sites=tuple(sites[: query.limit or USUAL_ROWS]),
            attention=bool(np.any(mask)),
            cost=found.sentence,
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
    What.CONTACT: "whom do I call about Alpha?",
    What.CELLS: "which cell of Gamma is the weakest?",
    What.TIMELINE: "what happened in the last hour?",
    What.ALERTS: "which alerts are firing?",
    What.SILENCES: "is anything silenced?",
    What.FORECAST: "when is Alpha empty?",
    What.FACTS: "over which protocol is Alpha read?",
    What.ENERGY: "how much PV energy was lost last week?",
    What.PORTFOLIO: "what did plants lose to communications last month?",
    What.PLAN: "what is the plan of Alpha?",
}
