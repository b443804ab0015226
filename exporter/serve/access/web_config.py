"""The web configuration file, in the format of Prometheus's exporter-toolkit.

Source: https://github.com/prometheus/exporter-toolkit/blob/master/docs/web-configuration.md.
What Python's TLS cannot do (certificates of clients that are asked for and not verified, a choice
of curves) is refused by name and never passed over.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    StringConstraints,
    ValidationError,
    model_validator,
)

from exporter.serve.access.roles import EVERY_PROJECT, Role

_LARGEST_FILE = 1024 * 1024
RoleName = Literal["viewer", "operator", "admin"]
RoleProject = Annotated[str, StringConstraints(pattern=r"^(\*|[A-Za-z0-9][A-Za-z0-9_-]{0,31})$")]
_DURATION = re.compile(r"(?:0|(?:\d+(?:\.\d+)?(?:ms|s|m|h))+)\Z")
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
# Beyond this cost one sign-in would take seconds of the processor.
_BCRYPT = re.compile(r"\$2[aby]\$(?:0[4-9]|1[0-6])\$[./A-Za-z0-9]{53}\Z")
# By the names that Go gives them: what OpenSSL calls them.
CIPHERS = {
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256": "ECDHE-ECDSA-AES128-GCM-SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384": "ECDHE-ECDSA-AES256-GCM-SHA384",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256": "ECDHE-ECDSA-CHACHA20-POLY1305",
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256": "ECDHE-RSA-AES128-GCM-SHA256",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384": "ECDHE-RSA-AES256-GCM-SHA384",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256": "ECDHE-RSA-CHACHA20-POLY1305",
}
Version = Literal["TLS10", "TLS11", "TLS12", "TLS13"]


class WebConfigError(Exception):
    """A web configuration that cannot be used; its text shows no secret."""


def _seconds(value: Any) -> float:
    if isinstance(value, (int, float)) and value == 0:
        return 0.0
    if not isinstance(value, str) or not _DURATION.match(value):
        raise ValueError("expected a duration such as 100ms or 1s, or 0 for no limit")
    parts = re.findall(r"(\d+(?:\.\d+)?)(ms|s|m|h)", value)
    return float(sum(float(number) * _UNITS[unit] for number, unit in parts))


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class TlsServer(_Model):
    """``tls_server_config``."""

    cert: str | None = None
    key: SecretStr | None = None
    client_ca: str | None = None
    cert_file: Path | None = None
    key_file: Path | None = None
    client_auth_type: Literal[
        "NoClientCert", "VerifyClientCertIfGiven", "RequireAndVerifyClientCert"
    ] = "NoClientCert"
    client_ca_file: Path | None = None
    client_allowed_sans: tuple[str, ...] = ()
    min_version: Version = "TLS12"
    max_version: Version = "TLS13"
    cipher_suites: tuple[str, ...] = ()
    prefer_server_cipher_suites: bool = True
    curve_preferences: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _whole(self) -> Self:
        for name in ("cert", "key"):
            given = [getattr(self, name), getattr(self, f"{name}_file")]
            if given.count(None) != 1:
                raise ValueError(f"expected either {name}_file or {name}")
        if self.client_ca is not None and self.client_ca_file is not None:
            raise ValueError("expected either client_ca_file or client_ca")
        has_ca = self.client_ca is not None or self.client_ca_file is not None
        if has_ca != (self.client_auth_type != "NoClientCert"):
            raise ValueError(
                "client_ca_file goes with client_auth_type VerifyClientCertIfGiven or "
                "RequireAndVerifyClientCert, and neither without the other"
            )
        if self.client_allowed_sans and self.client_auth_type != "RequireAndVerifyClientCert":
            raise ValueError("client_allowed_sans needs RequireAndVerifyClientCert")
        unknown = [name for name in self.cipher_suites if name not in CIPHERS]
        if unknown:
            raise ValueError(f"cipher_suites: expected some of {', '.join(CIPHERS)}")
        if self.curve_preferences:
            raise ValueError("curve_preferences cannot be set here; leave the key out")
        if self.min_version > self.max_version:
            raise ValueError("min_version is above max_version")
        return self


Header = Annotated[str, StringConstraints(pattern=r"^[\x20-\x7e]*$", max_length=4096)]


class Headers(_Model):
    """``http_server_config.headers``; blank is unset."""

    csp: Header = Field("", alias="Content-Security-Policy")
    frame: Literal["", "deny", "sameorigin", "DENY", "SAMEORIGIN"] = Field(
        "", alias="X-Frame-Options"
    )
    sniff: Literal["", "nosniff"] = Field("", alias="X-Content-Type-Options")
    xss: Header = Field("", alias="X-XSS-Protection")
    transport: Header = Field("", alias="Strict-Transport-Security")


class HttpServer(_Model):
    """``http_server_config``. HTTP/1.1 is what is served, whatever ``http2`` says."""

    http2: bool = True
    headers: Headers = Headers.model_construct()


class RateLimit(_Model):
    """``rate_limit``, for each client: seconds between requests and how many may come at once."""

    interval: Annotated[float, BeforeValidator(_seconds)] = 0.02
    burst: Annotated[int, Field(ge=1, le=100_000)] = 200


class WebConfig(_Model):
    """The whole file; an empty one is served without TLS and sign-in."""

    tls_server_config: TlsServer | None = None
    http_server_config: HttpServer = HttpServer()
    basic_auth_users: dict[str, SecretStr] = {}
    roles: dict[str, dict[RoleProject, RoleName]] | None = None
    rate_limit: RateLimit = RateLimit()

    @model_validator(mode="after")
    def _hashes(self) -> Self:
        for name, hashed in self.basic_auth_users.items():
            if not _BCRYPT.match(hashed.get_secret_value()):
                raise ValueError(
                    f"basic_auth_users: {name!r} has no bcrypt hash with a cost from 4 to 16"
                )
            if ":" in name or not name.isprintable():
                raise ValueError(f"basic_auth_users: {name!r} cannot be a user name")
        return self

    def roles_of(self, user: str) -> tuple[tuple[str, Role], ...]:
        """The roles of a user in projects; without ``roles`` in the file everybody reads all."""
        if self.roles is None:
            return ((EVERY_PROJECT, Role.VIEWER),)
        given = self.roles.get(user, {})
        return tuple((project, Role[name.upper()]) for project, name in given.items())

    def files(self) -> list[Path]:
        """The files that it names."""
        tls = self.tls_server_config
        named = (tls.cert_file, tls.key_file, tls.client_ca_file) if tls else ()
        return [path for path in named if path is not None]


def load_web_config(path: Path) -> WebConfig:
    """Read and check a web configuration; paths in it are relative to its folder.

    Raises
    ------
    WebConfigError
        Naming every key that is wrong, without any value.
    """
    try:
        if path.stat().st_size > _LARGEST_FILE:
            raise WebConfigError(f"{path}: is larger than 1 MiB")
        data = yaml.safe_load(path.read_text("utf-8"))
        return _placed(WebConfig.model_validate(data or {}), path.parent)
    except OSError as error:
        raise WebConfigError(f"{path}: cannot be read: {error.strerror}") from None
    except (UnicodeDecodeError, yaml.YAMLError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        place = f", line {mark.line + 1}" if mark else ""
        # The parser's own words quote the file, and with it a secret.
        raise WebConfigError(f"{path}{place}: is not YAML") from None
    except ValidationError as error:
        lines = []
        for detail in error.errors(include_url=False, include_input=False):
            name = ".".join(str(part) for part in detail["loc"])
            message = detail["msg"].removeprefix("Value error, ")
            lines.append(f"  {name}: {message}" if name else f"  {message}")
        raise WebConfigError(f"{path}:\n" + "\n".join(lines)) from None


def _placed(config: WebConfig, folder: Path) -> WebConfig:
    tls = config.tls_server_config
    if tls is None:
        return config
    named = {
        name: folder / value
        for name in ("cert_file", "key_file", "client_ca_file")
        if (value := getattr(tls, name)) is not None
    }
    return config.model_copy(update={"tls_server_config": tls.model_copy(update=named)})
