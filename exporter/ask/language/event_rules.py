"""Rules of questions on alerts, silences and what happened.

A part of the table in :mod:`exporter.ask.language.rules`.
"""

from __future__ import annotations

from exporter.ask.language.rule import Rule
from exporter.ask.query import What

R = Rule
EVENT_RULES: dict[str, tuple[Rule, ...]] = {
    "alerts": (
        R("cost", no="costs are of issues; ask which sites need attention and what it costs"),
        R(
            "compare|rank|outliers|history|why",
            no="alerts are listed; what is behind them: 'why is Alpha critical?'",
        ),
        R("repeats !period", no="how often in which period? Name one, such as today"),
        R(
            "repeats !site !one_site",
            no="how often alerts fired is counted by site: ask which sites",
        ),
        R("count|times", do="count"),
        R("finish|recovered", do="events=ended"),
        R("begin", do="events=begun"),
        R("unsilenced", do="events=unsilenced"),
        R("each_site period !order", do="order=highest"),
        R(
            "order:highest|order:worst period !times",
            do="order=highest",
            ask=What.ALERTS,
            takes="sites filters severity limit period order conditions",
        ),
        R("first period !order", do="order=earliest only_first"),
        R("order:earliest|order:latest", do="only_first"),
        R(
            "order:earliest|order:latest",
            ask=What.ALERTS,
            takes="sites filters severity limit period order conditions",
        ),
        R(
            "",
            ask=What.ALERTS,
            takes="sites filters severity limit period times beside lasting conditions",
            drops="order",
        ),
    ),
    "silences": (
        # What runs out is a silence here.
        R("cond:low_soc|forecast", do="events=ended -conditions -forecast"),
        R("cost", no="a silence has no cost"),
        R("count|times", do="-count -times"),
        R("finish", do="events=ended"),
        R("period !ahead", do="to_its_end"),
        R(
            "period !ahead",
            no="silences are known for now; maintenance of the past: 'what happened yesterday?'",
        ),
        R("alerts", do="-alerts"),
        # How long still: until when is shown.
        R("since", do="-since"),
        R("attention", do="-attention"),
        R("", ask=What.SILENCES, takes="sites filters limit", drops="order severity"),
    ),
    "timeline": (
        R("metrics !recovered !times !begin !finish", do="-order", go="value"),
        R("metrics recovered", do="-recovered +history order=best", go="history"),
        R("many_metrics|metrics", no="only issues begin and end; leave out {metric}"),
        R("times", do="count events=begun"),
        R("recovered|finish", do="events=ended"),
        R("begin|when|since !recovered !finish", do="events=begun"),
        R("first !order !limit", do="order=earliest only_first"),
        R("order:latest !limit", do="events=begun only_first"),
        R(
            "order:earliest|order:latest",
            ask=What.TIMELINE,
            takes="sites filters conditions severity limit period order",
        ),
        R(
            "",
            ask=What.TIMELINE,
            takes="sites filters conditions severity limit period",
            drops="order",
        ),
    ),
}
