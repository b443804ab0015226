"""An OpenID provider on this machine: discovery, keys, and tokens that tests make of them."""

from __future__ import annotations

import contextlib
import json
import ssl
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa

AUDIENCE = "fleetscope"


def rsa_key(bits: int = 2048) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)


def public(key: Any, name: str, algorithm: str = "RS256", **more: Any) -> dict[str, Any]:
    """The public part of a key as a JSON Web Key."""
    kind = jwt.get_algorithm_by_name(algorithm)
    found: dict[str, Any] = kind.to_jwk(key.public_key(), as_dict=True)
    return found | {"kid": name, "use": "sig", "alg": algorithm} | more


@dataclass
class Issuer:
    """The provider; replies may be exchanged while it runs."""

    url: str
    key: rsa.RSAPrivateKey
    curve: ec.EllipticCurvePrivateKey
    keys: list[dict[str, Any]] = field(default_factory=list)
    replies: dict[str, Callable[[BaseHTTPRequestHandler], None]] = field(default_factory=dict)
    asked: Counter[str] = field(default_factory=Counter)
    discovery: dict[str, Any] = field(default_factory=dict)

    def claims(self, **changed: Any) -> dict[str, Any]:
        """The claims of a good token; a changed one that is None is absent."""
        now = int(time.time())
        found = {
            "iss": self.url,
            "aud": AUDIENCE,
            "sub": "anna",
            "iat": now,
            "exp": now + 300,
            "groups": ["/south/operator", "/staff"],
        }
        return {k: v for k, v in (found | changed).items() if v is not None}

    def token(
        self, *, key: Any = None, algorithm: str = "RS256", kid: str | None = "one", **changed: Any
    ) -> str:
        """A token that is good unless something is changed."""
        header = changed.pop("header", {}) | ({"kid": kid} if kid else {})
        return jwt.encode(self.claims(**changed), key or self.key, algorithm, headers=header)


@contextlib.contextmanager
def issuing(certificate: Path | None = None) -> Iterator[Issuer]:
    """The provider while it runs; over TLS with a certificate and its key in one file."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            issuer.asked[self.path] += 1
            if self.path in issuer.replies:
                issuer.replies[self.path](self)
                return
            if self.path.endswith("/.well-known/openid-configuration"):
                self.answer(issuer.discovery)
            else:
                self.answer({"keys": issuer.keys})

        def answer(self, data: Any) -> None:
            body = json.dumps(data).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    scheme = "http" if certificate is None else "https"
    url = f"{scheme}://127.0.0.1:{server.server_port}/realms/fleet"
    issuer = Issuer(url, rsa_key(), ec.generate_private_key(ec.SECP256R1()))
    issuer.discovery = {"issuer": url, "jwks_uri": f"{url}/keys"}
    issuer.keys = [public(issuer.key, "one"), public(issuer.curve, "curve", "ES256")]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield issuer
    finally:
        server.shutdown()
        server.server_close()
