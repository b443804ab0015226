"""User names, passwords and tokens of sites; never in the fleet file, and never shown.

Each entry says to which endpoint it may be sent. So whoever may write the fleet file, but not this
one, cannot have a secret sent elsewhere.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Self
from urllib.parse import urlsplit

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    SecretStr,
    StringConstraints,
    TypeAdapter,
    ValidationError,
    model_validator,
)

from exporter.config.endpoints import ascii_host
from exporter.config.settings import Settings
from exporter.model.http import basic

log = logging.getLogger(__name__)

WATCH_SECONDS = 2.0
_LARGEST_FILE = 16 * 1024 * 1024
Origin = tuple[str, str, int]


class SiteSecretsError(Exception):
    """Site secrets that cannot be used; its text names places and no value."""


class SiteSecret(BaseModel):
    """One site's: ``username`` and ``password``, or ``token``, and the ``endpoint`` it is for."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    endpoint: Annotated[str, StringConstraints(pattern=r"^https?://[^/@?#\s]+(?:/[^@?#\s]*)?$")]
    username: str | None = None
    password: SecretStr | None = None
    token: SecretStr | None = None

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        basic = self.username is not None and self.password is not None
        if (self.token is not None) == basic or (self.username is None) != (self.password is None):
            raise ValueError("expected username and password, or token")
        if ":" in (self.username or ""):
            raise ValueError("a user name has no colon")
        for value in (self.username, self.password, self.token):
            plain = value.get_secret_value() if isinstance(value, SecretStr) else value or ""
            if not plain.isprintable():
                raise ValueError("expected text on one line")
        if self.token is not None and not self.token.get_secret_value().isascii():
            raise ValueError("expected a token of ASCII characters")
        origin(self.endpoint)
        return self

    def header(self) -> str:
        """The value of ``Authorization``."""
        if self.token is not None:
            return f"Bearer {self.token.get_secret_value()}"
        password = self.password.get_secret_value() if self.password else ""
        return basic(self.username or "", password)["Authorization"]


_FILE = TypeAdapter(dict[str, SiteSecret])


def origin(url: str) -> Origin:
    """Scheme, host and port of a URL.

    Raises
    ------
    ValueError
        If it has none.
    """
    parts = urlsplit(url)
    default = 443 if parts.scheme == "https" else 80
    host = ascii_host(parts.hostname or "").rstrip(".").replace("%25", "%")
    return parts.scheme, host, parts.port or default


def parse_site_secrets(text: str, name: str) -> dict[str, SiteSecret]:
    """Site secrets by site id, from YAML or JSON; ``name`` stands in messages.

    Raises
    ------
    SiteSecretsError
    """
    try:
        return _FILE.validate_python(yaml.safe_load(text) or {})
    except (yaml.YAMLError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        place = f", line {mark.line + 1}" if mark else ""
        raise SiteSecretsError(f"{name}{place}: is not YAML") from None
    except ValidationError as error:
        lines = [
            f"  {'.'.join(map(str, d['loc']))}: {d['msg'].removeprefix('Value error, ')}"
            for d in error.errors(include_url=False, include_input=False)
        ]
        raise SiteSecretsError(f"{name}:\n" + "\n".join(lines)) from None


class SiteSecrets:
    """The secrets in force; a file is read again when it changes, a wrong one is told once.

    Raises
    ------
    SiteSecretsError
        If they are wrong at the start.
    """

    def __init__(self, text: str | None, path: Path | None, monotonic: Callable[[], float]) -> None:
        self._path = path
        self._monotonic = monotonic
        self._looked = monotonic()
        self._stamp = self._read_stamp()
        self._secrets: dict[str, SiteSecret] = {}
        # Whether what is on disk now is in force; None where no file is named.
        self.successful = None if path is None else True
        self._told: set[str] = set()
        if path is not None:
            self._secrets = self._read(path)
        elif text is not None:
            self._secrets = parse_site_secrets(text, "FLEETSCOPE_SITE_SECRETS")

    def authorization(self, site: str, url: str) -> str | None:
        """What to send to a site at an endpoint as ``Authorization``; None for nothing."""
        self._look()
        secret = self._secrets.get(site)
        if secret is None:
            return None
        if origin(secret.endpoint) != origin(url):
            if site not in self._told:
                self._told.add(site)
                log.error(
                    "site %s: its secret is for another endpoint than the fleet file's and is "
                    "not sent",
                    site,
                )
            return None
        return secret.header()

    def _look(self) -> None:
        now = self._monotonic()
        if self._path is None or now - self._looked < WATCH_SECONDS:
            return
        self._looked = now
        stamp = self._read_stamp()
        if stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            self._secrets = self._read(self._path)
            self._told.clear()
            self.successful = True
            log.info("site secrets taken: %d sites", len(self._secrets))
        except SiteSecretsError as error:
            self.successful = False
            log.error("site secrets refused, those before stay in force: %s", error)

    def _read(self, path: Path) -> dict[str, SiteSecret]:
        name = "FLEETSCOPE_SITE_SECRETS_FILE"
        try:
            if path.stat().st_size > _LARGEST_FILE:
                raise SiteSecretsError(f"{name}: is larger than 16 MiB")
            return parse_site_secrets(path.read_text("utf-8"), name)
        except OSError as error:
            raise SiteSecretsError(f"{name}: cannot be read: {error.strerror}") from None
        except UnicodeDecodeError:
            raise SiteSecretsError(f"{name}: is not UTF-8") from None

    def _read_stamp(self) -> tuple[int, int, int] | None:
        try:
            status = self._path.stat() if self._path else None
        except OSError:
            return None
        return (status.st_mtime_ns, status.st_size, status.st_ino) if status else None


def site_secrets_of(settings: Settings) -> SiteSecrets:
    """What sites are sent as ``Authorization``, by the settings.

    Raises
    ------
    SystemExit
        If the secrets are wrong.
    """
    text = settings.site_secrets
    try:
        return SiteSecrets(
            text.get_secret_value() if text else None, settings.site_secrets_file, time.monotonic
        )
    except SiteSecretsError as error:
        raise SystemExit(f"fleetscope: {error}") from None
