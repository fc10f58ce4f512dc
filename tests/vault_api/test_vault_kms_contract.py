"""The contract of the KMS seam, held by every provider against the real thing."""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from kms_world import PIN, SOFTHSM, OpenBao, SoftHsm, aws, aws_credentials
from vault_world import private_file

from vault_api.kms import PROVIDERS, KmsRefused, KmsSettings, KmsUnavailable, RootKeys, WatchedKms, provider, self_test
from vault_api.kms.file import create_root_key_file

Settings = dict[str, str]


@pytest.fixture(scope="module")
def bao(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenBao]:
    with OpenBao(tmp_path_factory.mktemp("bao")).running() as server:
        yield server


@pytest.fixture(scope="module")
def hsm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SoftHsm]:
    assert SOFTHSM is not None, "install the package softhsm2"
    made = SoftHsm(tmp_path_factory.mktemp("hsm"))
    before = os.environ.get("SOFTHSM2_CONF")
    os.environ["SOFTHSM2_CONF"] = str(made.settings)
    yield made
    if before is None:
        del os.environ["SOFTHSM2_CONF"]
    else:
        os.environ["SOFTHSM2_CONF"] = before


@pytest.fixture(scope="module")
def aws_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with aws(tmp_path_factory.mktemp("moto")) as url:
        yield url


def _file(home: Path, _: pytest.FixtureRequest) -> Settings:
    create_root_key_file(home / "root.json")
    return {"VAULT_KMS_FILE": str(home / "root.json")}


def in_new_token(hsm: SoftHsm, pin: Path) -> Settings:
    return {
        "VAULT_PKCS11_MODULE": str(SOFTHSM),
        "VAULT_PKCS11_TOKEN": hsm.new_token(),
        "VAULT_PKCS11_PIN_FILE": str(pin),
    }


def _pkcs11(_: Path, request: pytest.FixtureRequest) -> Settings:
    hsm: SoftHsm = request.getfixturevalue("hsm")
    return in_new_token(hsm, hsm.pin)


def _openbao(home: Path, request: pytest.FixtureRequest) -> Settings:
    bao: OpenBao = request.getfixturevalue("bao")
    return {
        "VAULT_OPENBAO_URL": bao.url,
        "VAULT_OPENBAO_KEY": bao.new_key(),
        "VAULT_OPENBAO_TOKEN_FILE": str(private_file(home / "token", bao.token())),
    }


def _aws(home: Path, request: pytest.FixtureRequest) -> Settings:
    return {
        "VAULT_AWS_REGION": "eu-central-1",
        "VAULT_AWS_ENDPOINT": request.getfixturevalue("aws_url"),
        "VAULT_AWS_ALIAS": f"root-{secrets.token_hex(4)}",
        "VAULT_AWS_CREDENTIALS_FILE": str(aws_credentials(home)),
    }


MAKERS: dict[str, Callable[[Path, pytest.FixtureRequest], Settings]] = {
    "file": _file,
    "pkcs11": _pkcs11,
    "openbao": _openbao,
    "aws": _aws,
}
"""How a test comes to each provider's settings; a provider without a maker fails the first test."""

NOWHERE = "http://127.0.0.1:9"


def made(name: str, settings: Settings, **more: str) -> RootKeys:
    return provider(KmsSettings(**{"VAULT_KMS": name, "VAULT_KMS_SECONDS": "2", **settings, **more}))


def as_operator(name: str, settings: Settings, home: Path, request: pytest.FixtureRequest) -> RootKeys:
    """With the rights of whoever rotates the root key, which the vault itself lacks where the KMS tells them apart."""
    if name != "openbao":
        return made(name, settings)
    token = private_file(home / "operator", request.getfixturevalue("bao").root)
    return made(name, settings, VAULT_OPENBAO_TOKEN_FILE=str(token))


@pytest.fixture(params=MAKERS)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def settings(name: str, tmp_path: Path, request: pytest.FixtureRequest) -> Settings:
    return MAKERS[name](tmp_path, request)


