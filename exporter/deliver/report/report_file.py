"""The report file: the schedule and destinations of reports. Without it nothing is sent."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from exporter.config.addresses import url_mistake
from exporter.config.field_types import Text
from exporter.config.fleet import ProjectId
from exporter.config.side_file import Secret, SideModel

Address = Annotated[Text, StringConstraints(pattern=r"^[^@\s,;<>\"]+@[^@\s,;<>\"]+$")]
Format = Literal["html", "pdf"]


def check_url(value: str) -> str:
    """A URL to post to, without credentials."""
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc:
        raise ValueError("expected http://… or https://… without user name and password")
    if mistake := url_mistake(value, secret=False):
        raise ValueError(mistake)
    return value


Url = Annotated[str, StringConstraints(max_length=2000), AfterValidator(check_url)]


class Mail(SideModel):
    """A mail server and the recipients."""

    host: Text
    port: Annotated[int, Field(ge=1, le=65535)] = 587
    security: Literal["starttls", "tls", "none"] = "starttls"
    username: Text | None = None
    password: Secret | None = None
    sender: Address
    to: Annotated[tuple[Address, ...], Field(min_length=1, max_length=100)]

    @model_validator(mode="after")
    def _safe(self) -> Self:
        if (self.username is None) != (self.password is None):
            raise ValueError("username and password belong together")
        if self.password is not None and self.security == "none":
            raise ValueError("a password is sent over starttls or tls only")
        return self


class Post(SideModel):
    """An address that the report is posted to; the token goes out as a bearer token."""

    url: Url
    token: Secret | None = None
    plain_http: bool = False

    @model_validator(mode="after")
    def _sealed(self) -> Self:
        mistake = url_mistake(self.url, secret=self.token is not None)
        if mistake and not self.plain_http:
            raise ValueError(mistake)
        return self


def _check_cron(value: str) -> str:
    from apscheduler.triggers.cron import CronTrigger

    fields = value.split()
    if len(fields) == 5 and any(c.isdigit() for c in fields[4]):
        # cron counts the days of the week from Sunday, the scheduler from Monday.
        raise ValueError("name the days of the week, such as mon or mon-fri")
    try:
        CronTrigger.from_crontab(value)
    except ValueError as error:
        raise ValueError(
            f"expected five fields, minute hour day month day-of-week, such as '0 7 * * mon': "
            f"{error}"
        ) from error
    return value


def _check_zone(value: str) -> str:
    from zoneinfo import available_timezones

    if value not in available_timezones():
        raise ValueError("expected an IANA time zone such as Europe/Madrid")
    return value


class ReportPlan(SideModel):
    """The whole file."""

    schedule: Annotated[str, AfterValidator(_check_cron)]
    timezone: Annotated[str, AfterValidator(_check_zone)] = "UTC"
    days: Annotated[float, Field(gt=0, le=366)] = 7.0
    only_projects: Annotated[tuple[ProjectId, ...], Field(max_length=1000)] = ()
    formats: Annotated[tuple[Format, ...], Field(min_length=1)] = ("html", "pdf")
    mail: Mail | None = None
    post: Post | None = None
    directory: Path | None = None

    @model_validator(mode="after")
    def _somewhere(self) -> Self:
        if self.mail is None and self.post is None and self.directory is None:
            raise ValueError("name at least one of mail, post and directory")
        return self
