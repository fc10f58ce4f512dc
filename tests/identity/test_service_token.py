"""Our own services' tokens, against a real token endpoint that checks the assertion."""

from __future__ import annotations

import asyncio
import threading
from urllib.parse import parse_qs

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat
from joserfc import jwt
from joserfc.jwk import KeySet
from loopback_server import Answer, answer_json, serving

from identity.secret import Secret
from identity.service_token import ServiceToken, ServiceTokenUnavailable, public_jwks

TOKEN_PATH = "/realms/tradepulse-dev/protocol/openid-connect/token"


def pem(key, encryption=None):
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption or NoEncryption())


EC_PEM = pem(ec.generate_private_key(ec.SECP256R1()))
RSA_PEM = pem(rsa.generate_private_key(65537, 2048))


def granted(number=1, life=100, **changes):
    return answer_json({"access_token": f"token-{number}", "expires_in": life, "token_type": "Bearer", **changes})


@pytest.fixture
async def service(http, clock):
    made = []

    def make(server, key=EC_PEM, **options):
        made.append(ServiceToken(http, server.url + TOKEN_PATH, "vault-api", key, clock=clock, **options))
        return made[-1]

    yield make
    for token in made:
        await token.close()


@pytest.mark.parametrize(("key", "algorithm"), [(EC_PEM, "ES256"), (RSA_PEM, "RS256")])
async def test_the_assertion_is_what_keycloak_asks_for(service, clock, key, algorithm):
    with serving(lambda _: granted()) as server:
        source = service(server, Secret(key), scope="openid")
        assert await source.get() == "token-1"
        source.invalidate()
        await source.get()
    first, second = ({name: values[0] for name, values in parse_qs(seen.body.decode()).items()} for seen in server.seen)
    assert first["grant_type"] == "client_credentials"
    assert first["client_assertion_type"] == "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
    assert first["scope"] == "openid"
    assert "client_secret" not in first
    keys = KeySet.import_key_set(public_jwks(key))
    opened = [jwt.decode(form["client_assertion"], keys, algorithms=[algorithm]) for form in (first, second)]
    claims = opened[0].claims
    assert (claims["iss"], claims["sub"]) == ("vault-api", "vault-api")
    assert claims["aud"] == f"{server.url}/realms/tradepulse-dev"
    assert claims["iat"] == clock.now
    assert 0 < claims["exp"] - claims["iat"] <= 60
    assert opened[0].claims["jti"] != opened[1].claims["jti"]


def test_the_registered_key_set_holds_no_private_part():
    for key, algorithm in ((EC_PEM, "ES256"), (RSA_PEM, "RS256")):
        (entry,) = public_jwks(key)["keys"]
        assert "d" not in entry
        assert (entry["use"], entry["alg"]) == ("sig", algorithm)
        assert entry["kid"]


async def test_a_token_is_kept_until_four_fifths_of_its_life(service, clock):
    with serving(lambda _: granted(len(server.seen))) as server:
        source = service(server)
        assert await source.get() == "token-1"
        clock.pass_(79)
        assert await source.get() == "token-1"
        assert len(server.seen) == 1
        clock.pass_(1)
        # The old one still serves while the new one is fetched beside it.
        assert await source.get() == "token-1"
        await asyncio.sleep(0.2)
        assert await source.get() == "token-2"
        assert len(server.seen) == 2


async def test_many_callers_share_one_request(service):
    gate = threading.Event()
    with serving(lambda _: Answer(200, granted().body, wait=gate)) as server:
        source = service(server)
        waiting = [asyncio.create_task(source.get()) for _ in range(50)]
        await asyncio.sleep(0.1)
        waiting[0].cancel()
        gate.set()
        assert set(await asyncio.gather(*waiting[1:])) == {"token-1"}
        assert len(server.seen) == 1


async def test_an_outage_is_bridged_by_the_token_until_it_expires(service, clock):
    with serving(lambda _: granted()) as server:
        source = service(server)
        await source.get()
        server.respond = lambda _: Answer(503)
        clock.pass_(99)
        assert await source.get() == "token-1"
        await asyncio.sleep(0.1)
        clock.pass_(1)
        with pytest.raises(ServiceTokenUnavailable):
            await source.get()


async def test_failures_rest_before_the_next_attempt(service, clock):
    with serving(lambda _: Answer(500, b"{}")) as server:
        source = service(server, cooldown=1)
        for _ in range(20):
            with pytest.raises(ServiceTokenUnavailable):
                await source.get()
        assert len(server.seen) == 1
        clock.pass_(1)
        server.respond = lambda _: granted()
        assert await source.get() == "token-1"


@pytest.mark.parametrize(
    "answer",
    [
        Answer(200, b"{}"),
        Answer(200, b"not json"),
        Answer(302, b"", {"Location": "http://127.0.0.1:1/"}),
        answer_json({"error": "invalid_client", "error_description": "canary-7"}, 401),
        granted(access_token=""),
        granted(access_token=5),
        granted(life=0),
        granted(life="100"),
        granted(token_type="mac"),
        Answer(200, b'{"access_token":"a","access_token":"b","expires_in":9,"token_type":"Bearer"}'),
        Answer(cut=True),
    ],
    ids=lambda answer: f"{answer.status} {answer.body[:30]!r}",
)
async def test_anything_but_a_bearer_token_is_unavailable(service, answer):
    with serving(lambda _: answer) as server, pytest.raises(ServiceTokenUnavailable) as caught:
        await service(server).get()
    assert "vault-api" in str(caught.value)
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize(
    "key",
    [
        b"",
        b"nonsense",
        pem(ec.generate_private_key(ec.SECP384R1())),
        pem(ed25519.Ed25519PrivateKey.generate()),
        pem(ec.generate_private_key(ec.SECP256R1()), BestAvailableEncryption(b"pw")),
    ],
    ids=["empty", "nonsense", "P-384", "Ed25519", "encrypted"],
)
async def test_a_key_that_keycloak_would_not_take_is_refused_at_the_start(http, key):
    with pytest.raises(ValueError, match="client key"):
        ServiceToken(http, "http://x" + TOKEN_PATH, "c", key)


async def test_an_issuer_that_cannot_be_known_must_be_named(http):
    with pytest.raises(ValueError, match="audience"):
        ServiceToken(http, "http://x/token", "c", EC_PEM)
    assert ServiceToken(http, "http://x/token", "c", EC_PEM, audience="http://x")