@pytest.fixture
async def operator(
    name: str, settings: Settings, tmp_path: Path, request: pytest.FixtureRequest
) -> AsyncIterator[RootKeys]:
    kms = as_operator(name, settings, tmp_path, request)
    if name in ("pkcs11", "aws"):
        assert await kms.add_version() == 1
    yield kms
    await kms.close()


@pytest.fixture
async def kms(name: str, settings: Settings, operator: RootKeys) -> AsyncIterator[RootKeys]:
    kms = made(name, settings)
    yield kms
    await kms.close()


def test_every_provider_is_held_to_the_contract() -> None:
    assert set(MAKERS) == set(PROVIDERS)


async def test_a_provider_answers_32_bytes_that_depend_on_the_message_alone(kms: RootKeys) -> None:
    await self_test(kms)
    messages = [b"", b"a", b"b", bytes(4096), secrets.token_bytes(100)]
    first = [await kms.mac(1, message) for message in messages]
    assert [len(answer) for answer in first] == [32] * len(messages)
    assert len(set(first)) == len(messages)
    assert [await kms.mac(1, message) for message in messages] == first


async def test_a_process_that_starts_anew_gets_the_same_answers(name: str, settings: Settings, kms: RootKeys) -> None:
    another = made(name, settings)
    assert await another.mac(1, b"message") == await kms.mac(1, b"message")
    await another.close()


async def test_a_new_root_version_answers_otherwise_and_the_old_one_as_ever(kms: RootKeys, operator: RootKeys) -> None:
    await kms.look()
    before = await kms.mac(1, b"message")
    assert kms.current_version == 1
    assert await operator.add_version() == 2
    # Another process sees it without being started again.
    assert await kms.mac(2, b"message") != before
    assert (await kms.health()).current_version == kms.current_version == 2
    assert await kms.mac(1, b"message") == before


async def test_an_older_root_version_can_be_removed_and_then_answers_nobody(kms: RootKeys, operator: RootKeys) -> None:
    with pytest.raises(KmsRefused, match="rotate first"):
        await operator.remove_version(1)
    assert await operator.add_version() == 2
    before = await kms.mac(2, b"message")
    await operator.remove_version(1)
    with pytest.raises(KmsRefused):
        await operator.mac(1, b"message")
    await kms.look()
    with pytest.raises(KmsRefused):
        await kms.mac(1, b"message")
    assert await kms.mac(2, b"message") == before
    assert (await kms.health()).ok
    # A number is never used twice: what was sealed under the one that is gone must not meet another key.
    assert await operator.add_version() == 3


async def test_what_a_provider_never_can_answer_it_refuses(kms: RootKeys) -> None:
    await kms.look()
    for version in (2, 99, 2**31):
        with pytest.raises(KmsRefused):
            await kms.mac(version, b"message")
    with pytest.raises(KmsRefused, match="4096"):
        await kms.mac(1, bytes(4097))
    assert len(await kms.mac(1, b"message")) == 32


async def test_a_provider_answers_many_at_once(kms: RootKeys) -> None:
    messages = [str(number).encode() for number in range(40)]
    answers = await asyncio.gather(*(kms.mac(1, message) for message in messages))
    assert len(set(answers)) == 40
    assert await kms.mac(1, b"7") == answers[7]


def words_of_secret_files(settings: Settings) -> list[str]:
    texts = [Path(path).read_text() for key, path in settings.items() if key.endswith("_FILE")]
    return [word for text in texts for word in text.replace('"', " ").split() if len(word) > 10]


async def test_a_provider_shows_no_secret(name: str, settings: Settings, kms: RootKeys) -> None:
    health = await kms.health()
    shown = f"{kms!r} {health!r} {KmsSettings(**{'VAULT_KMS': name, **settings})!r}"
    words = words_of_secret_files(settings)
    assert words
    assert health.ok
    assert [word for word in words if word in shown] == []


AWAY: dict[str, Settings] = {
    "openbao": {"VAULT_OPENBAO_URL": NOWHERE},
    "aws": {"VAULT_AWS_ENDPOINT": NOWHERE},
    "pkcs11": {"VAULT_PKCS11_TOKEN": "unplugged"},
}


