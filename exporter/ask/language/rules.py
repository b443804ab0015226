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
from exporter.ask.language.subject_rules import SUBJECT_RULES
from exporter.ask.language.word_rules import WORD_RULES
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

RULES: dict[str, tuple[Rule, ...]] = {
    **WORD_RULES,
    "question": (
        # Why Harbour made so little: what took it.
        R(
            "why of_pv|cond:low_pv one_site period !figure !comparisons",
            do="figure=pv_lost -metrics -conditions",
        ),
        R(
            "cost and figure:revenue|figure:feed_in_income|figure:saving|figure:lost",
            no="one figure at a time, please",
        ),
        R("figure", do="settle_figure", go="figure"),
        R("planned one_site !cond:maintenance !silences !tests !intents", do="+plan"),
        R("plan", go="plan"),
        R("daily !group", do="group_by=day"),
        R(
            "when hour order:best|order:worst|order:highest|order:lowest metrics period "
            "!one_site !group",
            do="group_by=hour",
        ),
        R(
            "when day order:best|order:worst|order:highest|order:lowest metrics period "
            "!one_site !group",
            do="group_by=day",
        ),
        R("group:day|group:hour", go="by_day"),
        R("ahead cond:low_soc !silences", go="forecast"),
        # Of this week or today, also what is still to come of it.
        R("cond:maintenance period !ahead", do="to_its_end"),
        # "Is there maintenance on Friday" is about the next one, "was there" about the last.
        R("cond:maintenance period !ahead !past !verb:did", do="coming_weekday"),
        R("planned|ahead cond:maintenance|silences", go="planned"),
        R("cond:maintenance period !alerts !one_metric !comparisons !lasting", go="timeline"),
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
            "past !period !why !since !cost !order:latest !order:earliest",
            no="that is about the past; say over which period, such as this week or since Monday",
        ),
        R(
            "amount:power !power_anywhere",
            no="which power? PV power, battery power, grid power, or consumption",
        ),
        # A cost is given as a total.
        R("cost", do="-mean"),
        R("cost beside", do="figure=energy_cost", go="bill"),
        R("cost amount:power|energy|power_metric period", do="figure=energy_cost", go="bill"),
        R("cost amount:power|energy|power_metric", no=REASONS["money"]),
        R(
            "cost parts !tests plain !sites",
            no="what a part costs is in the price list; ask what repairs cost, such as 'what do "
            "hot batteries cost?'",
        ),
        R(
            "cost !tests !metrics !period order:highest|order:lowest|group",
            ask=What.COST,
            takes="sites filters severity order limit group_by",
        ),
        # What a site cost in some time is its energy; repairs have a cost ahead alone.
        R(
            "cost !tests !metrics !attention !asks_more period",
            do="figure=energy_cost -rank",
            go="bill",
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
        R("since comparisons !period !forecast", go="since_limit"),
        R("since comparisons period one_site !duration", do="once_at_least -since", go="which"),
        R(
            "conditions period order:highest !metrics !comparisons !duration !sites !severity "
            "!intents",
            ask=What.WHICH,
            takes="filters conditions limit period order",
        ),
        R("still period attention|conditions !since !times !count !recovered", do="events=ongoing"),
        R("since|times duration comparisons period", do="once_at_least -since", go="which"),
        R("days conditions period", do="any_length", go="which"),
        R("days comparisons period", do="once_at_least -since -count", go="which"),
        R("attention order:earliest !period", do="oldest_issues", go="since"),
        R("attention|conditions order:latest !period", do="last_31_days", go="timeline"),
        R("order:earliest|order:latest period", go="timeline"),
        R("first conditions period !order !limit", go="timeline"),
        R(
            "order:earliest|order:latest",
            no="the age of a battery or a site is not known; ask for the lowest state of health, "
            "the most charge cycles, or which issues last the longest",
        ),
        R("happened against period", no="'what changed since yesterday?' lists what is new since"),
        R("times comparisons period", do="once_at_least", go="which"),
        R(
            "when|since !duration !which !day period order:highest one_metric adds_up "
            "site|filters !sites !tests",
            go="extreme",
        ),
        R(
            "when|day|since !duration period order:highest|order:lowest metrics one_site !tests",
            go="extreme",
        ),
        R("times|happened|recovered|begin|finish|when period", go="timeline"),
        R("event period", go="timeline"),
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
        R("why !one_site many_sites|tests|filters !period", do="-why +attention", go="attention"),
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
        # In which region one site is: what the fleet file says.
        R("group one_site plain !metrics !intents !period", ask=What.FACTS, takes="sites group_by"),
        R("group period !average", do="sums_to_energy"),
        # Groups come worst first, as what is asked for by "which region is worst".
        R("group", ask=What.VALUE, takes="filters metrics group_by period", drops="order"),
        R("order", go="rank"),
        R("metrics", go="value"),
        # All EVE sites: which they are, not how they do.
        R(
            "all filters site !excluding !sites !period !intents",
            ask=What.WHICH,
            takes="filters limit",
        ),
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
    **SUBJECT_RULES,
    "end": (),
    **EVENT_RULES,
    **ACCOUNT_RULES,
}
