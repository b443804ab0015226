"""Bearer tokens of a provider: what is taken, what is refused, and what it costs."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization

from exporter.serve.access import signing_keys
from exporter.serve.access.failures import Failures
from exporter.serve.access.oidc_config import Oidc
from exporter.serve.access.roles import Role
from exporter.serve.access.web_config import WebConfigError, load_web_config
from tests.serve.access.conftest import Certificates, hashed
from tests.serve.access.issuer import AUDIENCE, Issuer, issuing, public, rsa_key
from tests.serve.access.test_guard import basic, client, configured, serving

RULES = [
    {"claim": "groups", "pattern": "/(?P<project>[a-z]+)/(?P<role>viewer|operator|admin)"},
    {"claim": ["realm", "roles"], "value": "fleet-admin", "project": "*", "role": "admin"},
]


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    with issuing() as found:
        yield found


@pytest.fixture(autouse=True)
def _no_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Failures, "add", lambda *_: 0.0)


def with_oidc(issuer: Issuer, **more: Any) -> dict[str, Any]:
    return {"oidc": {"issuer": issuer.url, "audience": AUDIENCE, "roles": RULES} | more}


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def test_a_good_token_signs_in(tmp_path: Path, issuer: Issuer) -> None:
    users = {"basic_auth_users": {"ops": hashed("right")}}
    settings = configured(tmp_path, with_oidc(issuer) | users, change_token="change-me-4711-4711")
    async with serving(settings) as (url, guarded), client(url) as http:
        await guarded.watch()
        asked = issuer.asked.total()
        assert asked == 2
        for contacts, group in ((True, "/south/operator"), (False, "/south/viewer")):
            reply = await http.get("/who", headers=bearer(issuer.token(groups=[group])))
            assert (reply.status, await reply.json()) == (200, contacts)
        # The keys were there before anybody asked.
        assert issuer.asked.total() == asked
        assert (await http.get("/who", headers=basic("ops", "right"))).status == 200
        assert (await http.get("/who", headers=bearer("change-me-4711-4711"))).status == 200
        refused = await http.get("/who")
        assert refused.status == 401
        assert refused.headers["WWW-Authenticate"].startswith("Basic realm=")
        assert 'Bearer realm="Fleetscope"' in refused.headers["WWW-Authenticate"]
        admin = issuer.token(realm={"roles": ["fleet-admin"]})
        assert (await http.post("/-/reload", headers=bearer(admin))).status == 200
        assert (await http.post("/-/reload", headers=bearer(issuer.token()))).status == 403
        nobody = await http.get("/who", headers=bearer(issuer.token(groups=["/staff"])))
        assert nobody.status == 403


def hmac_with(secret: bytes, issuer: Issuer) -> str:
    """Signed as by a shared secret that everybody knows; PyJWT itself refuses to make it."""
    import hashlib
    import hmac

    header = {"alg": "HS256", "typ": "JWT", "kid": "one"}
    parts = [encoded(json.dumps(part).encode()) for part in (header, issuer.claims())]
    signature = hmac.new(secret, ".".join(parts).encode(), hashlib.sha256).digest()
    return ".".join([*parts, encoded(signature)])


def encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unsigned(issuer: Issuer, algorithm: str) -> str:
    header = {"alg": algorithm, "typ": "JWT", "kid": "one"}
    parts = [encoded(json.dumps(part).encode()) for part in (header, issuer.claims())]
    return ".".join([*parts, ""])


def pem(issuer: Issuer) -> bytes:
    return issuer.key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def tampered(issuer: Issuer) -> str:
    head, _, signature = issuer.token().split(".")
    claims = issuer.claims(groups=["/south/admin"])
    return ".".join([head, encoded(json.dumps(claims).encode()), signature])


def own_key(issuer: Issuer, where: str) -> str:
    """A token that brings the key it is to be verified with."""
    mine = rsa_key()
    brought = {"jwk": public(mine, "one")} if where == "jwk" else {where: f"{issuer.url}/mine"}
    return issuer.token(key=mine, header=brought)


REFUSED = {
    "none": lambda i: unsigned(i, "none"),
    "None": lambda i: unsigned(i, "None"),
    "no signature": lambda i: unsigned(i, "RS256"),
    "HS256 with the public key": lambda i: hmac_with(pem(i), i),
    "HS256 with the JWK": lambda i: hmac_with(json.dumps(i.keys[0]).encode(), i),
    "swapped key": lambda i: i.token(key=rsa_key()),
    "changed claims": tampered,
    "expired": lambda i: i.token(exp=1_600_000_000),
    "expired beyond the leeway": lambda i: i.token(exp=i.claims()["iat"] - 31),
    "not yet valid": lambda i: i.token(nbf=i.claims()["iat"] + 3600),
    "issued in the future": lambda i: i.token(iat=i.claims()["iat"] + 3600),
    "no expiry": lambda i: i.token(exp=None),
    "expiry that is no number": lambda i: i.token(exp="tomorrow"),
    "other audience": lambda i: i.token(aud="grafana"),
    "other audiences": lambda i: i.token(aud=["grafana", "account"]),
    "no audience": lambda i: i.token(aud=None),
    "other issuer": lambda i: i.token(iss="https://evil.example.net"),
    "issuer with a slash": lambda i: i.token(iss=i.url + "/"),
    "no issuer": lambda i: i.token(iss=None),
    "no subject": lambda i: i.token(sub=None),
    "subject with a line break": lambda i: i.token(sub="anna\nops"),
    "unknown key": lambda i: i.token(kid="two"),
    "no key": lambda i: i.token(kid=None),
    "key of another kind": lambda i: i.token(kid="curve"),
    "algorithm that is not configured": lambda i: i.token(algorithm="PS256"),
    "curve that is not configured": lambda i: i.token(key=i.curve, algorithm="ES256", kid="curve"),
    "extension": lambda i: i.token(header={"crit": ["b64"], "b64": True}),
    "key in the header": lambda i: own_key(i, "jwk"),
    "address of a key set": lambda i: own_key(i, "jku"),
    "address of a certificate": lambda i: own_key(i, "x5u"),
    "long": lambda i: i.token(filler="x" * 17_000),
    "cut": lambda i: i.token()[:-20],
    "no token": lambda i: "abc",
    "dots": lambda i: "..",
    "nested header": lambda i: encoded(b"[" * 9000) + ".e30.x",
    "header that is no object": lambda i: encoded(b'"RS256"') + ".e30.x",
    "bytes": lambda i: "\x80.\x80.\x80",
    "empty": lambda i: "",
}


@pytest.mark.parametrize("make", REFUSED.values(), ids=REFUSED.keys())
async def test_a_bad_token_is_refused(tmp_path: Path, issuer: Issuer, make: Any) -> None:
    async with (
        serving(configured(tmp_path, with_oidc(issuer))) as (url, guarded),
        client(url) as http,
    ):
        await guarded.watch()
        token = make(issuer)
        reply = await http.get("/who", headers=bearer(token))
        assert reply.status == 401
        assert reply.headers["WWW-Authenticate"] == 'Bearer realm="Fleetscope"'
        assert not token or token not in await reply.text()
        # The provider's own token is still taken.
        assert (await http.get("/who", headers=bearer(issuer.token()))).status == 200


@pytest.mark.parametrize("kind", ["PS256", "ES256"])
async def test_other_algorithms_where_they_are_configured(
    tmp_path: Path, issuer: Issuer, kind: str
) -> None:
    issuer.keys = [public(issuer.key, "one", "PS256"), issuer.keys[1]]
    settings = configured(tmp_path, with_oidc(issuer, algorithms=[kind]))
    key, name = (issuer.key, "one") if kind == "PS256" else (issuer.curve, "curve")
    async with serving(settings) as (url, _), client(url) as http:
        good = issuer.token(key=key, algorithm=kind, kid=name)
        assert (await http.get("/who", headers=bearer(good))).status == 200
        assert (await http.get("/who", headers=bearer(issuer.token()))).status == 401


async def test_the_clocks_may_differ_by_the_leeway(tmp_path: Path, issuer: Issuer) -> None:
    settings = configured(tmp_path, with_oidc(issuer, leeway="5m"))
    now = issuer.claims()["iat"]
    async with serving(settings) as (url, _), client(url) as http:
        for changed in ({"exp": now - 200}, {"iat": now + 200}, {"nbf": now + 200}):
            assert (await http.get("/who", headers=bearer(issuer.token(**changed)))).status == 200


async def test_keys_rotate(tmp_path: Path, issuer: Issuer, monkeypatch: pytest.MonkeyPatch) -> None:
    async with (
        serving(configured(tmp_path, with_oidc(issuer))) as (url, guarded),
        client(url) as http,
    ):
        await guarded.watch()
        new = rsa_key()
        issuer.keys = [public(new, "two")]
        fresh, old = bearer(issuer.token(key=new, kid="two")), bearer(issuer.token())
        # Nobody makes this server ask its provider more often than that.
        assert (await http.get("/who", headers=fresh)).status == 401
        monkeypatch.setattr(signing_keys, "UNKNOWN_KEY_SECONDS", 0.0)
        assert (await http.get("/who", headers=fresh)).status == 200
        assert (await http.get("/who", headers=old)).status == 401


async def test_a_flood_of_unknown_keys_asks_the_provider_once(
    tmp_path: Path, issuer: Issuer
) -> None:
    async with serving(configured(tmp_path, with_oidc(issuer))) as (url, _), client(url) as http:
        for n in range(50):
            reply = await http.get("/who", headers=bearer(issuer.token(kid=f"made-up-{n}")))
            assert reply.status == 401
        assert issuer.asked.total() == 2


async def test_keys_stay_while_the_provider_fails(tmp_path: Path, issuer: Issuer) -> None:
    settings = configured(tmp_path, with_oidc(issuer, refresh="1s"))

    def broken(handler: BaseHTTPRequestHandler) -> None:
        handler.send_error(503)

    async with serving(settings) as (url, guarded), client(url) as http:
        await guarded.watch()
        issuer.replies["/realms/fleet/.well-known/openid-configuration"] = broken
        keys = guarded._sign_in._verifier
        assert keys is not None
        await keys.refresh(1e12)
        assert (await http.get("/who", headers=bearer(issuer.token()))).status == 200


async def test_the_provider_is_known_by_its_authority(
    tmp_path: Path, certificates: Certificates
) -> None:
    authority = certificates.file.name
    with issuing(certificates.issue("issuer.pem", "127.0.0.1")) as issuer:
        for given, status in (({"ca_file": authority}, 200), ({}, 401)):
            settings = configured(tmp_path, with_oidc(issuer, **given))
            async with serving(settings) as (url, _), client(url) as http:
                assert (await http.get("/who", headers=bearer(issuer.token()))).status == status


def large(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.end_headers()
    try:
        for _ in range(4000):
            handler.wfile.write(b" " * 65536)
    except OSError:
        return


def redirected(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(302)
    handler.send_header("Location", "/elsewhere")
    handler.end_headers()


def compressed(handler: BaseHTTPRequestHandler) -> None:
    body = gzip.compress(b" " * 10_000_000 + b"{}")
    handler.send_response(200)
    handler.send_header("Content-Encoding", "gzip")
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


def no_json(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", "6")
    handler.end_headers()
    handler.wfile.write(b"[1, 2]")


@pytest.mark.parametrize("reply", [large, redirected, compressed, no_json])
@pytest.mark.parametrize("path", ["/.well-known/openid-configuration", "/keys"])
async def test_a_provider_that_answers_oddly_gives_no_keys(
    tmp_path: Path, issuer: Issuer, path: str, reply: Any, caplog: pytest.LogCaptureFixture
) -> None:
    issuer.replies[f"/realms/fleet{path}"] = reply
    async with serving(configured(tmp_path, with_oidc(issuer))) as (url, _), client(url) as http:
        assert (await http.get("/who", headers=bearer(issuer.token()))).status == 401
    assert issuer.asked["/elsewhere"] == 0
    assert caplog.text.count("no signing keys of") == 1


@pytest.mark.parametrize(
    "change",
    [
        {"issuer": "https://other.example.com"},
        {"jwks_uri": "http://keys.example.com/keys"},
        {"jwks_uri": "file:///etc/passwd"},
        {"jwks_uri": 4711},
        {"jwks_uri": None},
    ],
)
async def test_a_discovery_document_that_leads_astray_is_refused(
    tmp_path: Path, issuer: Issuer, change: dict[str, Any]
) -> None:
    issuer.discovery |= change
    async with serving(configured(tmp_path, with_oidc(issuer))) as (url, _), client(url) as http:
        assert (await http.get("/who", headers=bearer(issuer.token()))).status == 401


@pytest.mark.parametrize(
    "change", [{"use": "enc"}, {"alg": "RS512"}, {"kty": "oct"}, {"n": "AQAB"}, {"n": 5}]
)
async def test_keys_that_are_not_for_signing_are_left_out(
    tmp_path: Path, issuer: Issuer, change: dict[str, Any]
) -> None:
    issuer.keys = ["nonsense", public(issuer.key, "one", **change)]
    async with serving(configured(tmp_path, with_oidc(issuer))) as (url, _), client(url) as http:
        assert (await http.get("/who", headers=bearer(issuer.token()))).status == 401


@pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning")
async def test_a_short_key_is_left_out(tmp_path: Path, issuer: Issuer) -> None:
    short = rsa_key(1024)
    issuer.keys = [public(short, "one")]
    async with serving(configured(tmp_path, with_oidc(issuer))) as (url, _), client(url) as http:
        assert (await http.get("/who", headers=bearer(issuer.token(key=short)))).status == 401


def oidc(**changed: Any) -> Oidc:
    base = {"issuer": "https://sso.example.com", "audience": "a", "roles": RULES}
    return Oidc.model_validate(base | changed)


@pytest.mark.parametrize(
    ("claims", "roles"),
    [
        ({}, ()),
        ({"groups": "/south/viewer"}, (("south", Role.VIEWER),)),
        ({"groups": ["/south/viewer", "/south/admin"]}, (("south", Role.ADMIN),)),
        (
            {"groups": ["/south/viewer", "/north/operator"]},
            (("north", Role.OPERATOR), ("south", Role.VIEWER)),
        ),
        ({"groups": ["/south/owner", "x/south/viewer", "/south/viewer/x", 5, None]}, ()),
        ({"groups": {"/south/viewer": 1}}, ()),
        ({"realm": {"roles": ["fleet-admin"]}}, (("*", Role.ADMIN),)),
        ({"realm": "fleet-admin"}, ()),
        ({"realm.roles": "fleet-admin"}, ()),
        ({"groups": ["x" * 10_000, "/south/viewer"]}, (("south", Role.VIEWER),)),
    ],
)
def test_claims_give_roles(claims: dict[str, Any], roles: Any) -> None:
    assert oidc().roles_of(claims) == roles


def test_no_claim_names_every_project() -> None:
    rules = [{"claim": "p", "pattern": "(?P<project>.*)", "role": "admin"}]
    assert oidc(roles=rules).roles_of({"p": ["*", "", "a b", "ok"]}) == (("ok", Role.ADMIN),)


WRONG = {
    "issuer: http://sso.example.com": "line 2, column 3: oidc.issuer: expected https",
    "issuer: sso": "line 2, column 3: oidc.issuer: expected an address",
    "algorithms: [HS256]": "oidc.algorithms.0: Input should be",
    "algorithms: [none]": "oidc.algorithms.0: Input should be",
    "algorithms: []": "oidc.algorithms: ",
    "roles: []": "oidc.roles: ",
    "roles: [{claim: g, value: x, project: a}]": "oidc.roles.0: expected role",
    "roles: [{claim: g, project: a, role: admin}]": "expected either value or pattern",
    "roles: [{claim: g, pattern: '(', project: a, role: admin}]": "is no regular expression",
    "roles: [{claim: g, value: x, project: a b, role: admin}]": "oidc.roles.0.project",
    "leeway: 1h": "oidc.leeway",
    "secret: s3cret": "line 5, column 3: oidc.secret: Extra inputs are not permitted",
}


@pytest.mark.parametrize(("line", "said"), WRONG.items())
def test_mistakes_are_named_with_their_place(tmp_path: Path, line: str, said: str) -> None:
    lines = {
        "issuer": "issuer: https://sso.example.com",
        "audience": "audience: fleetscope",
        "roles": "roles: [{claim: g, value: x, project: a, role: admin}]",
    }
    lines[line.partition(":")[0]] = line
    path = tmp_path / "web.yml"
    path.write_text("oidc:\n" + "".join(f"  {text}\n" for text in lines.values()), "utf-8")
    with pytest.raises(WebConfigError) as error:
        load_web_config(path)
    assert said in str(error.value)
    assert "s3cret" not in str(error.value)


def test_a_role_of_an_unknown_user_is_a_mistake(tmp_path: Path) -> None:
    path = tmp_path / "web.yml"
    path.write_text("basic_auth_users: {}\nroles:\n  anna: {south: viewer}\n", "utf-8")
    with pytest.raises(WebConfigError, match=r"line 3, column 3: roles.anna: 'anna' is no user"):
        load_web_config(path)