@pytest.mark.parametrize("name", AWAY)
async def test_a_kms_that_is_away_is_unavailable_and_its_health_says_so(
    name: str, settings: Settings, operator: RootKeys
) -> None:
    kms = made(name, settings, **AWAY[name])
    with pytest.raises(KmsUnavailable):
        await kms.mac(1, b"message")
    health = await kms.health()
    assert (health.ok, health.provider, health.current_version) == (False, name, 0)
    assert health.detail
    await kms.close()


@pytest.mark.parametrize("name", ["openbao", "aws"])
async def test_a_kms_that_takes_the_question_and_says_nothing_is_given_up(
    name: str, settings: Settings, operator: RootKeys
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        kms = made(name, settings, VAULT_OPENBAO_URL=url, VAULT_AWS_ENDPOINT=url, VAULT_KMS_SECONDS="0.5")
        with pytest.raises(KmsUnavailable):
            await kms.mac(1, b"message")
        assert not (await kms.health()).ok
        await kms.close()


async def test_an_hsm_whose_session_ended_is_asked_in_a_new_one(hsm: SoftHsm, tmp_path: Path) -> None:
    settings = in_new_token(hsm, hsm.pin)
    kms: Any = made("pkcs11", settings)
    await kms.add_version()
    before = await kms.mac(1, b"message")
    kms._session.close()
    assert await kms.mac(1, b"message") == before
    away = hsm.hide()
    kms._library.reinitialize()
    with pytest.raises(KmsUnavailable):
        await kms.mac(1, b"message")
    hsm.show(away)
    assert await kms.mac(1, b"message") == before
    await kms.close()


async def test_a_wrong_pin_is_tried_once_and_never_again(hsm: SoftHsm, tmp_path: Path) -> None:
    wrong = private_file(tmp_path / "pin", "wrong-canary-pin")
    settings = in_new_token(hsm, wrong)
    kms: Any = made("pkcs11", settings)
    with pytest.raises(KmsRefused, match="VAULT_PKCS11_PIN_FILE") as refusal:
        await kms.mac(1, b"message")
    assert "canary" not in str(refusal.value)
    assert "canary" not in (await kms.health()).detail
    # Even with the right one in memory nobody asks the token again.
    kms._pin = type(kms._pin)(PIN)
    with pytest.raises(KmsRefused):
        await kms.mac(1, b"message")
    await kms.close()


async def test_a_key_that_may_leave_the_token_is_no_root_key(hsm: SoftHsm) -> None:
    settings = in_new_token(hsm, hsm.pin)
    kms: Any = made("pkcs11", settings)
    await kms.add_version()
    module, attribute = kms._pkcs11, kms._pkcs11.Attribute
    template = {attribute.EXTRACTABLE: True, attribute.SENSITIVE: False}
    kms._session.generate_key(
        module.KeyType.GENERIC_SECRET, 256, label="tradepulse-root-2", store=True, template=template,
        capabilities=module.MechanismFlag.SIGN, mechanism=module.Mechanism.GENERIC_SECRET_KEY_GEN,
    )  # fmt: skip
    with pytest.raises(KmsRefused, match="may leave the token"):
        await kms.look()
    await kms.close()


@pytest.mark.parametrize(
    "more", [{"type": "aes256-gcm96", "key_size": 0}, {"exportable": True}], ids=["type", "export"]
)
async def test_a_transit_key_of_another_kind_is_no_root_key(
    bao: OpenBao, more: dict[str, object], tmp_path: Path
) -> None:
    token = private_file(tmp_path / "token", bao.token())
    settings = {"VAULT_OPENBAO_URL": bao.url, "VAULT_OPENBAO_TOKEN_FILE": str(token)}
    kms = made("openbao", settings, VAULT_OPENBAO_KEY=bao.new_key(**more))
    with pytest.raises(KmsRefused, match="transit key"):
        await kms.look()
    await kms.close()


async def test_an_approle_logs_in_and_again_when_its_token_was_revoked(bao: OpenBao, tmp_path: Path) -> None:
    bao.call("POST", "auth/approle/role/vault", {"token_policies": ["vault"], "token_ttl": "1m"})
    role = bao.call("GET", "auth/approle/role/vault/role-id")["data"]
    secret = bao.call("POST", "auth/approle/role/vault/secret-id")["data"]
    assert isinstance(role, dict)
    assert isinstance(secret, dict)
    kms: Any = made(
        "openbao",
        {
            "VAULT_OPENBAO_URL": bao.url,
            "VAULT_OPENBAO_KEY": bao.new_key(),
            "VAULT_OPENBAO_ROLE_ID_FILE": str(private_file(tmp_path / "role", role["role_id"])),
            "VAULT_OPENBAO_SECRET_ID_FILE": str(private_file(tmp_path / "secret", secret["secret_id"])),
        },
    )
    before = await kms.mac(1, b"message")
    bao.call("POST", "auth/token/revoke", {"token": kms._login._token.text()})
    assert await kms.mac(1, b"message") == before
    # The vault's own account may use the root key, and neither read, change nor rotate it.
    with pytest.raises(KmsUnavailable, match="403"):
        await kms.add_version()
    bao.call("DELETE", "auth/approle/role/vault")
    kms._login.forget()
    with pytest.raises(KmsUnavailable, match="log in"):
        await kms.mac(1, b"message")
    await kms.close()


async def test_a_token_file_that_an_agent_replaced_is_read_again(bao: OpenBao, tmp_path: Path) -> None:
    path = private_file(tmp_path / "token", "s.revoked-canary")
    settings = {"VAULT_OPENBAO_URL": bao.url, "VAULT_OPENBAO_KEY": bao.new_key(), "VAULT_OPENBAO_TOKEN_FILE": str(path)}
    kms = made("openbao", settings)
    with pytest.raises(KmsUnavailable) as refusal:
        await kms.mac(1, b"message")
    assert "canary" not in str(refusal.value)
    private_file(path, bao.token())
    assert len(await kms.mac(1, b"message")) == 32
    await kms.close()


@pytest.mark.parametrize(
    ("name", "settings", "said"),
    [
        ("openbao", {"VAULT_OPENBAO_URL": "http://kms.example.test:8200", "VAULT_OPENBAO_TOKEN_FILE": "/x"}, "https"),
        ("openbao", {"VAULT_OPENBAO_URL": "https://kms.example.test"}, "exactly one way"),
        ("openbao", {}, "VAULT_OPENBAO_URL"),
        ("pkcs11", {}, "VAULT_PKCS11_MODULE"),
        ("aws", {}, "VAULT_AWS_REGION"),
        ("aws", {"VAULT_AWS_REGION": "eu-central-1", "VAULT_AWS_CREDENTIALS_FILE": "/nonexistent"}, "CREDENTIALS_FILE"),
    ],
)
def test_settings_that_cannot_be_right_are_refused(name: str, settings: Settings, said: str) -> None:
    with pytest.raises(KmsRefused, match=said):
        made(name, settings)


async def test_a_kms_that_was_away_unseals_by_itself_when_it_is_back(tmp_path: Path) -> None:
    server = OpenBao(tmp_path)
    token = tmp_path / "token"
    settings = {"VAULT_OPENBAO_URL": server.url, "VAULT_OPENBAO_KEY": "root", "VAULT_OPENBAO_TOKEN_FILE": str(token)}
    watched = WatchedKms(made("openbao", settings))
    assert await watched.unseal() is False
    with pytest.raises(KmsUnavailable, match="sealed"):
        await watched.mac(1, b"message")
    health = await watched.health()
    assert (health.ok, health.detail[:8]) == (False, "sealed: ")
    watched.start()
    with ExitStack() as stack:
        stack.enter_context(server.running())
        server.call("POST", "transit/keys/root", {"type": "hmac", "key_size": 32})
        private_file(token, server.token())
        async with asyncio.timeout(30):
            while watched.sealed is not None:  # noqa: ASYNC110 - what is waited for is what a health probe sees
                await asyncio.sleep(0.05)
        assert len(await watched.mac(1, b"message")) == 32
        assert (await watched.health()).ok
    await watched.close()
