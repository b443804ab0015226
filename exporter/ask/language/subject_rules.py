"""Rules of what is asked of sites: contacts, cells, forecasts, reasons, orders, histories, values.

A part of the table in :mod:`exporter.ask.language.rules`.
"""

from __future__ import annotations

from exporter.ask.language.rule import Rule
from exporter.ask.query import What

R = Rule
TESTS = "conditions comparisons"
SUBJECT_RULES: dict[str, tuple[Rule, ...]] = {
    "contact": (
        R("period", no="whom to call is known for now only; ask it without a period"),
        R("attention !tests", do="needing_attention"),
        R("order:worst|order:best", do="-order"),
        R("one_site cond:no_grid|cond:offline", do="-conditions"),
        R("many_metrics order", no="the contact of sites in the order of one metric at a time"),
        R("first !tests !sites", do="needing_attention only_first"),
        R("first !sites !limit", do="only_first"),
        R(
            "",
            ask=What.CONTACT,
            takes=f"sites filters severity limit metrics order {TESTS}",
        ),
    ),
    "cells": (
        R("!one_site cell_number|order", no="single cells of one site at a time; name the site"),
        R("period", no="single cells are known as last read; their history: 'fleetscope cells'"),
        R("cell_number", do="-limit -metrics -order"),
        R("order:worst", do="-order:worst"),
        R("order", do="-conditions"),
        R("order:best", no="cells are listed by how far they are off; ask for the weakest"),
        R("metrics !metric:temperature|!order", do="-metrics"),
        R(
            "",
            ask=What.CELLS,
            takes="sites limit filters metrics order comparisons",
            drops="conditions severity",
        ),
    ),
    # What is known of the future: an empty battery, and a cell at a limit.
    "forecast": (
        R("many_metrics", no="one forecast at a time, please"),
        R("cond:low_soc|lasts !comp:cells", do="empty_to_forecast"),
        R("cell_number", do="-limit"),
        R("comp:cells !metrics", do="metrics=cell_spread -conditions"),
        R(
            "metrics !metric:soc|!lasts !metric:cell_spread !metric:soc !metric:soh "
            "!metric:temperature",
            no="of {metric} there is no forecast; known are {forecasts}",
        ),
        R(
            "",
            ask=What.FORECAST,
            takes=f"sites filters metrics limit period {TESTS}",
            drops="order severity",
        ),
    ),
    "why": (
        R("!sites order:worst !period", do="-why +attention", go="attention"),
        R(
            "!one_site",
            no="one site at a time can be explained; name one, such as 'why is Alpha critical?'",
        ),
        # What was wrong then: the issues of that time, and what was known before.
        R("period", go="timeline"),
        R(
            "",
            ask=What.EXPLAIN,
            takes="sites conditions",
            drops="comparisons metrics order severity any_of filters",
        ),
    ),
    "since": (
        R(
            "!sites !conditions !filters",
            no="name a site or a condition, such as 'since when is Alpha offline?'",
        ),
        R("period", no="since when is answered for now only; ask it without a period"),
        R("negated", no="since when something is not so is not kept; ask since when it is"),
        R(
            "metrics !conditions",
            no="since when a metric has a value is not kept; ask for its history",
        ),
        R(
            "",
            ask=What.SINCE,
            takes="sites filters conditions limit order",
            drops="severity metrics",
        ),
    ),
    "compare": (
        R("", do="-order -severity"),
        # How much more PV did Alpha make yesterday: energy.
        R("period !average", do="sums_to_energy"),
        R("group", ask=What.COMPARE, takes="filters metrics group_by period"),
        R("many_sites", ask=What.COMPARE, takes="sites metrics period"),
        R(
            "groups !sites",
            do="group_of_filters",
            ask=What.COMPARE,
            takes="filters metrics group_by period",
        ),
        R(
            "sites|!metrics",
            no="a comparison needs two sites or two groups, such as Alpha and Beta",
        ),
        R("", go="rank"),
    ),
    "history": (
        R("!metrics conditions", do="conditions_to_metrics"),
        R("!metrics", do="metrics=score"),
        R("many_metrics", do="-metric:score"),
        R("!period", do="last_seven_days"),
        R(
            "",
            ask=What.HISTORY,
            takes="sites filters metrics order limit period beside",
            drops="severity",
        ),
    ),
    # Each day or hour of a period.
    "by_day": (
        R("!period", do="last_seven_days"),
        R("many_metrics", no="one metric at a time by the day, please"),
        R("tests|attention|alerts|figure", no="by the day only metrics are given; name one"),
        R("!average", do="sums_to_energy"),
        R("!metrics", no="what by the day? Name a metric, such as PV energy"),
        R("average energy|period_energy", no="the mean of days is not given; each day is"),
        R(
            "",
            ask=What.HISTORY,
            takes="sites filters metrics order limit period group_by",
        ),
    ),
    # Since when a metric is beyond a limit, out of the last seven days.
    "since_limit": (
        R("tests conditions", no="since when one limit or one condition, please"),
        R("!period", do="last_seven_days"),
        R(
            "",
            ask=What.SINCE,
            takes="sites filters comparisons period",
            drops="severity metrics",
        ),
    ),
    # Maintenance and silences to come.
    "planned": (
        R("period", do="coming_weekday to_its_end"),
        R("!period", do="next_30_days"),
        R("finish", do="events=ended"),
        R("count", do="-count"),
        R(
            "",
            ask=What.SILENCES,
            takes="sites filters period limit",
            drops="conditions order severity",
        ),
    ),
    # When it was highest: the hour or, of an energy, the day.
    "extreme": (
        R("many_metrics", no="one metric at a time, please"),
        R("day", do="sums_to_energy"),
        R("", ask=What.HISTORY, takes="sites filters metrics order period"),
    ),
    "count": (
        R("metrics !tests counted|energy", go="value"),
        R(
            "metrics !tests",
            no="how many sites have what? Add a condition, such as SOH below 80 %",
        ),
        R("group !tests !attention", ask=What.VALUE, takes="filters group_by"),
        R("", do="count"),
        R("tests", go="which"),
        R("attention", go="attention"),
        R(
            "!sites_word !filters",
            no="how many of what? Such as 'how many sites are offline?'",
        ),
        R("period", no="how many sites had what in that time? Add a condition"),
        R("", ask=What.WHICH, takes="filters"),
    ),
    "rank": (
        R("order:highest|order:lowest comparisons !metrics", do="compared_to_metrics"),
        R("many_metrics", do="-metric:score"),
        R("energy|period_energy", do="metrics_to_energy"),
        R("many_metrics", no="one metric at a time puts sites in order; name one"),
        # Groups come worst first.
        R("group", ask=What.VALUE, takes="filters metrics group_by", drops="order severity"),
        R("one_site", go="place"),
        R(
            "order:highest|order:lowest !metrics !rank !site",
            no="the {orders} of what? Name a metric, such as state of charge",
        ),
        R(
            "",
            ask=What.RANK,
            takes=f"sites filters metrics order limit period {TESTS}",
            drops="severity",
        ),
    ),
    # One site in an order: its extremes, or its place among all.
    "place": (
        R(
            "rank measured",
            no="the place of one site is known by score only; list all by {metric} instead",
        ),
        R("rank|!metrics", ask=What.SITE, takes="sites order period", drops="metrics filters"),
        R("period", ask=What.HISTORY, takes="sites filters metrics period", drops="order"),
        R("", ask=What.VALUE, takes="sites filters metrics period", drops="order"),
    ),
    "attention": (
        R("no_problem_metric", no="problems with {metric} are not known"),
        R("metrics", do="metrics_to_problems"),
        # Of those that are not offline, the ones that need attention.
        R("tests negated|cond:maintenance !fine", do="needing_attention", go="which"),
        R("comparisons !period", do="needing_attention", go="which"),
        R("tests", go="which"),
        R("many_sites !period", ask=What.ATTENTION, takes="sites filters severity", drops="order"),
        R("order:worst|order:highest", do="-order"),
        R("group", ask=What.ATTENTION, takes="filters group_by severity"),
        R("", ask=What.ATTENTION, takes="sites filters limit severity period"),
    ),
    "which": (
        # "The score went down" is about the score, "the site went down" about the site.
        R("metrics went_offline", no="ask for the history of a metric, or which sites are offline"),
        R("!mean !fine only_levels !order:lowest !order:highest", do="-metrics"),
        R("severity", no="a severity does not go with a condition in one question"),
        R("count one_metric !order", no="how many sites, or how much of {metric}? One at a time"),
        R("one_metric !order", ask=What.VALUE, takes=f"sites filters {TESTS} metrics"),
        R("order !period", go="rank"),
        R(
            "lasting order:highest period",
            ask=What.WHICH,
            takes="sites filters conditions limit period lasting order",
        ),
        R("group", ask=What.VALUE, takes=f"filters {TESTS} group_by"),
        R("past_compared !period", do="today_or_seven_days"),
        R("repeats !period", no="how often in which period? Name one, such as today"),
        R("", ask=What.WHICH, takes=f"sites filters {TESTS} limit period lasting times"),
    ),
    "value": (
        R("many_metrics", do="-metric:score"),
        # The highest cell voltage of many sites is the highest of all, no mean.
        R("metric:cell_max one_metric !sites !period !mean", do="order=highest", go="rank"),
        R("metric:cell_min one_metric !sites !period !mean", do="order=lowest", go="rank"),
        R("energy", do="metrics_to_energy"),
        # "Total PV power this week" is an energy, its average is not.
        R("period !average", do="sums_to_energy"),
        R("past_only !period", do="today_or_seven_days"),
        R("period", ask=What.HISTORY, takes="sites filters metrics period beside"),
        R("many_sites plain !mean", ask=What.COMPARE, takes="sites filters metrics"),
        R("", ask=What.VALUE, takes="sites filters metrics"),
    ),
    "site": (
        R("where one_site !period", go="contact"),
        R(
            "many_sites !and !or",
            no="it is not clear what is asked about these sites together",
        ),
        R("many_sites", ask=What.COMPARE, takes="sites metrics period"),
        R("", ask=What.SITE, takes="sites period limit", drops="filters"),
    ),
}
