"""Workloads prove themselves with a token of their own platform (RFC 7523): it works, and nothing like it does."""

from __future__ import annotations

import base64
import hmac
import json
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey

from admin_sync.desired.providers import workload_alias
from identity.jws import ALGORITHMS, parse

if TYPE_CHECKING:
    from tests.conftest import Stack
    from tests.realm.conftest import Realm

pytestmark = pytest.mark.integration

CHECKOUT = Path(__file__).resolve().parents[2]
KIND = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
POD = "system:serviceaccount:settlement:worker"
SUBJECT = "repo:tradepulse/platform:ref:refs/heads/main"


@dataclass
class Platform:
    """An issuer of workload tokens whose key we hold, so that it can be made to say anything."""

    url: str
    key: RSAKey
    audience: str
    headers: dict[str, Any] = field(default_factory=dict)

    def claims(self, **changed: Any) -> dict[str, Any]:
        now = int(time.time())
        made = {
            "iss": self.url, "sub": SUBJECT, "aud": self.audience, "jti": str(uuid.uuid4()),
            "iat": now, "exp": now + 60, **changed,
        }  # fmt: skip
        return {name: value for name, value in made.items() if value is not None}

    def token(self, **changed: Any) -> str:
        return jwt.encode({"alg": "RS256", "kid": self.key.kid, "typ": "JWT"}, self.claims(**changed), self.key)


@pytest.fixture(scope="module")
def platform(realm: Realm) -> Iterator[Platform]:
    key = RSAKey.generate_key(2048, auto_kid=True)
    public = {**key.as_dict(private=False), "use": "sig", "alg": "RS256"}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            url = f"http://127.0.0.1:{server.server_address[1]}/ci"
            described = {"issuer": url, "jwks_uri": f"{url}/keys"}
            body = json.dumps(described if "well-known" in self.path else {"keys": [public]}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    yield Platform(f"http://127.0.0.1:{server.server_address[1]}/ci", key, realm.issuer)
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def twin(realm: Realm, stack: Stack, platform: Platform) -> Iterator[str]:
    """A client like `ci-deployer` in everything but its name and its platform, which is ours."""
    alias, client_id = "workload-twin", "ci-twin"
    made = realm.admin.get(f"{realm.path}/identity-provider/instances/{workload_alias(stack.env['CI_ISSUER'])}")
    config = {**made["config"], "issuer": platform.url, "jwksUrl": f"{platform.url}/keys"}
    body = {**made, "alias": alias, "config": config}
    body.pop("internalId")
    realm.admin.post(f"{realm.path}/identity-provider/instances", body)
    (deployer,) = realm.admin.get(f"{realm.path}/clients", clientId="ci-deployer")
    attributes = {**deployer["attributes"], "jwt.credential.issuer": alias}
    attributes.pop("tradepulse.managed")
    kept = {name: value for name, value in deployer.items() if name not in ("id", "secret", "protocolMappers")}
    identity = realm.admin.post(f"{realm.path}/clients", {**kept, "clientId": client_id, "attributes": attributes})
    yield client_id
    realm.admin.delete(f"{realm.path}/clients/{identity}")
    realm.admin.delete(f"{realm.path}/identity-provider/instances/{alias}")


@pytest.fixture(scope="module")
def cluster(realm: Realm, platform: Platform, twin: str) -> Iterator[Platform]:
    """A Kubernetes cluster's issuer, declared as docs/workload-identity.md says; the twin is one of its pods."""
    alias, issuer = "workload-cluster", platform.url
    config = {"issuer": issuer, "tradepulse.managed": "somebody"}
    body = {"alias": alias, "providerId": "kubernetes", "enabled": True, "linkOnly": True, "config": config}
    place = f"{realm.path}/identity-provider/instances"
    old = realm.admin.get(f"{place}/workload-twin")
    # One issuer belongs to one provider.
    realm.admin.delete(f"{place}/workload-twin")
    realm.admin.post(place, body)
    (client,) = realm.admin.get(f"{realm.path}/clients", clientId=twin)
    pod = {"jwt.credential.issuer": alias, "jwt.credential.sub": POD}
    realm.admin.put(f"{realm.path}/clients/{client['id']}", {**client, "attributes": {**client["attributes"], **pod}})
    yield platform
    realm.admin.put(f"{realm.path}/clients/{client['id']}", client)
    realm.admin.delete(f"{place}/{alias}")
    old.pop("internalId")
    realm.admin.post(place, old)


def ask(realm: Realm, assertion: str, **more: str) -> httpx.Response:
    form = {"grant_type": "client_credentials", "client_assertion_type": KIND, "client_assertion": assertion, **more}
    return httpx.post(f"{realm.issuer}/protocol/openid-connect/token", data=form, timeout=20)


def refused(realm: Realm, assertion: str, **more: str) -> dict[str, Any]:
    """Ask in vain; the audit line of it."""
    before = len(lines(realm))
    answer = ask(realm, assertion, **more)
    assert answer.status_code in (400, 401), answer.text
    assert "access_token" not in answer.text
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        for line in lines(realm)[before:]:
            if line["event"] == "client.login.error":
                assert line["outcome"] == "failure"
                assert assertion not in json.dumps(line)
                return line
        time.sleep(0.1)
    pytest.fail("the refusal left no line in the audit")


def lines(realm: Realm) -> list[dict[str, Any]]:
    text = (realm.audit / "iam_events.jsonl").read_bytes().splitlines()
    return [line for line in map(json.loads, text) if line["source"] == "keycloak"]


def from_ci(stack: Stack, audience: str) -> str:
    """A token of the neighbouring CI, as a job would get one."""
    form = {"grant_type": "client_credentials", "audience": audience, "client_id": "job", "client_secret": "x"}
    answer = httpx.post(f"{stack.env['CI_ISSUER']}/token", data=form, timeout=20)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["access_token"])


