"""Options of every driver that may reach its site over TLS."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, Field, ValidationInfo

from exporter.config.driver_options import DriverOptions, OptionContext
from exporter.config.field_types import Text, field_error
from exporter.drivers.transport.http.trust import Trust, authorities

_TLS_SCHEMES = ("https", "mqtts")


def _needs_tls(info: ValidationInfo) -> None:
    context = info.context
    if isinstance(context, OptionContext):
        scheme = context.endpoint.partition(":")[0]
        if scheme not in _TLS_SCHEMES:
            needed = {"mqtt": "mqtts"}.get(scheme, "https")
            raise field_error(f"needs an api_endpoint with {needed}")


def _check_ca_file(value: str, info: ValidationInfo) -> str:
    _needs_tls(info)
    context = info.context
    path = str(context.folder / value) if isinstance(context, OptionContext) else value
    try:
        authorities(path)
    except ValueError as error:
        raise field_error(str(error)) from None
    return path


def _check_fingerprint(value: str, info: ValidationInfo) -> str:
    digits = value.replace(":", "").lower()
    if not re.fullmatch(r"[0-9a-f]{64}", digits):
        raise field_error("expected the certificate's SHA-256 fingerprint, 64 hexadecimal digits")
    _needs_tls(info)
    if isinstance(info.context, OptionContext) and "ca_file" in info.context.given:
        raise field_error("is given in addition to ca_file; give one of them")
    return digits


class HttpOptions(DriverOptions):
    """Whose certificate is trusted where ``api_endpoint`` is ``https`` or ``mqtts``."""

    ca_file: Annotated[Text, AfterValidator(_check_ca_file)] | None = Field(
        None,
        description="Certificate authority for TLS, relative to this file; excludes "
        "`certificate_sha256`",
    )
    certificate_sha256: Annotated[str, AfterValidator(_check_fingerprint)] | None = Field(
        None, description="Fingerprint of the one certificate to be trusted"
    )

    @property
    def trust(self) -> Trust:
        """What the site's certificate must be."""
        return Trust(self.ca_file, self.certificate_sha256)
