"""What an alert holds, and the pieces of PromQL and text that several alerts share."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from scoring.rule import Rule

EACH_SITE = "on (job, instance, site)"
NOT_IN_MAINTENANCE = f"fleetscope_site_info\n  unless {EACH_SITE} fleetscope_site_maintenance == 1"
"""All sites that may raise alerts, with what alerts say of them."""
WATCHED = "site:watched:info"
"""Of those, the sites of which an alert may have something to say."""


@dataclass(frozen=True, slots=True)
class Record:
    """A recording rule that alerts read, and a remark that the file carries above it."""

    name: str
    expr: str
    why: str = ""

    def rule(self) -> dict[str, Any]:
        """It as a rule of Prometheus."""
        return {"record": self.name, "expr": self.expr}


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """One alert rule.

    Attributes
    ----------
    name : str
        The address of its runbook follows from it.
    expr : str
        PromQL. That of an alert on sites is without its join with the site.
    wait : str
        How long it must hold before it fires (``for``).
    keep : str
        How long it goes on firing afterwards (``keep_firing_for``).
    severity : "page", "ticket" or "info"
        Who hears of it.
    scope, level, cause : str
        What hides what in Alertmanager.
    labels : mapping
        More labels.
    summary, description, action : str
        Templates of Go.
    worst : str
        Template of the worst value of the last hour, of alerts whose value rises and falls.
    issue : str
        Code of the issue that it fires for, where ``cause`` is not that code.
    dashboard : str
        Uid of the dashboard to look at, after ``fleetscope-``, with its variables.
    why : str
        A remark that the file carries above the rule.
    info : str
        PromQL of the sites that an alert on sites is joined with.
    """

    name: str
    expr: str
    wait: str
    severity: Literal["page", "ticket", "info"]
    scope: Literal["site", "region", "fleet", "exporter"]
    level: Literal["critical", "warning", "info"]
    cause: str
    summary: str
    description: str
    action: str
    keep: str = ""
    labels: dict[str, str] = field(default_factory=dict)
    worst: str = ""
    issue: str = ""
    dashboard: str = ""
    why: str = ""
    info: str = WATCHED

    def rule(self) -> dict[str, Any]:
        """It as a rule of Prometheus."""
        of_site = self.scope == "site"
        dashboard = self.dashboard or ("site" if of_site else "collection")
        annotations = {
            "summary": self.summary,
            "description": self.description,
            "action": self.action,
        }
        if self.worst:
            annotations["worst"] = self.worst
        if of_site:
            annotations["contact"] = "{{ $labels.contact }} {{ $labels.phone }}"
            dashboard += "?var-site={{ $labels.site }}"
        annotations["dashboard_url"] = f"/d/fleetscope-{dashboard}"
        annotations["runbook_url"] = f"docs/runbooks.md#{self.name.lower()}"
        labels = {
            "severity": self.severity,
            "scope": self.scope,
            "level": self.level,
            "cause": self.cause,
            **self.labels,
        }
        if of_site:
            # An empty label is no label: these two are for the text alone.
            labels |= {"contact": "", "phone": ""}
        return {
            "alert": self.name,
            "expr": joined_with_site(self.expr, self.info) if of_site else self.expr,
            "for": self.wait,
            **({"keep_firing_for": self.keep} if self.keep else {}),
            "labels": labels,
            "annotations": annotations,
        }


def joined_with_site(expr: str, info: str) -> str:
    """An expression with what alerts say of a site; a site in maintenance has no series of it."""
    return (
        f"{nested(expr)}\n"
        f"  * {EACH_SITE} group_left (name, region, priority, contact, phone)\n"
        f"{indented(nested(info), 4)}\n"
    )


def nested(expr: str) -> str:
    """An expression in brackets where it takes several lines."""
    expr = expr.strip()
    return f"(\n{indented(expr, 2)}\n)" if "\n" in expr else expr


def indented(text: str, columns: int) -> str:
    """A text with all of its lines so many columns further to the right."""
    return "\n".join(f"{' ' * columns}{line}" for line in text.split("\n"))


def value_of(rule: Rule) -> str:
    """The value that an active issue is judged by, a percentage as a ratio."""
    return f'fleetscope_site_issue_value{{code="{rule.code}"}}'


def while_issue(expr: str, rule: Rule, severity: str = "") -> str:
    """An expression where a site has an issue, of a severity if one is given."""
    wanted = f',severity="{severity}"' if severity else ""
    return f'{expr}\nand {EACH_SITE} fleetscope_site_issue{{code="{rule.code}"{wanted}}}'


def shown(rule: Rule, decimals: int | None = None) -> str:
    """Template that writes a value or limit of a rule with its unit."""
    if rule.unit == "%":
        return "humanizePercentage"
    digits = rule.decimals if decimals is None else decimals
    return f'printf "%.{digits}f {rule.unit}"'


def queried(series: str, labels: tuple[str, ...] = ("instance", "site")) -> str:
    """Beginning of a template that asks for a series of the alert's own site."""
    matchers = ",".join(f"{name}=%q" for name in labels)
    values = " ".join(f"$labels.{name}" for name in labels)
    return f'with printf "{series.replace("{}", "{" + matchers + "}")}" {values} | query'


def limit_sentence(rule: Rule, decimals: int | None = None) -> str:
    """Template of the sentence on the limit that an active issue has passed."""
    asked = queried("fleetscope_site_issue_threshold{}", ("instance", "site", "code"))
    limit = f"{{{{ . | first | value | {shown(rule, decimals)} }}}}"
    return f"{{{{- {asked} }}}} Its limit is {limit}.{{{{ end }}}}"


def worst_of_issue(rule: Rule, extreme: str) -> str:
    """Template of the extreme of an issue's value in the last hour."""
    series = f"{extreme}_over_time(fleetscope_site_issue_value{{}}[1h])"
    return _in_last_hour(queried(series, ("instance", "site", "code")), shown(rule))


def worst_of_series(name: str, extreme: str, written: str) -> str:
    """Template of the extreme of a series of the site in the last hour."""
    return _in_last_hour(queried(f"{extreme}_over_time({name}{{}}[1h])"), written)


def _in_last_hour(asked: str, written: str) -> str:
    value = f"{{{{ . | first | value | {written} }}}}"
    return f"{{{{ {asked} }}}}{value} in the last hour{{{{ end }}}}"
