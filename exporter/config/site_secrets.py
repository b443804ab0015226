"""User names, passwords and tokens of sites; never in the fleet file, and never shown.

An entry is for the site whose id is its key, or, where the key is the endpoint of a broker, for all
sites of that broker. Each entry says to which endpoint it may be sent. So whoever may write the
fleet file, but not this one, cannot have a secret sent elsewhere.
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
from exporter.config.watched_file import WatchedFile
from exporter.model.http import basic

log = logging.getLogger(__name__)

WATCH_SECONDS = 2.0
_LARGEST_FILE = 16 * 1024 * 1024
_DEFAULT_PORTS = {"https": 443, "mqtt": 1883, "mqtts": 8883}
Origin = tuple[str, str, int]


class SiteSecretsError(Exception):
    """Site secrets that cannot be used; its text names places and no value."""


class SiteSecret(BaseModel):
    """One site's: ``username`` and ``password``, or ``token``, and the ``endpoint`` it is for."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    endpoint: Annotated[
        str, StringConstraints(pattern=r"^(?:http|mqtt)s?://[^/@?#\s]+(?:/[^@?#\s]*)?$")
    ]
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
    default = _DEFAULT_PORTS.get(parts.scheme, 80)
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
    """The secrets in force; a file is read again when it changes.

    Raises
    ------
    SiteSecretsError
        If they are wrong at the start.
    """

    def __init__(self, text: str | None, path: Path | None, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._looked = monotonic()
        self._mismatches: set[str] = set()
        self._file: WatchedFile[dict[str, SiteSecret]] | None = None
        self._given: dict[str, SiteSecret] = {}
        if path is not None:
            self._file = WatchedFile(
                *("site secrets", lambda: _read(path), lambda _: (path,)),
                value=_read(path),
                error=SiteSecretsError,
            )
        elif text is not None:
            self._given = parse_site_secrets(text, "FLEETSCOPE_SITE_SECRETS")

    @property
    def successful(self) -> bool | None:
        """Whether what is on disk now is in force; None where no file is named."""
        return None if self._file is None else self._file.successful

    def authorization(self, site: str, url: str) -> str | None:
        """What to send to a site at an endpoint as ``Authorization``; None for nothing."""
        secret = self._of(site, url)
        return secret.header() if secret is not None else None

    def login(self, site: str, url: str) -> tuple[str, str | None, str | None]:
        """Whose entry is used for a site at a broker, its user name and its password.

        A token is a password without a user name of its own; some brokers want any name with it.
        """
        key = site
        secret = self._of(site, url)
        if secret is None:
            brokers = ((k, s) for k, s in self._current().items() if "://" in k)
            same = (item for item in brokers if origin(item[1].endpoint) == origin(url))
            key, secret = next(same, ("", None))
        if secret is None:
            return "", None, None
        password = secret.token or secret.password
        plain = password.get_secret_value() if password else None
        return key, secret.username or "fleetscope", plain

    def _of(self, site: str, url: str) -> SiteSecret | None:
        secret = self._current().get(site)
        if secret is None:
            return None
        if origin(secret.endpoint) != origin(url):
            if site not in self._mismatches:
                self._mismatches.add(site)
                log.error(
                    "site %s: its secret is for another endpoint than the fleet file's and is "
                    "not sent",
                    site,
                )
            return None
        return secret

    def _current(self) -> dict[str, SiteSecret]:
        if self._file is None:
            return self._given
        now = self._monotonic()
        if now - self._looked >= WATCH_SECONDS:
            self._looked = now
            if self._file.changed() and self._file.reload():
                self._mismatches.clear()
                log.info("site secrets taken: %d sites", len(self._file.value))
        return self._file.value


def _read(path: Path) -> dict[str, SiteSecret]:
    name = "FLEETSCOPE_SITE_SECRETS_FILE"
    try:
        if path.stat().st_size > _LARGEST_FILE:
            raise SiteSecretsError(f"{name}: is larger than 16 MiB")
        return parse_site_secrets(path.read_text("utf-8"), name)
    except OSError as error:
        raise SiteSecretsError(f"{name}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise SiteSecretsError(f"{name}: is not UTF-8") from None


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
