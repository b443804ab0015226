"""Settings of the service, from the environment and ``.env``; secrets also from named files."""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    Field,
    SecretStr,
    StringConstraints,
    ValidationError,
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from exporter.config.dotenv_file import read_dotenv
from exporter.config.shards import Shard, parse_shard
from exporter.model.levels import DEFAULT_RETENTION, LEVELS, PORTFOLIO

PREFIX = "FLEETSCOPE_"
SHORTEST_TOKEN = 16
_LISTEN = re.compile(r"(?:\[(?P<v6>[0-9A-Fa-f:.]+)\]|(?P<host>[^:\[\]\s]+)):(?P<port>\d{1,5})\Z")
_SECRETS = (
    *("influxdb_token", "influxdb_password", "change_token", "llm_token", "shard_token"),
    *("prometheus_password", "alertmanager_password"),
)
_RETENTION = re.compile(r"(?:inf|[1-9]\d{0,5}[hdw])\Z")


class SettingsError(Exception):
    """Settings that cannot be used; its text names every wrong variable and shows no secret."""


def _check_listen(value: str) -> str:
    match = _LISTEN.match(value)
    if not match or int(match["port"]) > 65535:
        raise ValueError("expected HOST:PORT, such as 127.0.0.1:9797 or [::1]:9797")
    return value


def _check_url(value: str) -> str:
    expected = "expected http://HOST:PORT or https://HOST:PORT"
    try:
        parts = urlsplit(value)
        host = parts.hostname
    except ValueError as error:
        raise ValueError(expected) from error
    if "@" in parts.netloc:
        raise ValueError("holds a user name or password; they have settings of their own")
    if parts.scheme not in ("http", "https") or not host or any(c.isspace() for c in value):
        raise ValueError(expected)
    if "?" in value or "#" in value:
        raise ValueError(f"has a query or fragment; {expected}")
    try:
        port = parts.port
    except ValueError:
        port = 0
    if port == 0:
        raise ValueError(f"the port is not a number from 1 to 65535; {expected}")
    return value.rstrip("/")


def _check_urls(value: str) -> str:
    return ",".join(_check_url(part.strip()) for part in value.split(",")) if value else ""


def _check_shard(value: str) -> str:
    parse_shard(value)
    return value


def _check_networks(value: str) -> str:
    for part in filter(None, (part.strip() for part in value.split(","))):
        try:
            ipaddress.ip_network(part)
        except ValueError as error:
            raise ValueError("expected networks such as 169.254.7.0/24") from error
    return value


def _check_retention(value: str) -> str:
    if not _RETENTION.match(value):
        raise ValueError("expected a number of hours, days or weeks such as 90d, or inf")
    return value


Retention = Annotated[str, AfterValidator(_check_retention)]
UrlText = Annotated[str, AfterValidator(_check_url)]
DatabaseName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,64}$")]


def _read_secret(path: Path) -> str:
    """The one line of a file. Errors omit the path: it may be the secret, by mistake."""
    try:
        secret = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8"
        raise ValueError(f"the file it names cannot be read: {reason}") from error
    if not secret.isprintable() or not secret:
        raise ValueError("the file it names does not hold one line of text")
    return secret


class _DotenvSource(EnvSettingsSource):
    """``.env`` in the working directory, read as Docker Compose reads it."""

    def _load_env_vars(self) -> Mapping[str, str | None]:
        found = read_dotenv(Path(".env"), os.environ)
        return {name.lower(): value for name, value in found.items() if value}