def test_a_job_of_the_platform_is_the_deployer_and_nobody_else(stack: Stack, realm: Realm) -> None:
    assertion = from_ci(stack, realm.issuer)
    answer = ask(realm, assertion)
    assert answer.status_code == 200, answer.text
    claims = parse(answer.json()["access_token"], algorithms=ALGORITHMS, max_bytes=16_384).claims
    assert (claims["client_id"], claims["azp"], claims["groups"]) == ("ci-deployer", "ci-deployer", ["sre"])
    assert claims["aud"] == "tradepulse-internal"
    assert claims["assurance_level"] == "aal1"
    assert "refresh_token" not in answer.json()
    assert "sid" not in claims
    # The same token a second time is somebody who saw it pass by.
    line = refused(realm, assertion)
    assert "ci-deployer" in line["resource"]


def test_a_job_of_another_place_is_nobody(stack: Stack, realm: Realm) -> None:
    refused(realm, from_ci(stack, "https://somebody-else.example"))
    refused(realm, from_ci(stack, realm.issuer.replace("-dev", "-staging")))
    # The client's name adds nothing to a token that is not its own.
    other = httpx.post(
        f"{stack.env['CI_ISSUER'].replace('/ci', '/mock')}/token",
        data={"grant_type": "client_credentials", "audience": realm.issuer, "client_id": "job", "client_secret": "x"},
        timeout=20,
    ).json()["access_token"]
    refused(realm, other, client_id="ci-deployer")


def test_the_twin_works_so_that_its_refusals_mean_something(realm: Realm, platform: Platform, twin: str) -> None:
    assert ask(realm, platform.token()).status_code == 200
    assert ask(realm, platform.token(), client_id=twin).status_code == 200


@pytest.mark.parametrize(
    "changed",
    [
        {"sub": SUBJECT + "x"},
        {"sub": SUBJECT.upper()},
        {"sub": "repo:tradepulse/platform:ref:refs/heads/*"},
        {"sub": "ci-twin"},
        {"sub": None},
        {"aud": "https://somebody-else.example"},
        {"aud": None},
        {"iss": "http://127.0.0.1:9/ci"},
        {"iss": None},
        {"jti": None},
        {"exp": None},
    ],
    ids=str,
)
def test_a_token_that_says_something_else_is_refused(
    realm: Realm, platform: Platform, twin: str, changed: dict[str, Any]
) -> None:
    refused(realm, platform.token(**changed), client_id=twin)


