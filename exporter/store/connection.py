"""An InfluxDB as the settings name it, and the one sign-in to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from exporter.model.http import basic
from exporter.model.levels import RAW, duration_seconds

if TYPE_CHECKING:
    from exporter.config.settings import Settings


@dataclass(frozen=True, slots=True)
class Connection:
    """An InfluxDB and one of its databases; can be sent to a process.

    Attributes
    ----------
    url, database : str
    headers : mapping
        The sign-in.
    kept : mapping of level name to int or None
        Seconds that each level is kept by the settings, None for ever; empty for 1.x, which says
        it in InfluxQL.
    api : str
        ``v1`` or ``v2``.
    organisation : str
        For 2.x.
    """

    url: str
    database: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    kept: Mapping[str, int | None] = field(default_factory=dict)
    api: str = "v1"
    organisation: str = ""


def token_header(token: str) -> dict[str, str]:
    """The header of a sign-in to InfluxDB 2.x."""
    return {"Authorization": f"Token {token}"}


def _sign_in(settings: Settings) -> dict[str, str]:
    if settings.influxdb_api == "v2":
        token = settings.influxdb_token
        return token_header(token.get_secret_value() if token else "")
    if not settings.influxdb_username:
        return {}
    password = settings.influxdb_password
    return basic(settings.influxdb_username, password.get_secret_value() if password else "")


def connection_of(settings: Settings) -> Connection | None:
    """The InfluxDB of the settings; None where they name none."""
    if settings.influxdb_url is None:
        return None
    kept = {}
    if settings.influxdb_api == "v2":
        durations = {RAW: settings.influxdb_retention, **settings.rollup_retention}
        kept = {name: duration_seconds(duration) for name, duration in durations.items()}
    return Connection(
        settings.influxdb_url,
        settings.influxdb_database,
        _sign_in(settings),
        kept,
        settings.influxdb_api,
        settings.influxdb_org,
    )
