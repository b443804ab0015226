"""Orders with tokens of a provider on this machine; test_keycloak has the same with Keycloak."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.serve.access.issuer import AUDIENCE, issuing, rsa_key
from tests.serve.access.ordering import check_orders, ordering, unsigned

pytestmark = pytest.mark.stack


def test_tokens_decide_who_orders(tmp_path: Path) -> None:
    with (
        issuing() as issuer,
        issuing() as stranger,
        ordering(tmp_path, {"issuer": issuer.url, "audience": AUDIENCE}) as running,
    ):
        groups = ["/south/operator"]
        good = issuer.token(groups=groups)
        check_orders(
            running,
            operator=good,
            viewer=issuer.token(sub="ben", groups=["/south/viewer"]),
            other=issuer.token(sub="nora", groups=["/north/operator"]),
            refused={
                "other audience": issuer.token(groups=groups, aud="grafana"),
                "no audience": issuer.token(groups=groups, aud=None),
                "expired": issuer.token(groups=groups, exp=1_600_000_000),
                "none": unsigned(good),
                "swapped key": issuer.token(groups=groups, key=rsa_key()),
                "other issuer": stranger.token(groups=groups),
                "issuer that is only named": stranger.token(groups=groups, iss=issuer.url),
                "no token": "abc",
            },
        )
