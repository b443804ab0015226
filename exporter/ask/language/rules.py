"""How the parts of a sentence become a query: one table of rules, read from top to bottom.

A section is tried row by row; the first row that asks, refuses or goes to another section ends it.
A row without any of these only changes the parts, and reading goes on. What a question may hold is
in ``takes``: anything else in the sentence refuses it, since no answer is better than one to
another question.

``when`` lists facts that must all hold: ``!`` negates one, ``|`` separates alternatives. Facts are
the words of the sentence (``future``, ``if``, ``did``), its intents (``why``, ``count``), the
fields that have something in them (``metrics``, ``order``, ``order:worst``), and the few that
:meth:`exporter.ask.language.parts.Parts.facts` works out. ``do`` lists changes: ``-x`` removes an
intent, a field, or one value of a field, ``+x`` adds an intent, ``field=value`` sets a field, and a
name calls a function of :mod:`exporter.ask.language.changes`.
"""

from __future__ import annotations

from exporter.ask.language.account_rules import ACCOUNT_RULES
from exporter.ask.language.event_rules import EVENT_RULES
from exporter.ask.language.rule import Rule
from exporter.ask.query import What

REASONS = {
    "age": "the age of a battery or a site is not known; ask for the lowest state of health or "
    "the most charge cycles",
    "money": "prices of energy are in the tariff file; ask what energy cost over a period, such as "
    "'energy cost last month'",
    "weather": "the weather is not known here",
    "people": "owners, customers and installers are not known here; contacts are: 'whom do I call "
    "about Alpha?'",
    "device": "makes, versions and serial numbers of devices are not known here",
    "contract": "contracts are not known here; whether guarantees were met is: 'guarantees last "
    "month'",
    "prices": "the price list is the file that FLEETSCOPE_PRICES names; ask what repairs will cost",
    "imbalance": "only the imbalance of battery cells is judged",
    "recency": "what came last is not sorted out; ask what happened today, or since when sites are "
    "offline",
    "limit": "each site has its limits: ask 'how is Alpha?' with --evidence, or see the fleet file",
}


FORECASTS = (
    "when a battery is empty, by its own estimate ('when is Alpha empty?'), when a cell reaches a "
    "limit ('when will a cell of Alpha reach its limit?'), and when its health or temperature does"
)
R = Rule
TESTS = "conditions comparisons"

