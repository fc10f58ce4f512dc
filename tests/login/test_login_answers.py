"""What comes back to a terminal, judged purely: callbacks, device answers, challenges, addresses."""

from __future__ import annotations

import contextlib
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from identity.login.challenge import demand, parameters
from identity.login.device_login import invited, slower
from identity.login.errors import Code, LoginFailed
from identity.login.provider import Provider
from identity.login.registration import Registration, Wanted, safe_url
from identity.login.request import NotOurs, Proof, authorization_url, code_of
from identity.login.wire import Reply
from identity.principal import AssuranceLevel

ISSUER = "https://sso.example/realms/one"
PROVIDER = Provider(ISSUER, f"{ISSUER}/auth", f"{ISSUER}/token", f"{ISSUER}/certs", None, None, None, names_itself=True)
PROOF = Proof()
GOOD = {"state": PROOF.state, "iss": ISSUER, "code": "the-code"}


def target(**changed: str | None) -> str:
    answer = {name: value for name, value in {**GOOD, **changed}.items() if value is not None}
    return f"/callback?{urlencode(answer)}"


def test_the_code_of_this_login_is_taken() -> None:
    assert code_of(target(), PROVIDER, PROOF) == "the-code"


@pytest.mark.parametrize(
    "sent",
    [
        target(state="another"),
        target(state=None),
        target(state=""),
        target(code=None),
        target(code=""),
        target() + "&code=second",
        target() + f"&state={PROOF.state}",
        target().replace("/callback", "/callback/"),
        target().replace("/callback", "/other"),
        "/callback",
        "/callback?" + "&".join(f"p{number}=1" for number in range(100)),
        target(code="x" * 9000),
        "//[callback",
    ],
    ids=[f"sent {number}" for number in range(13)],  # each process that collects these has a state of its own
)
def test_what_anybody_could_have_sent_ends_nothing(sent: str) -> None:
    with pytest.raises(NotOurs):
        code_of(sent, PROVIDER, PROOF)


@pytest.mark.parametrize("named", ["https://evil.example", ISSUER + "/", "", None])
def test_an_answer_of_another_issuer_ends_the_login(named: str | None) -> None:
    with pytest.raises(LoginFailed) as failed:
        code_of(target(iss=named), PROVIDER, PROOF)
    assert failed.value.code is Code.ISSUER_MISMATCH


def test_a_refusal_is_told_without_what_else_was_sent() -> None:
    with pytest.raises(LoginFailed) as failed:
        code_of(target(error="access_denied", error_description="<b>canary</b>"), PROVIDER, PROOF)
    assert failed.value.code is Code.LOGIN_REFUSED
    assert "access_denied" in str(failed.value)
    assert "canary" not in str(failed.value)
    with pytest.raises(LoginFailed) as failed:
        code_of(target(error="<script>canary"), PROVIDER, PROOF)
    assert "canary" not in str(failed.value)


@given(st.text(max_size=60))
def test_no_callback_breaks_the_reader(text: str) -> None:
    with contextlib.suppress(NotOurs, LoginFailed):
        assert code_of(f"/callback?{text}", PROVIDER, PROOF)


def test_the_request_insists_on_what_is_wanted_and_shows_no_verifier() -> None:
    url = authorization_url(
        PROVIDER, Registration(ISSUER), PROOF, "http://127.0.0.1:9/callback", Wanted(AssuranceLevel.AAL3, 0)
    )
    query = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
    assert query["claims"] == '{"id_token":{"acr":{"essential":true,"values":["aal3"]}}}'
    assert query["max_age"] == "0"
    assert query["code_challenge"] == PROOF.challenge
    assert query["code_challenge_method"] == "S256"
    assert PROOF.verifier not in url
    assert PROOF.verifier not in repr(PROOF)
    assert len(PROOF.verifier) >= 43


def test_the_challenge_is_that_of_the_rfc() -> None:
    """RFC 7636, appendix B."""
    proof = Proof(verifier="dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk")
    assert proof.challenge == "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (
            'Bearer error="insufficient_user_authentication", acr_values="aal3", max_age="300"',
            Wanted(AssuranceLevel.AAL3, 300),
        ),
        ("Bearer error=insufficient_user_authentication, max_age=0", Wanted(None, 0)),
        (
            'DPoP algs="ES256", bearer realm="a, b=c", error="insufficient_user_authentication", acr_values="phr aal2"',
            Wanted(AssuranceLevel.AAL2, None),
        ),
        ('Bearer error="insufficient_user_authentication", acr_values="phr"', None),
        ('Bearer error="invalid_token"', None),
        ('Basic error="insufficient_user_authentication", acr_values="aal2"', None),
        ('Bearer error="insufficient_user_authentication", acr_values="aal2", acr_values="aal3"', None),
        ('Bearer error="insufficient_user_authentication", max_age="-1"', None),
        ('Bearer error="insufficient_user_authentication", max_age="99999999999"', None),
        ('Bearer error="insufficient_user_authentication', None),
        ("", None),
        ("Bearer " + "a" * 5000, None),
    ],
)
def test_a_demand_is_read_exactly_or_not_at_all(header: str, expected: Wanted | None) -> None:
    assert demand(header) == expected


