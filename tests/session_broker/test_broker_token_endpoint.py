"""`POST /token`: one audience for one token, and nothing else can be asked for. And what the access file may say."""

from __future__ import annotations

from pathlib import Path

import pytest

from session_broker.access import AccessRefused, load_access
from tests.session_broker.door_world import ACCESS, World

EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
ID_TOKEN = "urn:ietf:params:oauth:token-type:id_token"


def asked(token: str, **changes: str) -> dict[str, str]:
    form = {"grant_type": EXCHANGE, "subject_token": token, "subject_token_type": ID_TOKEN, "audience": "reports"}
    return {name: value for name, value in {**form, **changes}.items() if value}


async def test_a_client_without_a_proxy_gets_a_token_for_a_service_that_allows_it(world: World) -> None:
    token = world.external()
    async with world.broker() as broker:
        answer = await broker.token(**asked(token))
        assert answer.status_code == 200
        body = answer.json()
        assert body["access_token"] != token
        assert (body["token_type"], body["issued_token_type"].rpartition(":")[2]) == ("Bearer", "access_token")
        assert 1 <= body["expires_in"] <= 250
        assert (answer.headers["cache-control"], answer.headers["pragma"]) == ("no-store", "no-cache")


MORE = {
    "a scope": ({"scope": "openid"}, "invalid_scope"),
    "a resource": ({"resource": "https://x"}, "invalid_target"),
    "an actor": ({"actor_token": "x"}, "invalid_request"),
    "another audience": ({"audience": "tradepulse-internal"}, "invalid_target"),
    "no audience": ({"audience": ""}, "invalid_target"),
    "a refresh token": ({"requested_token_type": "urn:ietf:params:oauth:token-type:refresh_token"}, "invalid_request"),
    "another grant": ({"grant_type": "client_credentials"}, "unsupported_grant_type"),
    "another kind of subject": ({"subject_token_type": "urn:ietf:params:oauth:token-type:saml2"}, "invalid_request"),
    "no subject": ({"subject_token": ""}, "invalid_request"),
    "somebody else": ({"requested_subject": "admin"}, "invalid_request"),
    "a bad subject": ({"subject_token": "garbage"}, "invalid_request"),
}


@pytest.mark.parametrize("case", MORE)
async def test_nothing_more_can_be_asked_for(world: World, case: str) -> None:
    changes, code = MORE[case]
    async with world.broker() as broker:
        answer = await broker.token(**asked(world.external(), **changes))
        assert (answer.status_code, answer.json()["error"]) == (400, code)
    assert world.forms == []
    assert [line["outcome"] for line in world.lines] == ["denied"]


async def test_a_body_that_is_no_form_or_has_a_field_twice_is_refused(world: World) -> None:
    async with world.broker() as broker:
        for headers, content in (
            ({"Content-Type": "application/json"}, "{}"),
            ({"Content-Type": "application/x-www-form-urlencoded"}, f"grant_type={EXCHANGE}&grant_type={EXCHANGE}"),
            ({"Content-Type": "application/x-www-form-urlencoded"}, "x=%ff"),
        ):
            answer = await broker.http.post("/token", content=content, headers=headers)
            assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")
        large = await broker.http.post("/token", content="x=" + "y" * 70_000)
        assert large.status_code == 413


WRONG = {
    "no file": (None, "cannot read"),
    "no TOML": ("providers = ", "not TOML"),
    "nothing": ("", "services"),
    "an unknown key": (ACCESS + "\n[services.x]\naudience='a'\ninternal=true\nallow=true\n", "services.x.allow"),
    "a service for nobody": ("[services.x]\naudience='a'\n", "nobody could use it"),
    "an unknown provider": ("[services.x]\naudience='a'\nproviders=['y']\n", "there is no provider y"),
    "no audience of a provider": (ACCESS.replace('audiences = ["tradepulse"]', "audiences = []"), "audiences"),
    "no kind of token": (ACCESS.replace('accepts = ["id_token"]', "accepts = []"), "accepts"),
    "one issuer twice": (ACCESS.replace("/machines", "/workforce"), "one issuer"),
    "plain http elsewhere": (ACCESS.replace("${PLACE}/workforce/jwks", "http://idp.example/jwks"), "must be https"),
    "an HMAC": (ACCESS.replace('clients = ["batch"]', 'algorithms = ["HS256"]'), "must be among"),
    "our realm as a provider": (ACCESS.replace("providers.machines", "providers.internal"), "our own realm"),
    "a variable that is not set": (ACCESS.replace("${PLACE}", "${NOWHERE_TO_BE_SEEN}"), "NOWHERE_TO_BE_SEEN"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_mistake_in_the_access_file_stops_the_start_with_one_line(tmp_path: Path, case: str) -> None:
    text, said = WRONG[case]
    path = tmp_path / "access.toml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(AccessRefused, match=said) as refused:
        load_access(path, {"PLACE": "http://localhost:9"})
    assert "\n" not in str(refused.value)


def test_the_committed_access_file_can_be_used() -> None:
    access = load_access(Path("configs/session-broker/access.toml"), {})
    assert access.services["vault"].providers <= access.providers.keys()
