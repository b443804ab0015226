"""``python -m exporter.cli.healthcheck [HOST:PORT]``: a container's check that the exporter lives.

Over TLS where its web configuration asks for that, without a look at the certificate: what is
asked is on this machine, and says nothing but that it lives.
"""

from __future__ import annotations

import http.client
import ssl
import sys

ASK_SECONDS = 4.0
USUAL = "127.0.0.1:9797"


def fault(place: str) -> str | None:
    """What is wrong with the exporter at HOST:PORT; None if it is well."""
    unverified = ssl.create_default_context()
    unverified.check_hostname, unverified.verify_mode = False, ssl.CERT_NONE
    plain = http.client.HTTPConnection(place, timeout=ASK_SECONDS / 2)
    secure = http.client.HTTPSConnection(place, timeout=ASK_SECONDS / 2, context=unverified)
    wrong = ""
    for connection in (plain, secure):
        connected = False
        try:
            connection.connect()
            connected = True
            connection.request("GET", "/healthz")
            status = connection.getresponse().status
            return None if status == 200 else f"answers {status}"
        except (OSError, http.client.HTTPException) as error:
            if connection is secure and connected:
                # It wants a certificate of its callers. Its loop turns, or no TLS were spoken.
                return None
            wrong = str(error) or type(error).__name__
        finally:
            connection.close()
    return wrong


if __name__ == "__main__":
    found = fault(sys.argv[1] if len(sys.argv) > 1 else USUAL)
    if found is not None:
        sys.exit(f"the exporter is not well: {found}")
