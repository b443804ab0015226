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
from pydantic import Field, SecretStr, StringConstraints, ValidationError, model_validator
from pydantic_core import ErrorDetails

from exporter.model.extras import missing
from exporter.serve.access.durations import Seconds
from exporter.serve.access.oidc_config import Oidc
from exporter.serve.access.roles import EVERY_PROJECT, Role
from exporter.serve.access.web_model import RoleName, RoleProject, WebModel

_LARGEST_FILE = 1024 * 1024
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


class _PlacedError(ValueError):
    """A mistake whose place is deeper than the model that found it."""

    def __init__(self, message: str, *where: str) -> None:
        super().__init__(message)
        self.where = where


class TlsServer(WebModel):
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


class Headers(WebModel):
    """``http_server_config.headers``; blank is unset."""

    csp: Header = Field("", alias="Content-Security-Policy")
    frame: Literal["", "deny", "sameorigin", "DENY", "SAMEORIGIN"] = Field(
        "", alias="X-Frame-Options"
    )
    sniff: Literal["", "nosniff"] = Field("", alias="X-Content-Type-Options")
    xss: Header = Field("", alias="X-XSS-Protection")
    transport: Header = Field("", alias="Strict-Transport-Security")


class HttpServer(WebModel):
    """``http_server_config``. HTTP/1.1 is what is served, whatever ``http2`` says."""

    http2: bool = True
    headers: Headers = Headers.model_construct()


class RateLimit(WebModel):
    """``rate_limit``, for each client: seconds between requests and how many may come at once."""

    interval: Seconds = 0.02
    burst: Annotated[int, Field(ge=1, le=100_000)] = 200


class WebConfig(WebModel):
    """The whole file; an empty one is served without TLS and sign-in.

    ``roles`` (of users, by project) and ``oidc`` are not of Prometheus's format.
    """

    tls_server_config: TlsServer | None = None
    http_server_config: HttpServer = HttpServer()
    basic_auth_users: dict[str, SecretStr] = Field(default_factory=dict)
    roles: dict[str, dict[RoleProject, RoleName]] | None = None
    oidc: Oidc | None = None
    rate_limit: RateLimit = RateLimit()

    @model_validator(mode="after")
    def _known_users(self) -> Self:
        for name in self.roles or {}:
            if name not in self.basic_auth_users:
                raise _PlacedError(f"{name!r} is no user of basic_auth_users", "roles", name)
        return self

    @model_validator(mode="after")
    def _hashes(self) -> Self:
        for name, hashed in self.basic_auth_users.items():
            if not _BCRYPT.match(hashed.get_secret_value()):
                message = f"{name!r} has no bcrypt hash with a cost from 4 to 16"
                raise _PlacedError(message, "basic_auth_users", name)
            if ":" in name or not name.isprintable():
                raise _PlacedError(f"{name!r} cannot be a user name", "basic_auth_users", name)
        return self

    @property
    def signs_in(self) -> bool:
        """Whether callers have to sign in."""
        return bool(self.basic_auth_users) or self.oidc is not None

    def roles_of(self, user: str) -> tuple[tuple[str, Role], ...]:
        """The roles of a user in projects; without ``roles`` in the file everybody reads all."""
        if self.roles is None:
            return ((EVERY_PROJECT, Role.VIEWER),)
        given = self.roles.get(user, {})
        return tuple((project, Role[name.upper()]) for project, name in given.items())

    def files(self) -> list[Path]:
        """The files that it names."""
        tls = self.tls_server_config
        named = [tls.cert_file, tls.key_file, tls.client_ca_file] if tls else []
        named += [self.oidc.ca_file] if self.oidc else []
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
        text = path.read_text("utf-8")
        config = _placed(WebConfig.model_validate(yaml.safe_load(text) or {}), path.parent)
    except OSError as error:
        raise WebConfigError(f"{path}: cannot be read: {error.strerror}") from None
    except (UnicodeDecodeError, yaml.YAMLError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        place = f", line {mark.line + 1}" if mark else ""
        # The parser's own words quote the file, and with it a secret.
        raise WebConfigError(f"{path}{place}: is not YAML") from None
    except ValidationError as error:
        lines = [_mistake(detail, text) for detail in error.errors(include_url=False)]
        raise WebConfigError(f"{path}:\n" + "\n".join(lines)) from None
    if config.oidc is not None and (lacking := missing("oidc")):
        raise WebConfigError(f"{path}: {lacking}")
    return config


def _mistake(detail: ErrorDetails, text: str) -> str:
    """One mistake with its place in the file, as far as the file has it; without any value."""
    where, cause = detail["loc"], detail.get("ctx", {}).get("error")
    if isinstance(cause, _PlacedError):
        where = (*where, *cause.where)
    node: yaml.Node | None = yaml.compose(text, Loader=yaml.SafeLoader)
    mark = None
    for part in where:
        found = _child(node, part)
        if found is None:
            break
        mark, node = found
    place = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
    name = ".".join(str(part) for part in where)
    message = detail["msg"].removeprefix("Value error, ")
    return f"  {place}{name}: {message}" if name else f"  {place}{message}"


def _child(node: yaml.Node | None, part: int | str) -> tuple[yaml.Mark, yaml.Node] | None:
    """Where a key or an item of a list stands, and its value."""
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value == part:
                return key.start_mark, value
    elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
        item = node.value[part]
        return item.start_mark, item
    return None


def _placed(config: WebConfig, folder: Path) -> WebConfig:
    """The configuration with every path relative to the folder of the file."""
    changed: dict[str, Any] = {}
    tls, oidc = config.tls_server_config, config.oidc
    if tls is not None:
        named = {
            name: folder / value
            for name in ("cert_file", "key_file", "client_ca_file")
            if (value := getattr(tls, name)) is not None
        }
        changed["tls_server_config"] = tls.model_copy(update=named)
    if oidc is not None and oidc.ca_file is not None:
        changed["oidc"] = oidc.model_copy(update={"ca_file": folder / oidc.ca_file})
    return config.model_copy(update=changed)