class Settings(BaseSettings):
    """Everything that is set outside the fleet file. One environment variable per field."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        allow_inf_nan=False,
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments, then the environment, then ``.env``."""
        return init_settings, env_settings, _DotenvSource(settings_cls)

    fleet: Path | None = Field(None, description="Fleet file; the option --fleet wins")
    listen: Annotated[str, AfterValidator(_check_listen)] = Field(
        "127.0.0.1:9797", description="Address of the HTTP server; the option --listen wins"
    )
    shard: Annotated[str, AfterValidator(_check_shard)] = Field(
        "0/1",
        description="Which part of the fleet file this exporter polls: INDEX/COUNT, 0/4 to 3/4 for "
        "four exporters with the same file; the option --shard wins",
    )
    shard_urls: Annotated[str, AfterValidator(_check_urls)] = Field(
        "",
        description="Addresses of the HTTP servers of all shards in their order, separated by "
        "commas; with them this exporter answers for the whole fleet, except on /metrics",
    )
    shard_token: SecretStr | None = Field(
        None,
        description="Token with which shards ask each other, of 16 characters or more; without "
        "it a shard shows its sites to none",
    )
    shard_token_file: Path | None = Field(None, description="File that holds that token")
    shard_ca_file: Path | None = Field(
        None, description="Authorities, PEM, that the certificates of shards are checked against"
    )
    web_config: Path | None = Field(
        None,
        description="Web configuration of the HTTP server, in the format of Prometheus's "
        "exporter-toolkit: TLS, users, headers, rate limit. Read again when it changes",
    )
    contact_users: str = Field(
        "",
        description="Users of the web configuration, separated by commas, who may see contacts; "
        "Prometheus is one of them where alerts are to name whom to call",
    )
    allowed_hosts: str = Field(
        "",
        description="Host names, separated by commas, that the server answers to besides its "
        "addresses and the names of its machine; needed where nobody has to sign in",
    )
    trusted_proxies: Annotated[str, AfterValidator(_check_networks)] = Field(
        "",
        description="Addresses or networks of reverse proxies, separated by commas, whose "
        "X-Forwarded-For, -Proto and -Host count; limits are then those of the callers behind them",
    )
    caller_seconds: float = Field(
        60.0,
        ge=1,
        le=3600,
        description="Processor time that one address or user may use at once; it is refilled in "
        "two minutes, and until then answers are 429",
    )
    worker_megabytes: int = Field(
        1024,
        ge=64,
        le=1_048_576,
        description="Memory that requests may take in a process that answers questions, histories "
        "or reports, over what it holds of the fleet",
    )
    change_token: SecretStr | None = Field(
        None,
        description="Token for whatever changes state over HTTP, of 16 characters or more; "
        "without it nothing may",
    )
    change_token_file: Path | None = Field(None, description="File that holds that token")
    audit_log: Path | None = Field(
        None,
        description="File to which sign-ins, reads of contacts, reloads and orders are appended, "
        "one JSON object a line; see security.md",
    )
    site_secrets: SecretStr | None = Field(
        None, description="Passwords and tokens of sites, as YAML or JSON; see security.md"
    )
    site_secrets_file: Path | None = Field(
        None, description="File that holds them; read again when it changes"
    )
    allowed_networks: Annotated[str, AfterValidator(_check_networks)] = Field(
        "",
        description="Link-local, metadata or group networks, separated by commas, in which sites "
        "may be nevertheless, such as 169.254.7.0/24",
    )
    dispatch: Literal["off", "dry", "on"] = Field(
        "off",
        description="Orders to sites: off, dry (orders are judged and nothing is written to any "
        "device) or on; a site also needs dispatch.enabled in the fleet file; see dispatch.md",
    )
    dispatch_journal: Path | None = Field(
        None,
        description="SQLite file in which every order is kept, of this exporter alone; needed for "
        "orders",
    )
    dispatch_second_look_kw: float = Field(
        50.0, ge=0, description="Power of an order above which the page asks for a second look"
    )
    interval_seconds: float = Field(
        10.0, ge=1, le=3600, description="Seconds between scrapes of a site that sets none itself"
    )
    influxdb_url: Annotated[str, AfterValidator(_check_url)] | None = Field(
        None, description="InfluxDB to write to; without it nothing is stored"
    )
    influxdb_api: Literal["v1", "v2"] = Field("v2", description="v2 for InfluxDB 2.x, v1 for 1.x")
    influxdb_database: DatabaseName = Field(
        "fleet", description="Database (v1), or first part of the bucket names (v2)"
    )
    influxdb_projects: Path | None = Field(
        None,
        description="Databases of projects that have one of their own, YAML; see security.md. Read "
        "at the start",
    )
    influxdb_retention: Retention = Field(
        "90d", description="How long full detail is kept, set when it is created"
    )
    influxdb_retention_5m: Retention = Field(
        DEFAULT_RETENTION["rollup_5m"], description="The same for the roll-up of 5 minutes"
    )
    influxdb_retention_15m: Retention = Field(
        DEFAULT_RETENTION["rollup_15m"], description="The same for the roll-up of 15 minutes"
    )
    influxdb_retention_1h: Retention = Field(
        DEFAULT_RETENTION["rollup_1h"], description="The same for the roll-up of an hour"
    )
    influxdb_retention_1d: Retention = Field(
        DEFAULT_RETENTION["rollup_1d"], description="The same for the roll-up of a day (UTC)"
    )
    influxdb_retention_portfolio: Retention = Field(
        DEFAULT_RETENTION[PORTFOLIO],
        description="The same for figures and telemetry of the portfolio",
    )
    rollups: bool = Field(
        True,
        description="Roll readings up to 5 min, 15 min, 1 h and 1 d, in a process of its own",
    )
    cell_seconds: float = Field(
        60.0,
        ge=0,
        le=3600,
        description="Seconds between stored rows of a single cell; every scrape while the site "
        "has a cell issue, and always with 0",
    )
    cell_deadband_volts: float | None = Field(
        None,
        ge=0,
        le=0.1,
        description="A cell's row within this of the one stored last is left out, and counted in "
        "the next one; without it every row is stored",
    )
    cell_deadband_celsius: float = Field(
        0.2, ge=0, le=10, description="The same for the temperature; a row is left out by both"
    )
    influxdb_org: str = Field("fleetscope", description="Organization (v2)")
    influxdb_token: SecretStr | None = Field(None, description="Token (v2)")
    influxdb_token_file: Path | None = Field(None, description="File that holds the token")
    influxdb_username: str | None = Field(None, description="User name (v1)")
    influxdb_password: SecretStr | None = Field(None, description="Password (v1)")
    influxdb_password_file: Path | None = Field(None, description="File that holds the password")
    queue_dir: Path | None = Field(
        None,
        description="Folder of the queue on disk, of this exporter alone; without it what "
        "InfluxDB has not accepted waits in memory and is lost when the exporter ends, and the "
        "hourly analysis of cells reads all of their history each time",
    )
    queue_disk_megabytes: int = Field(
        4096,
        ge=1,
        le=16_777_216,
        description="Most that waits on disk; beyond it batches are dropped and counted",
    )
    queue_megabytes: int = Field(
        64,
        ge=1,
        le=65536,
        description="Most that waits in memory, without a queue on disk or while the disk cannot "
        "be written; beyond it batches are dropped and counted",
    )
    queue_hours: float = Field(
        168.0, gt=0, le=87600, description="Age at which what waits on disk is dropped and counted"
    )
    queue_policy: Literal["cells-first", "oldest"] = Field(
        "cells-first",
        description="What is dropped at a limit: single cells, oldest first, and then the oldest "
        "of the rest; or the oldest of all",
    )
    queue_drain_megabytes: float = Field(
        4.0,
        gt=0,
        le=1000,
        description="Most that is sent a second of what waited, beside fresh readings, compressed",
    )
    prices: Path | None = Field(
        None, description="Price list, YAML; without it no cost is shown (docs/report.md)"
    )
    tariffs: Path | None = Field(
        None,
        description="What energy costs, earns and stands for in CO2, by site and time, YAML "
        "(docs/energy.md)",
    )
    books: Path | None = Field(
        None, description="Ledger of the portfolio, SQLite, published (docs/portfolio.md)"
    )
    contracts: Path | None = Field(
        None, description="Contracts of the portfolio, YAML (docs/portfolio.md)"
    )
    weather: Path | None = Field(
        None,
        description="Where irradiance and temperature of sites come from, YAML; PV is judged by "
        "them (docs/energy.md)",
    )
    forecasts: bool = Field(
        False,
        description="Forecast PV and load of each site every hour, in a process of its own, and "
        "with a tariff file plan its battery (docs/energy.md)",
    )
    report: Path | None = Field(
        None, description="When the report is made and where it goes, YAML (docs/report.md)"
    )
    tickets: Path | None = Field(
        None, description="Which incidents get a ticket, and where, YAML (docs/tickets.md)"
    )
    llm_url: Annotated[str, AfterValidator(_check_url)] | None = Field(
        None,
        description="Address of an OpenAI-compatible API, such as http://127.0.0.1:11434/v1; it is "
        "asked for questions that the grammar does not understand (docs/ask.md)",
    )
    llm_model: str | None = Field(None, description="Its model; needed with the address")
    llm_token: SecretStr | None = Field(None, description="Its token")
    llm_token_file: Path | None = Field(None, description="File that holds its token")
    llm_seconds: float = Field(10.0, gt=0, le=120, description="Longest wait for its answer")
    prometheus_url: Annotated[str, AfterValidator(_check_url)] | None = Field(
        None,
        description="Prometheus that evaluates the alert rules; with it, timelines and questions "
        "know which alerts fired",
    )
    prometheus_username: str | None = Field(None, description="User name of Prometheus")
    prometheus_password: SecretStr | None = Field(None, description="Its password")
    prometheus_password_file: Path | None = Field(None, description="File that holds it")
    alertmanager_url: Annotated[str, AfterValidator(_check_url)] | None = Field(
        None,
        description="Alertmanager, such as http://127.0.0.1:9093; the page shows the alerts of a "
        "site and silences them for whoever has the role operator there",
    )
    alertmanager_username: str | None = Field(None, description="User name, where it wants one")
    alertmanager_password: SecretStr | None = Field(None, description="Its password")
    alertmanager_password_file: Path | None = Field(
        None, description="File that holds that password"
    )
    grafana_url: Annotated[str, AfterValidator(_check_url)] | None = Field(
        None, description="Grafana as a browser reaches it; the page links to it"
    )
    runbooks_url: Annotated[str, AfterValidator(_check_url)] | None = Field(
        None,
        description="Address under which a browser finds docs/runbooks.md; without it the page "
        "links to its own copy",
    )
    page_url: Annotated[str, AfterValidator(_check_url)] | None = Field(
        None,
        description="This page as a browser reaches it, for links from Grafana; without it "
        "the address of the HTTP server",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="Least severe message that is logged"
    )
    log_format: Literal["text", "json"] = Field("text", description="One line of text, or of JSON")

    @model_validator(mode="after")
    def _secrets_from_files(self) -> Self:
        wrong = []
        for name in _SECRETS:
            path: Path | None = getattr(self, f"{name}_file")
            if path is None:
                continue
            variable = f"{PREFIX}{name.upper()}"
            if getattr(self, name) is not None:
                wrong.append(f"{variable} and {variable}_FILE are both set; keep one")
                continue
            try:
                object.__setattr__(self, name, SecretStr(_read_secret(path)))
            except ValueError as error:
                wrong.append(f"{variable}_FILE: {error}")
        if self.dispatch != "off" and self.dispatch_journal is None:
            wrong.append(f"{PREFIX}DISPATCH={self.dispatch} needs {PREFIX}DISPATCH_JOURNAL")
        if self.llm_url is not None and not self.llm_model:
            wrong.append(f"{PREFIX}LLM_URL needs {PREFIX}LLM_MODEL")
        if self.site_secrets is not None and self.site_secrets_file is not None:
            variable = f"{PREFIX}SITE_SECRETS"
            wrong.append(f"{variable} and {variable}_FILE are both set; keep one")
        for name in ("change_token", "shard_token"):
            token = getattr(self, name)
            if token is not None and len(token.get_secret_value()) < SHORTEST_TOKEN:
                wrong.append(
                    f"{PREFIX}{name.upper()}: expected {SHORTEST_TOKEN} characters or more, such "
                    "as 'openssl rand -hex 32' prints"
                )
        wrong += self._wrong_shards()
        if wrong:
            raise ValueError("\n  ".join(wrong))
        return self

    @property
    def rollup_retention(self) -> dict[str, str]:
        """How long each roll-up is kept, by the name of its level."""
        found = {x.name: getattr(self, f"influxdb_retention_{x.bucket}") for x in LEVELS}
        return found | {PORTFOLIO: self.influxdb_retention_portfolio}

    def _wrong_shards(self) -> list[str]:
        wrong = []
        count = self.shard_of_count.count
        if self.shard_urls and len(self.shard_addresses) != count:
            wrong.append(f"{PREFIX}SHARD_URLS: expected {count} addresses, one for each shard")
        if self.shard_urls and self.shard_token is None:
            wrong.append(f"{PREFIX}SHARD_URLS needs {PREFIX}SHARD_TOKEN")
        return wrong

    @property
    def shard_of_count(self) -> Shard:
        """The shard that this exporter is."""
        return parse_shard(self.shard)

    @property
    def shard_addresses(self) -> list[str]:
        """Addresses of all shards in their order; empty where none are named."""
        return self.shard_urls.split(",") if self.shard_urls else []

    @property
    def networks(self) -> tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]:
        """Networks in which sites may be though they are refused otherwise."""
        parts = (part.strip() for part in self.allowed_networks.split(","))
        return tuple(ipaddress.ip_network(part) for part in parts if part)

    @property
    def host_port(self) -> tuple[str, int]:
        """Host and port to listen on; port 0 asks for any free one."""
        match = _LISTEN.match(self.listen)
        assert match is not None  # checked when the settings were made
        return match["v6"] or match["host"], int(match["port"])


def load_settings(**overrides: Any) -> Settings:
    """Settings from the environment, with options of the command line laid over them.

    Raises
    ------
    SettingsError
        Naming every variable that is wrong; values of secrets are never shown.
    """
    given = {key: value for key, value in overrides.items() if value is not None}
    try:
        return Settings(**given)
    except ValidationError as error:
        lines = []
        for detail in error.errors(include_url=False, include_input=False):
            name = "_".join(str(part) for part in detail["loc"]).upper()
            message = detail["msg"].removeprefix("Value error, ")
            lines.append(f"{PREFIX}{name}: {message}" if name else message)
        raise SettingsError("wrong settings\n  " + "\n  ".join(lines)) from None
    except UnicodeDecodeError as error:
        raise SettingsError(".env is not UTF-8; save it as UTF-8") from error
