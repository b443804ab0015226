"""Rules of what is refused, and of words that mean one thing or another.

A part of the table in :mod:`exporter.ask.language.rules`.
"""

from __future__ import annotations

from exporter.ask.language.rule import Rule

R = Rule
WORD_RULES: dict[str, tuple[Rule, ...]] = {
    # What is refused, whatever else the sentence holds.
    "refused": (
        R(
            "future !cost !lasts !part_future !foreseen !figure !plan !silences !planned "
            "!cond:maintenance",
            no="the future is not known; only the present and the past are",
        ),
        R(
            "ahead !foreseen !plan !silences !planned !cond:low_soc !cond:maintenance",
            no="that has not come yet; only PV and consumption are forecast, besides {forecasts}",
        ),
        R("refuse", no="{refused}"),
        R("if", no="what would be, if, is not known; only the present and the past are"),
        R(
            "full when|future|forecast",
            no="when a battery is full is not estimated; when it is empty is, by its own estimate",
        ),
        R(
            "when !silences !since !period !part_future !figure !forecast",
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
            "first !order !attention !number !op !contact !figure !forecast !cond !alerts !begin",
            no="the first by what? Say it as in 'worst site' or 'first 5 by score'",
        ),
        R("two_periods !against_period", no="one period at a time, please"),
    ),
    # Words that mean one thing or another by what stands with them.
    "words": (
        R("against_period ahead", no="of what is to come only one period at a time is known"),
        R("against_period", do="two_periods"),
        R("history fall", do="falling"),
        R("history rise order:highest", do="rising"),
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
        R("top|first !order !attention measured !cond|number !op", do="order=highest"),
        R("top|first !order !attention !alerts !begin !cond|number !op", do="order=best"),
        # How much is it producing: the power itself, not whether there is any.
        # Who imports the most: in the order of the power, or of the energy of a period.
        # What went into the battery of Alpha: the way, and the part behind it.
        R("into part:battery !state", do="states=charging"),
        R("into part:grid !state", do="states=exporting"),
        R("out_of part:battery !state", do="states=discharging"),
        R("out_of part:grid !state", do="states=importing"),
        R("into|out_of !state !past_only", no="into or out of what? The battery, or the grid"),
        R("state amount:power period !tests !metrics !energy", do="states_to_powers"),
        R("into|out_of state !tests period", do="states_to_energies"),
        R("state order:highest|order:lowest !tests !metrics period", do="states_to_energies"),
        R(
            "state order:lowest !tests !metrics",
            no="the least of what? Name a metric, such as grid power",
        ),
        R("state order:highest !tests !metrics", do="states_to_order"),
        R("state amount|mean|energy|what !tests period", do="states_to_energies"),
        R("state beside !tests !metrics", do="states_to_energies"),
        R("state amount and unit", no="one question at a time, please"),
        R("state amount|mean !tests", do="states_to_powers"),
        # Is it charging or discharging: the power, whose sign says which.
        R("opposite_states one_site or !tests !metrics !period", do="states_to_powers"),
        # What current is it drawing: the way is no test of the one site, and no current says it.
        R("state one_site metrics !comparisons !period !conditions", do="drop_states"),
        # Imports yesterday: how much, not who did.
        R("state noun period !tests !metrics", do="states_to_energies"),
        R("state noun one_site !period !tests !metrics", do="states_to_powers"),
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
        # Is the grid all right: who has a problem with it.
        R("fine !which plain !metrics", do="-fine part_to_condition", go="end"),
        R("status_condition", no="only a site has such a state, not its {part}"),
        R("part:battery tests|group|count", go="end"),
        # Which sites have EVE batteries: the filter says it.
        R("part:battery filters !metrics !intents !sites", go="end"),
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
        R("sites !tests !intents !metrics", do="part_to_metric", go="end"),
        R("outliers|cost", go="end"),
        R("", no="it is not clear what is asked about the {part}"),
    ),
}
