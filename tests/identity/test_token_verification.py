"""Hostile tokens: whatever is not exactly an access token for us is refused, with its own reason."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from unittest.mock import patch

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from joserfc import jwt
from loopback_server import answer_json, serving
from token_forge import (
    AUDIENCE,
    EC,
    ED,
    ENCRYPTION,
    ISSUER,
    NOW,
    OTHER_RSA,
    RSA,
    b64,
    claims,
    key_set,
    service_claims,
    sign,
)

from identity.jwks import KeysUnavailable
from identity.jws import parse
from identity.principal import AssuranceLevel, Membership
from identity.verify import RejectReason, TokenPolicy, TokenRejected, TokenVerifier

POLICY = TokenPolicy(
    issuer=ISSUER, audience=AUDIENCE, environment="dev", clients=frozenset({"tradepulse", "tradepulse-cli"})
)


@pytest.fixture(scope="module")
def issuer():
    with serving(lambda _: answer_json(key_set())) as server:
        yield server


@pytest.fixture
async def verifier(keys_from, issuer, clock):
    return TokenVerifier(POLICY, keys_from(issuer.url), clock, name_key=b"k" * 32)


async def reason_for(verifier, token):
    with pytest.raises(TokenRejected) as caught:
        await verifier.verify(token)
    assert str(caught.value) == caught.value.reason.value
    return caught.value.reason


async def test_a_persons_token_becomes_a_principal(verifier):
    token = sign(claims())
    person = await verifier.verify(token)
    assert person.kind == "person"
    assert person.subject == "0b9c1d3e-person"
    assert person.actor == "Ada@example.com"
    assert person.environment == "dev"
    assert person.client == "tradepulse-cli"
    assert person.groups == {"viewer", "trader"}
    assert person.assurance_level is AssuranceLevel.AAL2
    assert person.amr == ("pwd", "hwk")
    assert person.auth_time == NOW - 60
    assert person.session == "session-1"
    assert person.expires_at == NOW + 290
    assert person.membership("acme-capital") == Membership("acme-capital", "7d0c", frozenset({"partner-trader"}))
    assert person.membership("other") is None
    assert token not in repr(person)
    assert person.token_name == verifier.name(token)


async def test_a_service_accounts_token_becomes_a_service(verifier):
    service = await verifier.verify(sign(service_claims()))
    assert service.kind == "service"
    assert service.actor == "tradepulse-cli"
    assert service.session is None
    assert service.auth_time is None
    assert service.assurance_level is AssuranceLevel.AAL1


@pytest.mark.parametrize(("key", "algorithm"), [(RSA, "RS256"), (EC, "ES256"), (ED, "EdDSA")])
async def test_each_kind_of_key_verifies_with_its_own_algorithm(verifier, key, algorithm):
    assert (await verifier.verify(sign(claims(), key=key, algorithm=algorithm))).kind == "person"


@pytest.mark.parametrize("name", ["none", "None", "NONE", "nOnE", "HS256", "HS384", "HS512", "", "RS1", "rs256", "dir"])
async def test_an_algorithm_outside_the_fixed_list_is_refused(verifier, name):
    header = json.dumps({"alg": name, "typ": "JWT", "kid": "rsa-1"}).encode()
    body = json.dumps(claims()).encode()
    token = f"{b64(header)}.{b64(body)}.{b64(b'sig')}"
    assert await reason_for(verifier, token) is RejectReason.ALGORITHM_REFUSED


@pytest.mark.parametrize("alg", [None, 1, ["RS256"], {"RS256": 1}, True])
async def test_an_algorithm_that_is_no_text_is_refused(verifier, alg):
    token = sign(claims(), header={"alg": alg, "typ": "JWT", "kid": "rsa-1"})
    assert await reason_for(verifier, token) is RejectReason.ALGORITHM_REFUSED


async def test_an_unsigned_token_is_refused_in_every_shape(verifier):
    head = b64(b'{"alg":"none","typ":"JWT","kid":"rsa-1"}')
    body = b64(json.dumps(claims()).encode())
    assert await reason_for(verifier, f"{head}.{body}.") is RejectReason.MALFORMED
    assert await reason_for(verifier, f"{head}.{body}") is RejectReason.MALFORMED
    stripped = sign(claims()).rsplit(".", 1)[0]
    assert await reason_for(verifier, stripped + ".") is RejectReason.MALFORMED


async def test_the_public_key_used_as_an_hmac_secret_is_refused(verifier):
    head = b64(b'{"alg":"HS256","typ":"JWT","kid":"rsa-1"}')
    body = b64(json.dumps(claims()).encode())
    for secret in (RSA.as_pem(private=False), json.dumps(RSA.as_dict(private=False)).encode()):
        mac = hmac.new(secret, f"{head}.{body}".encode(), hashlib.sha256).digest()
        assert await reason_for(verifier, f"{head}.{body}.{b64(mac)}") is RejectReason.ALGORITHM_REFUSED


@pytest.mark.parametrize(
    "extra",
    [
        {"jwk": OTHER_RSA.as_dict(private=False)},
        {"jku": "http://attacker.example/keys"},
        {"x5u": "http://attacker.example/cert"},
        {"x5c": ["MIIB"]},
        {"crit": ["b64"], "b64": False},
        {"crit": []},
        {"crit": ["exp"]},
        {"b64": True},
        {"zip": "DEF"},
        {"epk": {}},
        {"unknown": 1},
    ],
    ids="+".join,
)
async def test_a_header_that_brings_a_key_or_changes_the_rules_is_refused(verifier, extra):
    header = {"alg": "RS256", "typ": "JWT", "kid": "rsa-1", **extra}
    assert await reason_for(verifier, sign(claims(), header=header)) is RejectReason.HEADER_REFUSED


@pytest.mark.parametrize(
    "kid",
    [None, 7, ["rsa-1"], "", "../../etc/passwd", "/dev/null", "' OR 1=1 --", "a" * 129, "rsa-1\n", "rsa 1", "rsa-1\0"],
)
async def test_a_key_id_that_is_no_short_plain_text_is_refused(verifier, kid):
    header = {"alg": "RS256", "typ": "JWT"} | ({} if kid is None else {"kid": kid})
    assert await reason_for(verifier, sign(claims(), header=header)) is RejectReason.KEY_ID_REFUSED


async def test_a_key_id_that_the_issuer_does_not_have_is_unknown(verifier):
    header = {"alg": "RS256", "typ": "JWT", "kid": "rsa-2"}
    assert await reason_for(verifier, sign(claims(), header=header)) is RejectReason.KEY_UNKNOWN


async def test_an_encryption_key_signs_nothing(verifier):
    header = {"alg": "RS256", "typ": "JWT", "kid": "enc-1"}
    assert await reason_for(verifier, sign(claims(), header=header, key=ENCRYPTION)) is RejectReason.KEY_UNKNOWN


@pytest.mark.parametrize(
    ("key", "algorithm", "kid"),
    [
        (RSA, "PS256", "rsa-1"),
        (RSA, "RS512", "rsa-1"),
        (RSA, "RS256", "ec-1"),
        (EC, "ES256", "rsa-1"),
        (ED, "EdDSA", "ec-1"),
    ],
)
async def test_a_key_is_used_with_no_algorithm_but_its_own(verifier, key, algorithm, kid):
    token = sign(claims(), header={"alg": algorithm, "typ": "JWT", "kid": kid}, key=key, algorithm=algorithm)
    assert await reason_for(verifier, token) is RejectReason.KEY_MISMATCH


async def test_a_signature_by_another_key_of_the_same_id_is_refused(verifier):
    assert await reason_for(verifier, sign(claims(), key=OTHER_RSA)) is RejectReason.SIGNATURE_INVALID


@pytest.mark.parametrize(
    "typ", [None, "jwt", "JWE", "logout+jwt", "dpop+jwt", "at+JWT", "", "JWT ", 5, ["JWT"], {"JWT": 1}]
)
async def test_a_header_type_that_is_not_an_access_tokens_is_refused(verifier, typ):
    header = {"alg": "RS256", "kid": "rsa-1"} | ({} if typ is None else {"typ": typ})
    assert await reason_for(verifier, sign(claims(), header=header)) is RejectReason.TYPE_REFUSED


async def test_the_rfc_9068_header_type_is_accepted(verifier):
    assert await verifier.verify(sign(claims(), header={"alg": "RS256", "typ": "at+jwt", "kid": "rsa-1"}))


PURPOSES = [None, "ID", "Refresh", "Offline", "Logout", "bearer", "BEARER", "DPoP", "", ["Bearer"], "Bearer "]
ISSUERS = [None, ISSUER + "/", ISSUER[:-1], ISSUER + ".attacker.example", ISSUER.upper(), [ISSUER], "", {"": ISSUER}]
AUDIENCES = [
    None,
    "",
    "account",
    AUDIENCE + "-x",
    AUDIENCE[:-1],
    AUDIENCE.upper(),
    [],
    [AUDIENCE, "other"],
    ["other", AUDIENCE],
    [AUDIENCE, AUDIENCE],
    [[AUDIENCE]],
    {AUDIENCE: 1},
    f"other {AUDIENCE}",
]
TABLE = [
    *[({"typ": value}, RejectReason.PURPOSE_REFUSED) for value in PURPOSES],
    *[({"iss": value}, RejectReason.ISSUER_REFUSED) for value in ISSUERS],
    *[({"aud": value}, RejectReason.AUDIENCE_REFUSED) for value in AUDIENCES],
    ({"azp": "evil"}, RejectReason.CLIENT_REFUSED),
    ({"azp": None}, RejectReason.CLAIM_MISSING),
    ({"azp": ["tradepulse-cli"]}, RejectReason.CLAIM_MALFORMED),
    ({"exp": None}, RejectReason.CLAIM_MISSING),
    ({"exp": str(NOW + 290)}, RejectReason.CLAIM_MALFORMED),
    ({"exp": float(NOW + 290)}, RejectReason.CLAIM_MALFORMED),
    ({"exp": True}, RejectReason.CLAIM_MALFORMED),
    ({"exp": -1}, RejectReason.CLAIM_MALFORMED),
    ({"exp": 2**52}, RejectReason.CLAIM_MALFORMED),
    ({"exp": 2**63}, RejectReason.MALFORMED),
    ({"exp": NOW - 30}, RejectReason.EXPIRED),
    ({"exp": 0}, RejectReason.EXPIRED),
    ({"iat": None}, RejectReason.CLAIM_MISSING),
    ({"iat": NOW + 31}, RejectReason.ISSUED_IN_FUTURE),
    ({"iat": False}, RejectReason.CLAIM_MALFORMED),
    ({"nbf": NOW + 31}, RejectReason.NOT_YET_VALID),
    ({"nbf": "0"}, RejectReason.CLAIM_MALFORMED),
    ({"sub": None}, RejectReason.CLAIM_MISSING),
    ({"sub": ""}, RejectReason.CLAIM_MALFORMED),
    ({"sub": 7}, RejectReason.CLAIM_MALFORMED),
    ({"sub": "a\nb"}, RejectReason.CLAIM_MALFORMED),
    ({"sub": "a" * 513}, RejectReason.CLAIM_MALFORMED),
    ({"email": ["a@example.com"]}, RejectReason.CLAIM_MALFORMED),
    ({"groups": "admin"}, RejectReason.CLAIM_MALFORMED),
    ({"groups": {"admin": 1}}, RejectReason.CLAIM_MALFORMED),
    ({"groups": [["admin"]]}, RejectReason.CLAIM_MALFORMED),
    ({"amr": "hwk"}, RejectReason.CLAIM_MALFORMED),
    ({"acr": 3}, RejectReason.CLAIM_MALFORMED),
    ({"assurance_level": 3}, RejectReason.CLAIM_MALFORMED),
    ({"auth_time": "now"}, RejectReason.CLAIM_MALFORMED),
    ({"sid": 5}, RejectReason.CLAIM_MALFORMED),
    ({"cnf": {"jkt": "x"}}, RejectReason.SENDER_CONSTRAINED),
    ({"client_id": "tradepulse-cli"}, RejectReason.CLAIM_MALFORMED),
    ({"organization": ["acme-capital"]}, RejectReason.ORGANIZATION_MALFORMED),
    ({"organization": "acme-capital"}, RejectReason.ORGANIZATION_MALFORMED),
    ({"organization": {"acme-capital": {}}}, RejectReason.ORGANIZATION_MALFORMED),
    ({"organization": {"acme-capital": {"id": 1}}}, RejectReason.ORGANIZATION_MALFORMED),
    ({"organization": {"../acme": {"id": "1"}}}, RejectReason.ORGANIZATION_MALFORMED),
    ({"organization": {"acme-capital": {"id": "1", "groups": "/partner-trader"}}}, RejectReason.ORGANIZATION_MALFORMED),
]


@pytest.mark.parametrize(("change", "reason"), TABLE, ids=lambda value: str(value)[:60])
async def test_a_genuinely_signed_token_with_a_wrong_claim_is_refused(verifier, change, reason):
    assert await reason_for(verifier, sign(claims(**change))) is reason


@pytest.mark.parametrize(
    "change", [{"client_id": "other"}, {"client_id": ["tradepulse-cli"]}, {"sid": "s"}, {"auth_time": NOW}]
)
async def test_a_token_that_looks_like_a_service_and_a_person_is_refused(verifier, change):
    assert await reason_for(verifier, sign(service_claims(**change))) is RejectReason.CLAIM_MALFORMED


async def test_a_one_element_audience_list_is_the_same_as_its_element(verifier):
    assert await verifier.verify(sign(claims(aud=[AUDIENCE])))


async def test_the_leeway_is_thirty_seconds_to_both_sides(verifier):
    assert await verifier.verify(sign(claims(exp=NOW - 29)))
    assert await verifier.verify(sign(claims(iat=NOW + 30, nbf=NOW + 30)))


async def test_an_empty_client_list_lets_nobody_in(keys_from, issuer, clock):
    policy = TokenPolicy(issuer=ISSUER, audience=AUDIENCE, environment="dev", clients=frozenset())
    verifier = TokenVerifier(policy, keys_from(issuer.url), clock)
    assert await reason_for(verifier, sign(claims())) is RejectReason.CLIENT_REFUSED


@pytest.mark.parametrize(
    "payload",
    [
        json.dumps(claims()).replace('"sub": "0b9c1d3e-person"', '"sub": "root", "sub": "0b9c1d3e-person"').encode(),
        json.dumps(claims())[:-1].encode() + b', "aud": "' + AUDIENCE.encode() + b'"}',
        json.dumps(claims()).replace(str(NOW + 290), "Infinity").encode(),
        json.dumps(claims()).replace(str(NOW + 290), "1e999").encode(),
        json.dumps(claims()).encode("utf-16"),
        b"\xef\xbb\xbf" + json.dumps(claims()).encode(),
        b"[" + json.dumps(claims()).encode() + b"]",
        b'{"a":' * 3000 + b"1" + b"}" * 3000,
        b'"' + b"a" * 100 + b'"',
    ],
    ids=["two sub", "two aud", "Infinity", "1e999", "utf-16", "mark", "list", "deep", "text"],
)
async def test_a_signed_payload_that_can_be_read_two_ways_is_refused(verifier, payload):
    reason = await reason_for(verifier, sign(payload))
    assert reason in (RejectReason.MALFORMED, RejectReason.TOO_LARGE)


async def test_a_header_with_a_key_twice_is_refused(verifier):
    header = b'{"alg":"none","alg":"RS256","typ":"JWT","kid":"rsa-1"}'
    assert await reason_for(verifier, sign(claims(), header=header)) is RejectReason.MALFORMED


async def test_a_megabyte_is_refused_at_once(verifier):
    token = sign(claims(pad="x" * 1_000_000))
    started = time.perf_counter()
    for _ in range(100):
        assert await reason_for(verifier, token) is RejectReason.TOO_LARGE
    assert time.perf_counter() - started < 0.5


def test_taking_a_token_apart_is_bounded_by_itself():
    with pytest.raises(TokenRejected) as caught:
        parse(sign(claims()), algorithms=("RS256",), max_bytes=100)
    assert caught.value.reason is RejectReason.TOO_LARGE


@pytest.mark.parametrize(
    "token",
    ["", ".", "..", "a.b", "a.b.c", "abcde.ab.ab", "a.b.c.d", "a.b.c.d.e", " a.b.c", "é.é.é", "a.b.c\n", "\ud800.a.b"],
)
async def test_what_is_no_compact_token_is_malformed(verifier, token):
    assert await reason_for(verifier, token) is RejectReason.MALFORMED


async def test_the_unused_bits_of_base64url_cannot_make_a_second_spelling(verifier):
    head, body, signature = sign(claims(), key=EC, algorithm="ES256").split(".")
    # 64 bytes leave four unused bits in the last character, hence sixteen spellings of one signature.
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    index = alphabet.index(signature[-1])
    twin = signature[:-1] + alphabet[index + 1]
    assert base64.urlsafe_b64decode(twin + "==") == base64.urlsafe_b64decode(signature + "==")
    assert await reason_for(verifier, f"{head}.{body}.{twin}") is RejectReason.MALFORMED
    assert await reason_for(verifier, f"{head}.{body}.{signature}==") is RejectReason.MALFORMED


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150, deadline=None)
@given(data=st.data())
async def test_a_token_with_any_byte_changed_is_refused(verifier, data):
    token = sign(claims())
    place = data.draw(st.integers(0, len(token) - 1))
    letter = data.draw(st.sampled_from("ABab01-_.=\x00é").filter(lambda letter: letter != token[place]))
    with pytest.raises(TokenRejected):
        await verifier.verify(token[:place] + letter + token[place + 1 :])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150, deadline=None)
@given(
    name=st.sampled_from(sorted(claims())),
    value=st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.lists(st.text() | st.integers(), max_size=3)
    | st.dictionaries(st.text(), st.none() | st.text() | st.lists(st.text()), max_size=2),
)
async def test_no_signed_claim_makes_it_raise_anything_but_a_rejection(verifier, name, value):
    payload = json.dumps({**claims(), name: value}).encode()
    try:
        principal = await verifier.verify(sign(payload))
    except TokenRejected:
        return
    assert principal.issuer == ISSUER
    assert principal.client in POLICY.clients


@pytest.mark.parametrize(
    ("level", "acr", "expected"),
    [
        ("aal3", "aal3", AssuranceLevel.AAL3),
        ("aal3", "aal1", AssuranceLevel.AAL1),
        ("aal1", "aal3", AssuranceLevel.AAL1),
        ("aal9", "aal9", AssuranceLevel.AAL1),
        ("phr", "0", AssuranceLevel.AAL1),
        (None, "aal3", AssuranceLevel.AAL1),
        ("aal2", None, AssuranceLevel.AAL2),
    ],
)
async def test_assurance_is_never_more_than_both_claims_support(verifier, level, acr, expected):
    principal = await verifier.verify(sign(claims(assurance_level=level, acr=acr)))
    assert principal.assurance_level is expected


async def test_a_nested_group_gives_no_partner_role(verifier):
    groups = ["/partner-trader", "/team/partner-admin", "partner-viewer", "/", "//partner-admin", "/partner-admin/"]
    principal = await verifier.verify(sign(claims(organization={"acme": {"id": "1", "groups": groups}})))
    assert principal.membership("acme").roles == {"partner-trader"}


async def test_a_role_that_is_lent_carries_its_end_and_is_none_of_those_held_for_good(verifier):
    groups = [
        "/partner-trader",
        "/partner-trader/until-1800000000",  # held for good besides: it has no end
        "/partner-admin/until-1800000000",
        "/partner-admin/until-1900000000",  # lent twice: the later one counts
        *(
            "/partner-analyst/until-",
            "/partner-analyst/until-0",
            "/partner-analyst/until-1e9",
            "/team/x/until-1800000000",
        ),
    ]
    found = (await verifier.verify(sign(claims(organization={"acme": {"id": "1", "groups": groups}})))).membership(
        "acme"
    )
    assert (found.roles, dict(found.lent)) == ({"partner-trader"}, {"partner-admin": 1_900_000_000})


async def test_a_top_level_role_is_no_partner_role_and_the_other_way_round(verifier):
    principal = await verifier.verify(sign(claims(groups=["partner-admin"])))
    assert principal.membership("acme-capital").roles == {"partner-trader"}
    assert "partner-trader" not in principal.groups


async def test_a_remembered_token_dies_on_time(verifier, clock):
    token = sign(claims())
    await verifier.verify(token)
    clock.pass_(290 + 29)
    assert await verifier.verify(token)
    clock.pass_(1)
    assert await reason_for(verifier, token) is RejectReason.EXPIRED


async def test_a_remembered_token_is_not_checked_again_by_signature(verifier):
    token = sign(claims())
    first = await verifier.verify(token)
    with patch("identity.verify.check_signature", side_effect=AssertionError("was asked again")):
        assert await verifier.verify(token) is first


async def test_a_remembered_token_survives_a_refetch_of_the_same_keys(keys_from, clock):
    with serving(lambda _: answer_json(key_set())) as server:
        verifier = TokenVerifier(POLICY, keys_from(server.url, refresh=60, max_age=60), clock)
        token = sign(claims())
        first = await verifier.verify(token)
        clock.pass_(60)
        assert await verifier.verify(token) is first
        assert len(server.seen) == 2


async def test_a_token_dies_with_a_key_that_was_replaced_under_its_id(keys_from, clock):
    keys = [RSA]
    with serving(lambda _: answer_json(key_set(*keys))) as server:
        verifier = TokenVerifier(POLICY, keys_from(server.url, refresh=60, max_age=60), clock)
        token = sign(claims())
        await verifier.verify(token)
        keys[0] = OTHER_RSA
        clock.pass_(60)
        assert await reason_for(verifier, token) is RejectReason.SIGNATURE_INVALID


async def test_a_token_dies_with_its_key(keys_from, clock):
    keys = [RSA, EC]
    with serving(lambda _: answer_json(key_set(*keys))) as server:
        verifier = TokenVerifier(POLICY, keys_from(server.url, refresh=60, max_age=60), clock)
        token = sign(claims())
        await verifier.verify(token)
        keys.remove(RSA)
        clock.pass_(60)
        assert await reason_for(verifier, token) is RejectReason.KEY_UNKNOWN


async def test_a_remembered_token_does_not_outlive_the_keys_age(keys_from, clock):
    with serving(lambda _: answer_json(key_set())) as server:
        verifier = TokenVerifier(POLICY, keys_from(server.url, max_age=120), clock)
        token = sign(claims())
        await verifier.verify(token)
    clock.pass_(119)
    assert await verifier.verify(token)
    clock.pass_(1)
    with pytest.raises(KeysUnavailable):
        await verifier.verify(token)


async def test_the_memory_of_tokens_is_bounded(keys_from, issuer, clock):
    verifier = TokenVerifier(POLICY, keys_from(issuer.url), clock, cache_size=5)
    for number in range(20):
        await verifier.verify(sign(claims(jti=str(number))))
    assert len(verifier._cache) == 5


async def test_the_name_of_a_token_needs_the_key(keys_from, issuer, clock):
    keys = keys_from(issuer.url)
    token = sign(claims())
    one, two = (TokenVerifier(POLICY, keys, clock, name_key=key * 32).name(token) for key in (b"a", b"b"))
    assert one != two
    assert one == TokenVerifier(POLICY, keys, clock, name_key=b"a" * 32).name(token)
    assert hashlib.sha256(token.encode()).hexdigest()[:32] != one


@pytest.mark.parametrize("algorithms", [("none",), ("HS256",), ("RS256", "HS256"), ()])
def test_a_policy_cannot_allow_a_weak_algorithm(algorithms):
    with pytest.raises(ValueError, match="algorithms"):
        TokenPolicy(issuer="i", audience="a", environment="e", clients=frozenset({"c"}), algorithms=algorithms)


@pytest.mark.parametrize("empty", ["issuer", "audience", "environment"])
def test_a_policy_names_everything_it_compares(empty):
    fields = {"issuer": "i", "audience": "a", "environment": "e", "clients": frozenset({"c"}), empty: ""}
    with pytest.raises(ValueError, match="must be named"):
        TokenPolicy(**fields)


def test_the_forge_makes_tokens_that_another_library_accepts():
    # If the forge signed wrongly, every refusal above would prove nothing.

    assert jwt.decode(sign(claims()), RSA).claims["sub"] == "0b9c1d3e-person"
