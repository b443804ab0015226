"""Commands that ask one question each: rank, attention, compare, outliers, site, history, …"""

from __future__ import annotations

import contextlib
from typing import Annotated, Any

import typer

from exporter.ask.catalogue import CONDITIONS, METRICS
from exporter.cli import client, query_request


def complete_site(incomplete: str) -> list[tuple[str, str]]:
    """Site ids that begin with, or whose name holds, what is typed; none if nobody answers."""
    import os

    url = os.environ.get("FLEETSCOPE_URL", client.USUAL_URL)
    with contextlib.suppress(client.CannotAskError, KeyError, TypeError):
        sites = client.get(url, "names", seconds=1.0)["sites"]
        typed = incomplete.casefold()
        return [
            (site["id"], site["name"])
            for site in sites
            if site["id"].casefold().startswith(typed) or typed in site["name"].casefold()
        ]
    return []


def complete_metric(incomplete: str) -> list[tuple[str, str]]:
    """Metrics that begin with what is typed."""
    return [(name, m.label) for name, m in METRICS.items() if name.startswith(incomplete)]


def complete_condition(incomplete: str) -> list[tuple[str, str]]:
    """Conditions that begin with what is typed."""
    return [(name, c.label) for name, c in CONDITIONS.items() if name.startswith(incomplete)]


Url = Annotated[
    str, typer.Option("--url", help="Where the exporter listens.", envvar="FLEETSCOPE_URL")
]
Json = Annotated[bool, typer.Option("--json", help="Plain JSON, with all evidence.")]
Csv = Annotated[bool, typer.Option("--csv", help="The table as CSV.")]
Evidence = Annotated[
    bool,
    typer.Option("--evidence", "-e", help="Also how it was worked out, in PromQL too."),
]
Limit = Annotated[int | None, typer.Option("--limit", "-n", min=1, help="Most rows.")]
Region = Annotated[list[str] | None, typer.Option("--region", help="Only this region.")]
Priority = Annotated[list[str] | None, typer.Option("--priority", help="Only this priority.")]
Filters = Annotated[
    list[str] | None,
    typer.Option("--filter", help="Such as vendor:BYD, tag:clinic or !region:iberia."),
]
Conditions = Annotated[
    list[str] | None,
    typer.Option("--condition", help="Such as hot or !offline.", autocompletion=complete_condition),
]
Where = Annotated[list[str] | None, typer.Option("--where", help="Such as 'soh<85'.")]
MetricOption = Annotated[
    str | None,
    typer.Option("--metric", "--by", help="What to go by.", autocompletion=complete_metric),
]
Since = Annotated[
    str | None,
    typer.Option("--since", help="Such as 7d, monday, 'this week' or 2026-03-01."),
]
Until = Annotated[str | None, typer.Option("--until", help="Where the period ends; now.")]
SiteArgument = Annotated[
    str,
    typer.Argument(help="Id, name or part of either.", autocompletion=complete_site),
]


def _asked(
    url: str, as_json: bool, as_csv: bool, evidence: bool, what: str, **options: Any
) -> typer.Exit:
    wanted = query_request.parameters(what, **options)
    return typer.Exit(query_request.ask(url, as_json, as_csv, evidence, **wanted))


