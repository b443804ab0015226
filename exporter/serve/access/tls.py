"""The server's side of TLS, from ``tls_server_config``."""

from __future__ import annotations

import contextlib
import os
import ssl
from collections.abc import Iterator
from pathlib import Path

from exporter.serve.access.web_config import CIPHERS, TlsServer, WebConfigError

_VERSIONS = {
    "TLS10": ssl.TLSVersion.TLSv1,
    "TLS11": ssl.TLSVersion.TLSv1_1,
    "TLS12": ssl.TLSVersion.TLSv1_2,
    "TLS13": ssl.TLSVersion.TLSv1_3,
}
_DEMANDS = {
    "NoClientCert": ssl.CERT_NONE,
    "VerifyClientCertIfGiven": ssl.CERT_OPTIONAL,
    "RequireAndVerifyClientCert": ssl.CERT_REQUIRED,
}


def server_context(config: TlsServer) -> ssl.SSLContext:
    """The context that connections are taken with.

    Raises
    ------
    WebConfigError
        If a certificate or key cannot be read or they do not go together.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = _VERSIONS[config.min_version]
    context.maximum_version = _VERSIONS[config.max_version]
    if config.cipher_suites:
        context.set_ciphers(":".join(CIPHERS[name] for name in config.cipher_suites))
    if config.prefer_server_cipher_suites:
        context.options |= ssl.OP_CIPHER_SERVER_PREFERENCE
    context.verify_mode = _DEMANDS[config.client_auth_type]
    key = config.key.get_secret_value() if config.key else None
    try:
        with _file(config.cert_file, config.cert) as cert, _file(config.key_file, key) as key_file:
            context.load_cert_chain(cert, key_file, password=_no_password)
        if config.client_auth_type != "NoClientCert":
            with _file(config.client_ca_file, config.client_ca) as ca:
                context.load_verify_locations(ca)
    except OSError as error:
        reason = getattr(error, "reason", None) or error.strerror or type(error).__name__
        where = f" ({error.filename})" if error.filename else ""
        raise WebConfigError(f"tls_server_config: {reason}{where}") from None
    return context


def _no_password() -> str:
    raise WebConfigError("tls_server_config: the key has a password; keys must have none here")


@contextlib.contextmanager
def _file(path: Path | None, text: str | None) -> Iterator[str]:
    """The path of what stands in a file or in the configuration itself, which never gets to a
    disk: the TLS library reads files alone."""
    if path is not None:
        with path.open("rb"):
            yield str(path)
        return
    descriptor = os.memfd_create("fleetscope", os.MFD_CLOEXEC)
    try:
        os.write(descriptor, (text or "").encode())
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)