@given(st.text(alphabet='Ber ar="\\,\n\t;aZ9%', max_size=200))
def test_no_challenge_breaks_the_parser(header: str) -> None:
    assert isinstance(parameters(header), dict)


def test_an_escaped_quote_is_part_of_the_value() -> None:
    assert parameters(r'Bearer realm="say \"please\""') == {"realm": 'say "please"'}


INVITATION = {
    "verification_uri": f"{ISSUER}/device",
    "user_code": "ABCD-EFGH",
    "device_code": "secret",
    "expires_in": 600,
    "interval": 5,
}


def test_an_invitation_hides_its_secret() -> None:
    found = invited(INVITATION, ISSUER)
    assert (found.page, found.user_code, found.interval) == (f"{ISSUER}/device", "ABCD-EFGH", 5)
    assert "secret" not in repr(found)
    assert invited({name: value for name, value in INVITATION.items() if name != "interval"}, ISSUER).interval == 5


@pytest.mark.parametrize(
    "changed",
    [
        {"verification_uri": "https://evil.example/device"},
        {"verification_uri": "http://sso.example/device"},
        {"verification_uri": "https://sso.example@evil.example/"},
        {"verification_uri": None},
        {"user_code": "A\x1b[2J"},
        {"user_code": ""},
        {"user_code": "A" * 33},
        {"device_code": 7},
        {"expires_in": 0},
        {"expires_in": "600"},
        {"interval": -1},
        {"interval": True},
    ],
)
def test_an_invitation_to_anywhere_else_is_refused(changed: dict[str, object]) -> None:
    with pytest.raises(LoginFailed) as failed:
        invited({**INVITATION, **changed}, ISSUER)
    assert failed.value.code is Code.ANSWER_MALFORMED


def said(error: str, status: int = 400) -> Reply:
    return Reply(status, f'{{"error": "{error}"}}'.encode())


def test_a_device_asks_less_often_when_it_is_told_to() -> None:
    assert slower(5, said("authorization_pending")) == 5
    assert slower(5, said("slow_down")) == 10
    assert slower(58, said("slow_down")) == 60
    assert slower(5, said("whatever", 503)) == 10
    assert slower(5, Reply(429, b"")) == 10


@pytest.mark.parametrize(
    ("error", "code"),
    [
        ("access_denied", Code.LOGIN_REFUSED),
        ("expired_token", Code.TIMED_OUT),
        ("invalid_grant", Code.LOGIN_REFUSED),
    ],
)
def test_a_device_stops_asking_once_it_is_over(error: str, code: Code) -> None:
    with pytest.raises(LoginFailed) as failed:
        slower(5, said(error))
    assert failed.value.code is code


@pytest.mark.parametrize(
    ("url", "safe"),
    [
        ("https://sso.example/realms/a", True),
        ("http://localhost:8180/realms/a", True),
        ("http://127.0.0.1/a", True),
        ("http://[::1]:80/a", True),
        ("http://sso.example/a", False),
        ("http://localhost.evil.example/", False),
        ("http://127.0.0.1@evil.example/", False),
        ("https://user:pass@sso.example/", False),
        ("https://sso.example/#x", False),
        ("https://sso.example:port/", False),
        ("https:///a", False),
        ("ftp://sso.example/", False),
        ("", False),
        ("https://sso.example/\n", False),
    ],
)
def test_a_person_or_a_token_goes_to_https_or_to_this_host(url: str, safe: bool) -> None:
    assert safe_url(url) is safe


@pytest.mark.parametrize("issuer", ["", "http://sso.example", "https://sso.example/", "https://sso.example?x=1"])
def test_a_registration_has_a_usable_issuer(issuer: str) -> None:
    with pytest.raises(LoginFailed) as failed:
        Registration(issuer)
    assert failed.value.code is Code.BAD_REGISTRATION
