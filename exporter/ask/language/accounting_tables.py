"""Which queries account for which words of a question. Data only; see :mod:`.accounting`."""

from __future__ import annotations

from exporter.ask.query import What

ORIGINS = {
    "grid": {"grid_power", "imported_energy"},
    "solar": {"pv_power", "pv_energy", "pv_performance", "low_pv"},
    "battery": {"battery_power", "discharged_energy"},
}
YES_OR_NO = {"is", "are", "was", "were", "do", "does", "did", "has", "have", "ist", "sind", "war"}
ONE = {"site", "battery", "plant", "box", "pack", "system", "anlage", "batterie", "standort"}
STATUSES = {"offline", "critical", "warning", "good", "healthy", "unknown"}
FIGURES = {What.ENERGY, What.PORTFOLIO}
ISSUES = {What.ATTENTION, What.WHICH, What.TIMELINE, What.EXPLAIN, What.SINCE}
NAMES = {"named", "value", "filt"}
TESTS = {"cond", "state", "op", "number", "unit", "lasting", "between", "adj"}
JOINED = (NAMES, {"metric", *TESTS}, {"figure", "cause"}, {"intent", *TESTS})

# The queries that account for what is asked.
INTENTS: dict[str, set[What]] = {
    "attention": {
        *ISSUES,
        *(What.COST, What.CONTACT, What.COMPARE, What.SILENCES, What.OUTLIERS, What.STATUS),
    },
    "alerts": {What.ALERTS, What.SILENCES},
    "silences": {What.SILENCES},
    "happened": {What.TIMELINE, What.ATTENTION},
    "contact": {What.CONTACT},
    "forecast": {What.FORECAST},
    "cell": {What.CELLS, What.FORECAST},
    "recovered": {What.TIMELINE, What.HISTORY, What.ALERTS},
    "status": {
        *(What.STATUS, What.SITE, What.TIMELINE, What.COMPARE, What.VALUE, What.HISTORY),
        *FIGURES,
    },
    "rank": {What.RANK, What.VALUE, What.SITE, What.CELLS, What.CONTACT, What.WHICH},
    "compare": {What.COMPARE, What.RANK, What.VALUE, What.WHICH},
    "outliers": {What.OUTLIERS, What.CELLS},
    "why": {What.EXPLAIN, What.TIMELINE, What.ATTENTION},
    "since": {What.SINCE, What.WHICH, What.TIMELINE},
    "history": {What.HISTORY, What.TIMELINE, What.CELLS},
    "help": {What.HELP},
    "plan": {What.PLAN},
    "mean": {What.VALUE, What.HISTORY, What.COST, What.WHICH, What.FORECAST, *FIGURES},
}
# What sets one period against another.
BESIDE = {"than", "comparative", "compared", "against", "margin", "op"}
# Words that only some queries account for.
WORDS: dict[str, set[What]] = {
    "fire": {What.ALERTS},
    "where": {
        *(What.CONTACT, What.WHICH, What.RANK, What.ATTENTION, What.HISTORY, *FIGURES),
    },
    # A silence is shown with its end.
    "till": {What.SILENCES},
    "than": {What.COMPARE, *FIGURES},
    "degree": {What.HISTORY, What.PORTFOLIO},
    "margin": {What.COMPARE, *FIGURES},
    "furthest": {What.OUTLIERS, *FIGURES},
    "fell": {What.HISTORY, What.WHICH, What.TIMELINE},
    "sole": set(),
    "because": {What.EXPLAIN, *FIGURES},
    # What should be is no reading; what should be done is.
    "planned": {What.SILENCES, What.PLAN},
    "by_cause": {*FIGURES},
    "each_site": {
        *(What.ALERTS, What.VALUE, What.HISTORY, What.RANK, What.COST, What.WHICH, What.STATUS),
        *(What.ATTENTION, What.FORECAST, *FIGURES),
    },
    "modal": {
        *(What.CONTACT, What.ATTENTION, What.EXPLAIN, What.SITE, What.STATUS, What.COST),
        *(What.HELP, What.PLAN, What.RANK, What.FORECAST, *FIGURES),
    },
    "compared": {What.COMPARE, What.OUTLIERS, *FIGURES},
    "future": {
        *(What.FORECAST, What.COST, What.PLAN, What.SILENCES, What.HELP, *FIGURES),
    },
    "latest": {What.VALUE, What.SITE, What.CELLS, What.COMPARE, What.STATUS},
    "amount": {
        *(What.VALUE, What.HISTORY, What.COMPARE, What.FORECAST, What.COST, What.RANK),
        *(What.WHICH, *FIGURES),
    },
}