def test_several_audiences_are_refused_even_if_one_is_right(realm: Realm, platform: Platform, twin: str) -> None:
    refused(realm, platform.token(aud=[realm.issuer, "https://somebody-else.example"]), client_id=twin)
    refused(realm, platform.token(aud=["https://somebody-else.example", realm.issuer]), client_id=twin)
    refused(realm, platform.token(aud=realm.issuer + "/"), client_id=twin)


def test_a_token_out_of_time_is_refused(realm: Realm, platform: Platform, twin: str) -> None:
    now = int(time.time())
    refused(realm, platform.token(iat=now - 600, exp=now - 300), client_id=twin)
    refused(realm, platform.token(iat=now + 3600, exp=now + 3660), client_id=twin)
    refused(realm, platform.token(nbf=now + 3600), client_id=twin)
    # One that is good for a day was not made for this request.
    refused(realm, platform.token(iat=now - 7200, exp=now + 86_400), client_id=twin)


def test_replay_is_refused_also_under_another_name(realm: Realm, platform: Platform, twin: str) -> None:
    once = platform.token()
    assert ask(realm, once).status_code == 200
    assert "ci-twin" in refused(realm, once)["resource"]
    identity = str(uuid.uuid4())
    assert ask(realm, platform.token(jti=identity)).status_code == 200
    refused(realm, platform.token(jti=identity, foo="bar"), client_id=twin)


def test_a_token_for_another_client_gives_no_other_client(realm: Realm, platform: Platform, twin: str) -> None:
    for client in ("ci-deployer", "vault-api", "tradepulse", "session-broker", "tradepulse-cli"):
        refused(realm, platform.token(), client_id=client)