RULES: dict[str, tuple[Rule, ...]] = {
    # What is refused, whatever else the sentence holds.
    "refused": (
        R(
            "future !cost !part_future !foreseen !figure",
            no="the future is not known; only the present and the past are",
        ),
        R(
            "ahead !foreseen",
            no="that has not come yet; only PV and consumption are forecast, besides {forecasts}",
        ),
        R("refuse", no="{refused}"),
        R("if", no="what would be, if, is not known; only the present and the past are"),
        R(
            "full when|future|forecast",
            no="when a battery is full is not estimated; when it is empty is, by its own estimate",
        ),
        R(
            "when !since !period !part_future !figure !forecast",
            no="when something was so is not kept, except as in 'since when is Alpha offline?'; "
            "else ask for the history of a metric; of what is to come only an empty battery and a "
            "cell at its limit are estimated",
        ),
        R(
            "begin|finish !since !period",
            no="what began or ended when? Name a period, such as today, or ask since when",
        ),
        R(
            "degree !history !figure",
            no="the fastest in what? Name a metric, such as scrape duration",
        ),
        R(
            "first !order !attention !number !contact !figure !forecast",
            no="the first by what? Say it as in 'worst site' or 'first 5 by score'",
        ),
        R("two_periods", no="one period at a time, please"),
    ),
    # Words that mean one thing or another by what stands with them.
    "words": (
        # What fell the most: how far, not which way.
        R("history order:worst|order:best", do="-order:highest -order:lowest"),
        R("order:worst order:lowest", do="-order:lowest"),
        R("order:best order:highest", do="-order:highest"),
        R("two_orders", no="{orders} at once cannot be listed"),
        R("by_metric !asks !order", do="+rank"),
        # What did it charge: the energy, not the level.
        R("verb:did verb:charge", do="level_to_energy"),
        # German asks for a figure as for a cause: what has Alpha lost.
        R("verb:has why figure", do="-why"),
        # Which plant comes first: the earliest.
        R("first figure:augmentation !order", do="order=lowest"),
        R("top|first !order !attention measured", do="order=highest"),
        R("top|first !order !attention", do="order=best"),
        # How much is it producing: the power itself, not whether there is any.
        # Who imports the most: in the order of the power, or of the energy of a period.
        # What went into the battery of Alpha: the way, and the part behind it.
        R("into part:battery !state", do="states=charging"),
        R("into part:grid !state", do="states=exporting"),
        R("out_of part:battery !state", do="states=discharging"),
        R("out_of part:grid !state", do="states=importing"),
        R("into|out_of !state !past_only", no="into or out of what? The battery, or the grid"),
        R("into|out_of state !tests period", do="states_to_energies"),
        R("state order:highest|order:lowest !tests !metrics period", do="states_to_energies"),
        R(
            "state order:lowest !tests !metrics",
            no="the least of what? Name a metric, such as grid power",
        ),
        R("state order:highest !tests !metrics", do="states_to_order"),
        R("state amount|mean|energy|what !tests period", do="states_to_energies"),
        R("state amount and unit", no="one question at a time, please"),
        R("state amount|mean !tests", do="states_to_powers"),
        R("state", do="states_to_tests"),
        R("adjective", do="adjectives_to_conditions"),
        R("lack", do="lacking_to_conditions"),
        R("two_groups", no="one grouping at a time, please"),
        # What the sites lost: a figure of money or energy; what their health lost: a history.
        R("figure:loss measured !cause !of_pv", do="-figure +history order=worst"),
        R("loose_attribute contact", do="-attribute"),
        R("loose_attribute attribute:protocol !asks", do="attribute_to_fact"),
        R("loose_attribute sites !asks !tests", do="attribute_to_fact"),
        R(
            "loose_number|loose_comparison",
            no="it is not clear what {number} belongs to; say it as in 'SOH below 80 %' or 'top 5'",
        ),
        R(
            "unit !comparisons !amount:power",
            no="a unit stands there without a number; values come in the units of the glossary, "
            "so leave it out",
        ),
        R(
            "loose_attribute",
            no="no known {attribute} is named; to compare all of them, ask 'by {attribute}'",
        ),
    ),
    # A word for a part of a site (battery, grid, …) as a metric or a condition; once for each.
    "part": (
        R("part_named", go="end"),
        R("forecast|future|when", go="end"),
        R("history part:cells one_part !period !tests !order", do="-history +cell", go="end"),
        R("why !conditions", go="end"),
        R("attention !conditions", do="part_to_condition -attention", go="end"),
        R("order|rank|compare|history|status|mean", do="part_to_metric -status", go="end"),
        R("status_condition", no="only a site has such a state, not its {part}"),
        R("part:battery tests|group|count", go="end"),
        R("part:cells one_site !tests !intents", go="end"),
        R(
            "energy|amount !metrics !figure",
            no="how much of what of the {part}? Name a metric, such as energy charged",
        ),
        # What is reported of a part is many readings, and its score is none of them.
        R(
            "readings sites !tests !intents",
            no="which reading of the {part}? Name one, such as {reading}; "
            "'fleetscope explain' and the page show all",
        ),
        R("sites !tests !intents", do="part_to_metric", go="end"),
        R("outliers|cost", go="end"),
        R("", no="it is not clear what is asked about the {part}"),
    ),
    "question": (
        R("figure", do="settle_figure", go="figure"),
        R("plan", go="plan"),
        R("facts", ask=What.FACTS, takes="sites filters group_by limit"),
        R("foreseen ahead|future|forecast", go="outlook"),
        R(
            "forecast|future|when cond:low_soc|lasts|comp:cells|limit_metric !period !since !past "
            "!cost",
            go="forecast",
        ),
        R("forecast", no="what is forecast? Known are {forecasts}"),
        R(
            "forecast cond:no_grid",
            no="how long a battery lasts without grid is not estimated; known are {forecasts}",
        ),
        R("lasts", no="how long what lasts? Known are {forecasts}"),
        # What is used now is a power.
        R("now metric:load_energy one_metric !period", do="metrics=load_power"),
        R("now metric:pv_energy one_metric !period", do="metrics=pv_power"),
        R(
            "now period_energy|past_only !period",
            no="energy and availability are of a period, not of a moment; name one, such as today, "
            "or ask for the power",
        ),
        R("fell metrics !comparisons !tests !times", do="+history"),
        R(
            "fell !comparisons !tests !metrics !one_part",
            no="what fell, or failed? Say it as in 'how many times was Beta offline today'",
        ),
        R("fire !alerts", no="alerts fire; ask which alerts fire, or which issues there are"),
        R("history part:cells one_part !metrics", do="metrics=cell_spread"),
        R(
            "past !period !why !since !cost",
            no="that is about the past; say over which period, such as this week or since Monday",
        ),
        R(
            "amount:power !power_anywhere",
            no="which power? PV power, battery power, grid power, or consumption",
        ),
        # A cost is given as a total.
        R("cost", do="-mean"),
        R("cost amount:power|energy|power_metric period", do="figure=energy_cost", go="bill"),
        R("cost amount:power|energy|power_metric", no=REASONS["money"]),
        R(
            "cost parts !tests plain !sites",
            no="what a part costs is in the price list; ask what repairs cost, such as 'what do "
            "hot batteries cost?'",
        ),
        R(
            "cost plain !tests !metrics period",
            no="costs are of what is wrong now; ask without a period",
        ),
        R("cost plain !tests !metrics", ask=What.COST, takes="sites filters severity"),
        R("cost group", no="costs are given by site, not by {group}"),
        R("cost", do="with_cost"),
        # "Is the temperature all right at Delta?" is about its temperature, not about what is fine.
        R("metrics fine plain !mean !sites_word", do="-fine", go="attention"),
        R("contact", go="contact"),
        R("silences", go="silences"),
        R("alerts", go="alerts"),
        R("one_site cell_compared !period", do="-limit", go="cells"),
        R("cell|cell_number", go="cells"),
        R("part:cells one_part one_site !intents !tests !metrics", go="cells"),
        # The voltage of cells is not that of their battery.
        R("part:cells one_part one_site metric:voltage !tests !period", do="-rank", go="cells"),
        R(
            "part:cells one_part metric:voltage",
            no="cells have the lowest, the highest, and the spread: name one",
        ),
        # Of one site: not how many sites, but how many times.
        R("count one_site conditions period", do="-count +times"),
        R("count one_site attention period !tests !metrics", do="-count -attention +times"),
        R("outliers part:cells one_site", go="cells"),
        R("happened against period", no="'what changed since yesterday?' lists what is new since"),
        R("times comparisons period", do="once_at_least", go="which"),
        R("times|happened|recovered|begin|finish|when period", go="timeline"),
        R("why event period", go="timeline"),
        R("duration order:highest conditions period", do="longest_first", go="which"),
        R("duration conditions period", do="-since", go="which"),
        R("since conditions period", go="timeline"),
        R("times", no="how many times in which period? Name one, such as today or this week"),
        R("recovered !metrics", do="last_day", go="timeline"),
        R("recovered", do="-recovered +history order=best"),
        R("history status period !metrics !tests !order", do="-history -status", go="timeline"),
        R(
            "happened against",
            no="what is different since when? Say 'what changed since yesterday?'",
        ),
        R("happened", do="-happened +attention"),
        R("help tests|sites|filters|metrics", no="it is not clear what help is wanted"),
        R("help", ask=What.HELP),
        R("why", go="why"),
        # More problems in Spain than in Germany: compare the two.
        R("than", do="-attention -count -order -since -outliers +compare"),
        R(
            "than tests|severity",
            no="only metrics and the need of attention can be compared",
        ),
        R("since", go="since"),
        R(
            "outliers",
            do="conditions_to_metrics",
            ask=What.OUTLIERS,
            takes="sites filters metrics limit period",
            drops="order severity",
        ),
        R("compare", go="compare"),
        R("history", go="history"),
        R("count", go="count"),
        R("rank !tests", go="rank"),
        R("attention", go="attention"),
        R("tests !mean|metrics", go="which"),
        R("severity", go="attention"),
        R("group period !average", do="sums_to_energy"),
        # Groups come worst first, as what is asked for by "which region is worst".
        R("group", ask=What.VALUE, takes="filters metrics group_by period", drops="order"),
        R("order", go="rank"),
        R("metrics", go="value"),
        R("status|all sites", go="site"),
        R("which excluding filters !period !status", ask=What.WHICH, takes="filters limit"),
        R("status|all", ask=What.STATUS, takes="filters period"),
        R("mean tests", no="the mean of what? Name a metric, such as state of health"),
        R(
            "mean",
            do="metrics=score",
            ask=What.VALUE,
            takes="filters metrics period sites",
        ),
        R("sites", go="site"),
        R("filters sites_word !period", ask=What.WHICH, takes="filters limit"),
        R("which filters excluding !period", ask=What.WHICH, takes="filters limit"),
        R("filters !period", ask=What.STATUS, takes="filters"),
        R("", no="that is no question that can be answered"),
    ),
    "contact": (
        R("period", no="whom to call is known for now only; ask it without a period"),
        R("attention !tests", do="needing_attention"),
        R("order:worst|order:best", do="-order"),
        R("many_metrics", no="the contact of sites in the order of one metric at a time"),
        R("metrics !order", no="contacts have no {metric}; ask for both by themselves"),
        R("first !tests !sites", do="needing_attention only_first"),
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
            takes=f"sites filters metrics limit {TESTS}",
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
        R("many_metrics", no="the history of one metric at a time, please"),
        R("!period", do="last_seven_days"),
        R(
            "",
            ask=What.HISTORY,
            takes="sites filters metrics order limit period",
            drops="severity",
        ),
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
        R("group", ask=What.VALUE, takes=f"filters {TESTS} group_by"),
        R("past_compared !period", do="today_or_seven_days"),
        R("repeats !period", no="how often in which period? Name one, such as today"),
        R("", ask=What.WHICH, takes=f"sites filters {TESTS} limit period lasting times"),
    ),
    "value": (
        R("many_metrics", do="-metric:score"),
        R("energy", do="metrics_to_energy"),
        # "Total PV power this week" is an energy, its average is not.
        R("period !average", do="sums_to_energy"),
        R("past_only !period", do="today_or_seven_days"),
        R("period", ask=What.HISTORY, takes="sites filters metrics period"),
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
    "end": (),
    **EVENT_RULES,
    **ACCOUNT_RULES,
}
