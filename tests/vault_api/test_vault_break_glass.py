"""Emergency credentials in custody: sealed in an HSM's name, released once, and only to two proofs at a time."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import asyncpg
import httpx
import pytest
from joserfc import jws, jwt
from joserfc.jwk import KeySet, OKPKey
from kms_world import SOFTHSM, SoftHsm
from lease_world import OPERATOR
from vault_world import VaultProcess, World, new_database

from stack import postgres as embedded
from tests.conftest import Postgres
from vault_api.kms import KmsSettings, provider

CANARY = "canary-of-an-emergency-7be1"


class Access:
    """The service whose signature is a proof of approval, as far as the vault sees it."""

    def __init__(self) -> None:
        self.key = OKPKey.generate_key("Ed25519", {"use": "sig", "alg": "Ed25519"})
        self.key.ensure_kid()

    @property
    def key_set(self) -> str:
        return json.dumps(KeySet([self.key]).as_dict(private=False))

    def proof(self, of: str, *, header: dict[str, Any] | None = None, lasting: int = 60, **changed: Any) -> str:
        now = int(time.time())
        claims = {
            "iss": "tradepulse-access", "aud": "tradepulse-vault", "sub": OPERATOR["sub"], "email": OPERATOR["email"],
            "request": f"REQ-{secrets.randbelow(10**12):06d}", "hash": "ab" * 32, "environment": "prod",
            "account": of, "until": now + 3600, "iat": now, "exp": now + lasting, **changed,
        }  # fmt: skip
        protected = {"alg": "Ed25519", "kid": self.key.kid, "typ": "break-glass-proof+jwt", **(header or {})}
        return jws.serialize_compact(protected, json.dumps(claims), self.key, algorithms=["Ed25519"])


@pytest.fixture(scope="module")
def access() -> Access:
    return Access()


@pytest.fixture(scope="module")
def own(world: World) -> dict[str, str]:
    """The settings of a database that the guarded vault has for itself."""
    return asyncio.run(new_database(world))


@pytest.fixture(scope="module")
def guarded(
    world: World, own: dict[str, str], access: Access, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[VaultProcess]:
    """A vault whose root key is in an HSM and never leaves it."""
    home = tmp_path_factory.mktemp("emergency")
    assert SOFTHSM is not None, "install the package softhsm2"
    hsm = SoftHsm(home)
    before = os.environ.get("SOFTHSM2_CONF")
    os.environ["SOFTHSM2_CONF"] = str(hsm.settings)
    hsm_settings: dict[str, Any] = {
        "VAULT_KMS": "pkcs11",
        "VAULT_PKCS11_MODULE": str(SOFTHSM),
        "VAULT_PKCS11_TOKEN": hsm.new_token(),
        "VAULT_PKCS11_PIN_FILE": str(hsm.pin),
    }

    async def first_key() -> None:
        kms = provider(KmsSettings(**hsm_settings))
        await kms.add_version()
        await kms.close()

    asyncio.run(first_key())
    (home / "approval.json").write_text(access.key_set)
    running = world.start(
        **hsm_settings,
        **own,
        SOFTHSM2_CONF=str(hsm.settings),
        VAULT_APPROVAL_KEYS_FILE=str(home / "approval.json"),
        TRADEPULSE_AUDIT_DIR=str(home / "audit"),
        VAULT_LOG_LEVEL="DEBUG",
    )
    yield running
    running.end()
    if before is None:
        del os.environ["SOFTHSM2_CONF"]
    else:
        os.environ["SOFTHSM2_CONF"] = before


class Glass:
    """What the keeper and the one who opens send to a vault."""

    def __init__(self, vault: VaultProcess, world: World, access: Access) -> None:
        self.vault, self.world, self.access = vault, world, access
        now = int(time.time())
        service = {
            "iss": world.realm.issuer, "aud": "tradepulse-internal", "sub": "sub-keeper", "azp": "emergency-keeper",
            "client_id": "emergency-keeper", "groups": ["emergency-keeper"], "assurance_level": "aal1", "acr": "1",
            "typ": "Bearer", "iat": now, "exp": now + 3600, "jti": secrets.token_hex(8),
        }  # fmt: skip
        header = {"alg": "RS256", "kid": "test", "typ": "JWT"}
        self.keeper = {"Authorization": f"Bearer {jwt.encode(header, service, world.realm.key, algorithms=['RS256'])}"}
        self.opener = world.realm.bearer(None, **OPERATOR, auth_time=now)

    def keep(self, account: str, credential: str = CANARY) -> httpx.Response:
        return self.vault.http.put(
            f"/v1/break-glass/prod/{account}", headers=self.keeper, json={"credential": credential}
        )

    def confirm(self, account: str, version: int) -> httpx.Response:
        return self.vault.http.post(
            f"/v1/break-glass/prod/{account}/confirmations", headers=self.keeper, json={"version": version}
        )

    def seal(self, account: str, credential: str = CANARY) -> None:
        kept = self.keep(account, credential)
        assert kept.status_code == 200, kept.text
        confirmed = self.confirm(account, kept.json()["version"])
        assert confirmed.status_code == 200, confirmed.text

    def release(
        self, account: str, proof: str | None = None, bearer: dict[str, str] | None = None, **changed: Any
    ) -> httpx.Response:
        return httpx.post(
            f"{self.vault.url}/v1/break-glass/prod/{account}/release",
            headers=bearer or self.opener,
            json={"proof": proof or self.access.proof(account, **changed)},
            trust_env=False,
            timeout=30,
        )


@pytest.fixture
def glass(guarded: VaultProcess, world: World, access: Access) -> Glass:
    return Glass(guarded, world, access)


@pytest.fixture
def account() -> str:
    return f"break-glass-{secrets.token_hex(4)}"


def slug(answer: httpx.Response) -> str:
    return str(answer.json()["type"]).rpartition(":")[2]


def test_a_credential_comes_back_as_it_was_and_only_once(glass: Glass, account: str) -> None:
    glass.seal(account)
    first = glass.release(account)
    assert (first.status_code, first.json()["credential"]) == (200, CANARY)
    assert first.headers["cache-control"] == "no-store"
    again = glass.release(account)
    assert (again.status_code, slug(again)) == (409, "not-sealed")
    listed = glass.vault.http.get("/v1/break-glass", headers=glass.keeper).json()["accounts"]
    assert [one["state"] for one in listed if one["account"] == account] == ["released"]


def test_of_many_who_open_at_the_same_time_one_gets_it(glass: Glass, account: str) -> None:
    glass.seal(account)
    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda _: glass.release(account), range(12)))
    assert sorted(one.status_code for one in answers) == [200] + [409] * 11


def test_a_proof_is_worth_one_opening_even_after_the_next_sealing(glass: Glass, account: str) -> None:
    glass.seal(account)
    proof = glass.access.proof(account)
    assert glass.release(account, proof).status_code == 200
    assert slug(glass.release(account, proof)) == "already-released"
    glass.seal(account, "the next one")
    replayed = glass.release(account, proof)
    assert (replayed.status_code, slug(replayed)) == (409, "already-released")
    # The refusal has used nothing up.
    assert glass.release(account).json()["credential"] == "the next one"


@pytest.mark.parametrize(
    "changed",
    [
        {"account": "break-glass-other"},
        {"environment": "staging"},
        {"sub": "sub-of-somebody-else"},
        {"email": "somebody@example.test"},
        {"iss": "tradepulse-vault"},
        {"aud": "tradepulse-access"},
        {"until": 1},
        {"exp": 1},
        {"iat": 2**40, "exp": 2**40 + 60},
        {"lasting": 7200},
        {"request": "anything"},
        {"request": ["REQ-000001"]},
        {"hash": "none"},
        {"until": None},
        {"until": True},
    ],
    ids=str,
)
def test_a_proof_of_something_else_opens_nothing(glass: Glass, account: str, changed: dict[str, Any]) -> None:
    glass.seal(account)
    answer = glass.release(account, glass.access.proof(account, **changed))
    assert (answer.status_code, slug(answer)) == (403, "approval-not-proved")
    assert CANARY not in answer.text
    # And the one that is right still does.
    assert glass.release(account).status_code == 200


def test_a_proof_that_somebody_else_signed_opens_nothing(glass: Glass, account: str) -> None:
    glass.seal(account)
    stranger = Access()
    genuine = glass.access.proof(account)
    forged = [
        stranger.proof(account),
        stranger.proof(account, header={"kid": glass.access.key.kid}),
        glass.access.proof(account, header={"typ": "JWT"}),
        genuine[:-6] + "AAAAAA",
        glass.opener["Authorization"].removeprefix("Bearer "),
        "not a proof",
    ]
    for proof in forged:
        assert slug(glass.release(account, proof)) == "approval-not-proved"
    assert glass.release(account, genuine).status_code == 200


def test_the_proof_alone_opens_nothing(glass: Glass, account: str, partner: str) -> None:
    glass.seal(account)
    realm = glass.world.realm
    stale = realm.bearer(None, **OPERATOR, auth_time=int(time.time()) - 3600)
    assert slug(glass.release(account, bearer={"Authorization": "Bearer x"})) == "unauthorized"
    assert slug(glass.release(account, bearer=stale)) == "step-up-required"
    weak = realm.bearer(None, **{**OPERATOR, "assurance_level": "aal1", "acr": "aal1"})
    assert glass.release(account, bearer=weak).status_code == 401
    # Somebody whom the policy gives nothing, though the access service vouches for them.
    stranger = realm.bearer(partner)
    vouched = glass.access.proof(account, sub=f"sub-{partner}", email=f"{partner}@example.test")
    assert glass.release(account, vouched, stranger).status_code == 403
    # Whoever keeps credentials may open none.
    assert glass.release(account, bearer=glass.keeper).status_code == 403
    assert glass.release(account).status_code == 200


def test_the_one_who_opens_may_keep_nothing_and_see_nothing(glass: Glass, account: str) -> None:
    glass.seal(account)
    http = glass.vault.http
    assert http.put(f"/v1/break-glass/prod/{account}", headers=glass.opener, json={"credential": "x"}).is_error
    assert http.get("/v1/break-glass", headers=glass.opener).status_code == 403
    assert glass.release(account).json()["credential"] == CANARY


def test_what_is_not_in_force_yet_is_given_to_nobody(glass: Glass, account: str) -> None:
    glass.seal(account, "old")
    kept = glass.keep(account, "new").json()
    assert slug(glass.release(account)) == "not-sealed"
    assert slug(glass.confirm(account, kept["version"] - 1)) == "credential-superseded"
    assert glass.confirm(account, kept["version"]).status_code == 200
    assert glass.release(account).json()["credential"] == "new"


def test_two_who_change_a_credential_do_not_mix_theirs(glass: Glass, account: str) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda number: (number, glass.keep(account, f"credential {number}")), range(8)))
    winners = [(number, answer) for number, answer in answers if answer.status_code == 200]
    assert len(winners) == 1
    assert {slug(answer) for _, answer in answers if answer.status_code != 200} == {"sealing-in-progress"}
    number, answer = winners[0]
    glass.confirm(account, answer.json()["version"])
    assert glass.release(account).json()["credential"] == f"credential {number}"


def test_a_change_that_was_given_up_does_not_block_the_next_for_good(
    glass: Glass, account: str, postgres: Postgres, own: dict[str, str]
) -> None:
    glass.keep(account, "given up")
    assert slug(glass.keep(account)) == "sealing-in-progress"
    run(
        postgres, own, "UPDATE vault.break_glass SET kept_at = kept_at - interval '2 min' WHERE account = $1", account
    )  # fmt: skip
    glass.seal(account)
    assert glass.release(account).json()["credential"] == CANARY


def run(postgres: Postgres, settings: dict[str, str], statement: str, *values: Any) -> Any:
    """As one who may do anything in the database of the guarded vault."""

    async def go() -> Any:
        name = settings["VAULT_DATABASE_URL"].rpartition("/")[2]
        connection = await asyncpg.connect(postgres.dsn(embedded.SUPERUSER, name))
        try:
            return await connection.fetch(statement, *values)
        finally:
            await connection.close()

    return asyncio.run(go())


def test_a_sealed_value_opens_at_no_other_account(
    glass: Glass, account: str, postgres: Postgres, own: dict[str, str]
) -> None:
    other = f"{account}-b"
    glass.seal(account)
    glass.seal(other, "of the other")
    run(
        postgres, own,
        "UPDATE vault.break_glass b SET sealed = o.sealed, salt = o.salt FROM vault.break_glass o "
        "WHERE b.account = $1 AND o.account = $2", account, other,
    )  # fmt: skip
    answer = glass.release(account)
    assert (answer.status_code, slug(answer)) == (503, "credential-damaged")
    assert "of the other" not in answer.text
    assert "break_glass.integrity" in glass.vault.logged()


def test_a_credential_is_found_in_no_row_line_or_log(
    glass: Glass, account: str, postgres: Postgres, own: dict[str, str]
) -> None:
    glass.seal(account)
    proof = glass.access.proof(account)
    glass.release(account, proof)
    until = time.monotonic() + 20
    trail = glass.vault.audit / "api_events.jsonl"
    while f"break-glass/prod/{account}" not in (trail.read_text() if trail.exists() else ""):
        assert time.monotonic() < until
        time.sleep(0.1)
    rows = str(run(postgres, own, "SELECT * FROM vault.break_glass, vault.audit"))
    for place in (trail.read_text(), glass.vault.logged(), rows):
        assert CANARY not in place
        assert proof not in place
    lines = [json.loads(line) for line in trail.read_text().splitlines() if account in line]
    assert [(one["event"], one["outcome"], one["actor"]) for one in lines] == [
        ("break_glass.seal", "success", "emergency-keeper"),
        ("break_glass.sealed", "success", "emergency-keeper"),
        ("break_glass.release", "success", OPERATOR["email"]),
    ]


def test_a_vault_that_knows_no_access_service_releases_nothing(
    vault: VaultProcess, world: World, access: Access, account: str
) -> None:
    glass = Glass(vault, world, access)
    glass.seal(account)
    answer = glass.release(account)
    assert (answer.status_code, slug(answer)) == (503, "approval-keys-missing")


def test_a_root_key_is_not_retired_while_an_emergency_credential_needs_it(
    world: World, vault: VaultProcess, access: Access, account: str
) -> None:
    Glass(vault, world, access).seal(account)
    refused = world.run("retire-root", "1", **world.rotator())
    assert refused.returncode != 0
    assert "emergency credentials are sealed under root key version 1" in refused.stderr + refused.stdout