def register(app: typer.Typer) -> None:
    """Add the commands."""

    @app.command()
    def attention(
        url: Url = client.USUAL_URL,
        region: Region = None,
        priority: Priority = None,
        filters: Filters = None,
        urgent: Annotated[bool, typer.Option("--urgent", help="Critical issues only.")] = False,
        since: Since = None,
        until: Until = None,
        limit: Limit = None,
        evidence: Evidence = False,
        as_json: Json = False,
        as_csv: Csv = False,
    ) -> None:
        """Sites that need attention, worst first, and why; with --since, those that did."""
        raise _asked(
            url,
            as_json,
            as_csv,
            evidence,
            "attention",
            region=region,
            priority=priority,
            filters=filters,
            urgent=urgent,
            since=since,
            until=until,
            limit=limit,
        )

    @app.command()
    def rank(
        url: Url = client.USUAL_URL,
        metric: MetricOption = None,
        best: Annotated[bool, typer.Option("--best", help="Best first.")] = False,
        highest: Annotated[bool, typer.Option("--highest", help="Highest first.")] = False,
        lowest: Annotated[bool, typer.Option("--lowest", help="Lowest first.")] = False,
        region: Region = None,
        priority: Priority = None,
        filters: Filters = None,
        since: Since = None,
        until: Until = None,
        limit: Limit = None,
        evidence: Evidence = False,
        as_json: Json = False,
        as_csv: Csv = False,
    ) -> None:
        """Sites in order, worst first, by score or any metric; with --since, over a period."""
        raise _asked(
            url,
            as_json,
            as_csv,
            evidence,
            "rank",
            metric=metric,
            best=best,
            highest=highest,
            lowest=lowest,
            region=region,
            priority=priority,
            filters=filters,
            since=since,
            until=until,
            limit=limit,
        )

    @app.command()
    def compare(
        sites: Annotated[
            list[str],
            typer.Argument(help="Ids, names or parts.", autocompletion=complete_site),
        ],
        url: Url = client.USUAL_URL,
        metric: MetricOption = None,
        since: Since = None,
        until: Until = None,
        evidence: Evidence = False,
        as_json: Json = False,
        as_csv: Csv = False,
    ) -> None:
        """Sites beside each other, in everything or in one metric."""
        raise _asked(
            url,
            as_json,
            as_csv,
            evidence,
            "compare",
            site=sites,
            metric=metric,
            since=since,
            until=until,
        )

    @app.command()
    def outliers(
        url: Url = client.USUAL_URL,
        metric: MetricOption = None,
        region: Region = None,
        priority: Priority = None,
        filters: Filters = None,
        limit: Limit = None,
        evidence: Evidence = False,
        as_json: Json = False,
        as_csv: Csv = False,
    ) -> None:
        """Sites that differ from comparable ones by more than 3.5 robust standard deviations."""
        raise _asked(
            url,
            as_json,
            as_csv,
            evidence,
            "outliers",
            metric=metric,
            region=region,
            priority=priority,
            filters=filters,
            limit=limit,
        )

    @app.command()
    def which(
        url: Url = client.USUAL_URL,
        condition: Conditions = None,
        where: Where = None,
        any_of: Annotated[bool, typer.Option("--any", help="One of them is enough.")] = False,
        region: Region = None,
        priority: Priority = None,
        filters: Filters = None,
        since: Since = None,
        until: Until = None,
        limit: Limit = None,
        evidence: Evidence = False,
        as_json: Json = False,
        as_csv: Csv = False,
    ) -> None:
        """Sites that meet conditions, such as --condition hot --where 'soc<20'."""
        raise _asked(
            url,
            as_json,
            as_csv,
            evidence,
            "which",
            condition=condition,
            where=where,
            any_of=any_of,
            region=region,
            priority=priority,
            filters=filters,
            since=since,
            until=until,
            limit=limit,
        )

    @app.command()
    def site(
        site: SiteArgument,
        url: Url = client.USUAL_URL,
        since: Since = None,
        until: Until = None,
        evidence: Evidence = False,
        as_json: Json = False,
        as_csv: Csv = False,
    ) -> None:
        """One site in detail; with --since, how it did."""
        raise _asked(url, as_json, as_csv, evidence, "site", site=[site], since=since, until=until)

    @app.command()
    def explain(
        site: SiteArgument,
        url: Url = client.USUAL_URL,
        evidence: Evidence = False,
        as_json: Json = False,
        as_csv: Csv = False,
    ) -> None:
        """Every point that a site lost and why, and what is unknown."""
        raise _asked(url, as_json, as_csv, evidence, "explain", site=[site])

    @app.command("ask")
    def ask_in_words(
        question: Annotated[
            list[str] | None, typer.Argument(help="The question; without it, a session.")
        ] = None,
        url: Url = client.USUAL_URL,
        session: Annotated[
            str | None, typer.Option("--session", help="Go on with this session, as --json tells.")
        ] = None,
        evidence: Evidence = False,
        as_json: Json = False,
        as_csv: Csv = False,
    ) -> None:
        """Ask in plain language; what is not understood is said, never guessed."""
        from exporter.cli.conversation import ask_once, converse

        text = " ".join(question or ()).strip()
        if text:
            code, _ = ask_once(
                url, text, session, as_json=as_json, as_csv=as_csv, evidence=evidence
            )
        else:
            code = converse(url, as_json=as_json, as_csv=as_csv, evidence=evidence)
        raise typer.Exit(code)

    @app.command()
    def history(
        metric: Annotated[
            str, typer.Argument(help="Such as score or soh.", autocompletion=complete_metric)
        ],
        url: Url = client.USUAL_URL,
        site: Annotated[
            list[str] | None,
            typer.Option("--site", help="Only this site.", autocompletion=complete_site),
        ] = None,
        region: Region = None,
        priority: Priority = None,
        filters: Filters = None,
        since: Annotated[
            str, typer.Option("--since", help="Such as 7d, monday, 'this week' or 2026-03-01.")
        ] = "24h",
        until: Until = None,
        limit: Limit = None,
        evidence: Evidence = False,
        as_json: Json = False,
        as_csv: Csv = False,
    ) -> None:
        """How a metric went over time: course, mean, extremes and trend."""
        raise _asked(
            url,
            as_json,
            as_csv,
            evidence,
            "history",
            metric=metric,
            site=site,
            region=region,
            priority=priority,
            filters=filters,
            since=since,
            until=until,
            limit=limit,
        )
