"""The ticket file: which incidents get a ticket, and where. Without it nothing is sent."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from exporter.config.addresses import url_mistake
from exporter.config.field_types import Text
from exporter.config.fleet import Priority, ProjectId
from exporter.config.side_file import Secret, SideModel
from exporter.deliver.report.report_file import Url

Kind = Literal["webhook", "github", "gitlab", "jira", "file"]
Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,39}$")]
_PUBLIC = {"github": "https://api.github.com", "gitlab": "https://gitlab.com"}


class Destination(SideModel):
    """A tracker, webhook or folder for tickets."""

    name: Name
    kind: Kind
    url: Url | None = None
    project: Annotated[Text, StringConstraints(pattern=r"^[\w./ -]+$")] | None = None
    token: Secret | None = None
    plain_http: bool = False
    username: Text | None = None
    issue_type: Text = "Task"
    close_transition: Text | None = None
    reopen_transition: Text | None = None
    labels: tuple[Text, ...] = ("fleetscope",)
    folder: Path | None = None
    severities: tuple[Literal["critical", "warning", "info"], ...] = ("critical", "warning")
    codes: tuple[str, ...] = ()
    priorities: tuple[Priority, ...] = ()

    @model_validator(mode="after")
    def _whole(self) -> Self:
        needs = {
            "webhook": ("url",),
            "github": ("project", "token"),
            "gitlab": ("project", "token"),
            "jira": ("url", "project", "token"),
            "file": ("folder",),
        }[self.kind]
        if absent := [name for name in needs if getattr(self, name) is None]:
            raise ValueError(f"{self.kind} needs {', '.join(absent)}")
        mistake = url_mistake(self.base, secret=self.token is not None)
        if mistake and not self.plain_http:
            raise ValueError(mistake)
        return self

    @property
    def base(self) -> str:
        """The base URL of its API."""
        return (self.url or _PUBLIC.get(self.kind, "")).rstrip("/")


class TicketPlan(SideModel):
    """The whole file."""

    state: Path
    after_seconds: Annotated[float, Field(ge=0, le=604800)] = 300.0
    close_after_seconds: Annotated[float, Field(ge=0, le=604800)] = 900.0
    reopen_hours: Annotated[float, Field(ge=0, le=8760)] = 24.0
    update_hours: Annotated[float, Field(ge=0.1, le=8760)] = 24.0
    most_per_hour: Annotated[int, Field(ge=1, le=10000)] = 20
    page: Url | None = None
    only_projects: Annotated[tuple[ProjectId, ...], Field(max_length=1000)] = ()
    destinations: Annotated[tuple[Destination, ...], Field(min_length=1, max_length=20)]

    @model_validator(mode="after")
    def _names(self) -> Self:
        names = [destination.name for destination in self.destinations]
        if len(set(names)) != len(names):
            raise ValueError("destinations: every name must be another")
        return self