def encoded(part: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()


def test_no_trick_with_the_algorithm_passes(realm: Realm, platform: Platform, twin: str) -> None:
    kid = platform.key.kid
    for none in ("none", "None", "NONE"):
        refused(realm, f"{encoded({'alg': none, 'kid': kid})}.{encoded(platform.claims())}.", client_id=twin)
    # The public key, which everybody can fetch, as the secret of an HMAC.
    public = platform.key.as_pem(private=False)
    body = f"{encoded({'alg': 'HS256', 'kid': kid})}.{encoded(platform.claims())}"
    mac = base64.urlsafe_b64encode(hmac.digest(public, body.encode(), "sha256")).rstrip(b"=").decode()
    refused(realm, f"{body}.{mac}", client_id=twin)
    # Another key, under the name of the known one, carried along, or pointed to.
    own = RSAKey.generate_key(2048, auto_kid=True)
    curve = ECKey.generate_key("P-256", auto_kid=True)
    jwk = own.as_dict(private=False)
    for header, key in (
        ({"alg": "RS256", "kid": kid}, own),
        ({"alg": "RS256", "kid": own.kid}, own),
        ({"alg": "RS256"}, own),
        ({"alg": "ES256", "kid": kid}, curve),
        ({"alg": "RS256", "kid": own.kid, "jwk": jwk}, own),
        ({"alg": "RS256", "kid": own.kid, "jku": "http://127.0.0.1:9/keys"}, own),
    ):
        refused(realm, jwt.encode(header, platform.claims(), key), client_id=twin)
    head, claims, signature = platform.token().split(".")
    refused(realm, f"{head}.{claims}.{'A' if signature[0] != 'A' else 'B'}{signature[1:]}", client_id=twin)
    refused(realm, f"{head}.{encoded(platform.claims(sub='somebody'))}.{signature}", client_id=twin)
    refused(realm, "not-a-token", client_id=twin)


def test_no_person_can_log_in_by_a_platform_of_workloads(realm: Realm, stack: Stack) -> None:
    alias = workload_alias(stack.env["CI_ISSUER"])
    made = realm.admin.get(f"{realm.path}/identity-provider/instances/{alias}")
    assert made["linkOnly"]
    query = {
        "client_id": "tradepulse-cli", "redirect_uri": "http://127.0.0.1:1/callback", "response_type": "code",
        "scope": "openid", "kc_idp_hint": alias, "code_challenge_method": "S256",
        "code_challenge": "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
    }  # fmt: skip
    answer = httpx.get(f"{realm.issuer}/protocol/openid-connect/auth", params=query, timeout=20)
    assert stack.env["CI_ISSUER"] not in answer.headers.get("Location", "")


def test_a_pod_uses_its_token_until_it_ends_and_no_other_pod_does(realm: Realm, cluster: Platform, twin: str) -> None:
    token = cluster.token(sub=POD, jti=None, exp=int(time.time()) + 600)
    for _ in range(3):
        assert ask(realm, token).status_code == 200
    refused(realm, cluster.token(sub="system:serviceaccount:settlement:other"), client_id=twin)
    refused(realm, cluster.token(sub=POD, aud="https://kubernetes.default.svc.cluster.local"), client_id=twin)
    refused(realm, cluster.token(sub=POD, aud=[realm.issuer, "https://kubernetes.default.svc"]), client_id=twin)
    now = int(time.time())
    refused(realm, cluster.token(sub=POD, iat=now - 7200, exp=now - 3600), client_id=twin)
    own = RSAKey.generate_key(2048)
    forged = jwt.encode({"alg": "RS256", "kid": cluster.key.kid}, cluster.claims(sub=POD), own)
    refused(realm, forged, client_id=twin)


@pytest.fixture
def pipeline(stack: Stack) -> Iterator[str]:
    """admin-sync as docs/workload-identity.md sets it up: a client of the master realm that the CI vouches for."""
    admin, alias, client_id = stack.admin, "ci", "admin-sync-pipeline"
    config = {
        "issuer": stack.env["CI_ISSUER"],
        "authorizationUrl": f"{stack.env['CI_ISSUER']}/authorize",
        "tokenUrl": f"{stack.env['CI_ISSUER']}/token",
        "jwksUrl": f"{stack.env['CI_ISSUER']}/jwks",
        "useJwksUrl": "true",
        "validateSignature": "true",
        "clientId": "workloads-only",
        "supportsClientAssertions": "true",
    }
    provider = {"alias": alias, "providerId": "oidc", "enabled": True, "linkOnly": True, "hideOnLogin": True}
    admin.post("/master/identity-provider/instances", {**provider, "config": config})
    body = {
        "clientId": client_id, "enabled": True, "publicClient": False, "serviceAccountsEnabled": True,
        "standardFlowEnabled": False, "directAccessGrantsEnabled": False, "fullScopeAllowed": True,
        "clientAuthenticatorType": "federated-jwt",
        "attributes": {
            "jwt.credential.issuer": alias, "jwt.credential.sub": SUBJECT, "access.token.lifespan": "900",
        },
    }  # fmt: skip
    identity = admin.post("/master/clients", body)
    account = admin.get(f"/master/clients/{identity}/service-account-user")
    role = admin.get("/master/roles/admin")
    admin.post(f"/master/users/{account['id']}/role-mappings/realm", [role])
    yield client_id
    with suppress(Exception):
        admin.delete(f"/master/clients/{identity}")
    admin.delete(f"/master/identity-provider/instances/{alias}")


def test_admin_sync_runs_in_a_pipeline_without_a_secret(
    stack: Stack, realm: Realm, pipeline: str, tmp_path: Path
) -> None:
    assertion = tmp_path / "identity"
    environ = {
        name: value
        for name, value in {**os.environ, **stack.env}.items()
        if name not in ("ADMIN_SYNC_CLIENT_SECRET_FILE", "ADMIN_SYNC_CLIENT_ID")
    } | {"ADMIN_SYNC_CLIENT_ID": pipeline, "ADMIN_SYNC_CLIENT_ASSERTION_FILE": str(assertion)}

    def plan() -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "admin_sync", "plan", "--env", "dev", "--detailed-exitcode"]
        return subprocess.run(command, cwd=CHECKOUT, env=environ, capture_output=True, text=True, check=False)

    assertion.touch(mode=0o600)
    assertion.write_text(from_ci(stack, realm.issuer.replace("tradepulse-dev", "master")))
    first = plan()
    assert first.returncode in (0, 2), first.stderr
    assert "tradepulse-dev" in first.stdout
    # A token of the platform is good for one run; the next run brings its own.
    second = plan()
    assert second.returncode == 4
    assert "credentials" in second.stderr
    assert assertion.read_text() not in first.stdout + first.stderr + second.stdout + second.stderr
