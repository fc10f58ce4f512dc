"""The client and the command `vault` against the real service: typed answers, exit codes, and secrets unseen."""

from __future__ import annotations

import json
import os
import pickle
import pty
import secrets
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from vault_world import CHECKOUT, PARTNERS, VaultProcess, World, private_file, unused_port

from identity.secret import Secret
from vault_client import (
    BadRequest,
    BearerFile,
    BearerUnavailable,
    Conflict,
    Credential,
    NotAllowed,
    NotAuthenticated,
    NotFound,
    ServiceKey,
    StepUpRequired,
    TokenSet,
    Unreachable,
    VaultClient,
)
from vault_client.errors import error_of

ACCESS = f"client-access-{secrets.token_hex(12)}"
REFRESH = f"client-refresh-{secrets.token_hex(12)}"


def tokens(**more: object) -> TokenSet:
    return TokenSet.model_validate(
        {"broker": "paper", "access_token": ACCESS, "refresh_token": REFRESH, "scopes": ("trade",), **more}
    )


@pytest.fixture
def client(vault: VaultProcess, world: World, partner: str) -> Iterator[VaultClient]:
    bearer = Secret(world.realm.token(partner))
    with VaultClient(vault.url, lambda: bearer) as made:
        yield made


def test_a_program_stores_describes_lists_and_releases(client: VaultClient, partner: str) -> None:
    stored = client.put(partner, "main", tokens(expires_at=datetime(2099, 1, 1, tzinfo=UTC)), replaces=None)
    assert (stored.version, stored.broker) == (1, "paper")
    again = client.put(partner, "main", tokens(), replaces=1)
    assert client.describe(partner, "main").version == again.version == 2
    assert [one.connection for one in client.connections(partner)] == ["main"]
    released = client.release(partner, "main")
    assert released.token == Secret(ACCESS)
    assert next(iter(client.audit(partner)))["event"] == "credential.store"
    for shown in (repr(released), str(released), released.model_dump_json(), repr(tokens()), f"{released.token}"):
        assert ACCESS not in shown
        assert REFRESH not in shown
    with pytest.raises(TypeError):
        pickle.dumps(released.token)


def test_pages_are_followed_to_their_end(client: VaultClient, partner: str) -> None:
    names = [f"c-{number:03d}" for number in range(3)]
    for name in names:
        client.put(partner, name, tokens(), replaces=None)
        client.release(partner, name)
    assert [one.connection for one in client.connections(partner)] == names
    assert len([event for event in client.audit(partner) if event["event"] == "credential.release"]) == 3


def test_each_refusal_is_an_exception_of_its_own(
    client: VaultClient, vault: VaultProcess, world: World, partner: str, other_partner: str
) -> None:
    client.put(partner, "main", tokens(), replaces=None)
    with pytest.raises(Conflict) as conflict:
        client.put(partner, "main", tokens(), replaces=7)
    assert conflict.value.kind == "precondition-failed"
    assert conflict.value.trace_id in str(conflict.value)
    with pytest.raises(NotFound):
        client.release(partner, "nothing")
    with pytest.raises(NotFound):
        client.release(other_partner, "main")
    with pytest.raises(BadRequest):
        client.put(partner, "main", tokens(broker="NO NAME"), replaces=1)
    with pytest.raises(ValueError, match="cannot be a name"):
        client.describe("..", "main")
    analyst, nobody, weak = (
        Secret(world.realm.token(partner, role="partner-analyst")),
        Secret("no.such.token"),
        Secret(world.realm.token(partner, assurance_level="aal1", acr="aal1")),
    )
    with VaultClient(vault.url, lambda: analyst) as other, pytest.raises(NotAllowed):
        other.release(partner, "main")
    with VaultClient(vault.url, lambda: nobody) as other, pytest.raises(NotAuthenticated):
        other.release(partner, "main")
    with VaultClient(vault.url, lambda: weak) as other, pytest.raises(StepUpRequired) as demand:
        other.release(partner, "main")
    assert (demand.value.acr_values, demand.value.max_age) == ("aal2", None)


def test_only_what_may_be_repeated_is_sent_again(partner: str) -> None:
    pauses: list[float] = []
    with VaultClient(f"http://127.0.0.1:{unused_port()}", lambda: Secret("token"), attempts=3) as nowhere:
        nowhere._transport._pause = pauses.append
        with pytest.raises(Unreachable) as unreachable:
            nowhere.release(partner, "main")
        assert len(pauses) == 2
        with pytest.raises(Unreachable):
            nowhere.lease(partner, "reporting")
    assert len(pauses) == 2
    assert "token" not in str(unreachable.value)
    assert unreachable.value.__cause__ is None


def test_an_answer_that_is_no_problem_document_is_still_one_exception() -> None:
    error = error_of(502, "<html>", "7")
    assert (error.kind, type(error).__name__) == ("http-502", "Unavailable")


def test_a_file_that_others_can_read_gives_no_token(tmp_path: Path) -> None:
    file = tmp_path / "bearer"
    file.write_text("token")
    with pytest.raises(BearerUnavailable, match="chmod 600"):
        BearerFile(file)()


def test_a_services_key_gets_tokens_and_renews_them(world: World, tmp_path: Path) -> None:
    key = private_file(tmp_path / "key.pem", world.realm.client_pem)
    token_url = f"{world.realm.issuer}/protocol/openid-connect/token"
    bearer = ServiceKey(token_url, "vault-api", key, audience=world.realm.issuer)
    assert bearer() == bearer() == Secret(world.realm.service_token)
    bearer.close()


def run(vault: VaultProcess, bearer: Path, *words: str, given: str = "") -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.environ["PATH"], "VAULT_URL": vault.url, "VAULT_BEARER_FILE": str(bearer)}
    return subprocess.run(
        [sys.executable, "-m", "vault_client", *words],
        cwd=CHECKOUT, env=environment, input=given, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


@pytest.fixture
def bearer(world: World, partner: str, tmp_path: Path) -> Path:
    return private_file(tmp_path / "bearer", world.realm.token(partner))


def test_an_operator_puts_lists_and_releases_by_pipes(vault: VaultProcess, bearer: Path, partner: str) -> None:
    put = run(vault, bearer, "--json", "put", partner, "main", "--broker", "paper", given=f"{ACCESS}\n")
    assert (put.returncode, json.loads(put.stdout)["version"]) == (0, 1), put.stderr
    assert run(vault, bearer, "put", partner, "main", "--broker", "paper", given=ACCESS).returncode == 5
    listed = json.loads(run(vault, bearer, "--json", "list", partner).stdout)
    assert [one["connection"] for one in listed] == ["main"]
    assert "key_version" in run(vault, bearer, "describe", partner, "main").stdout
    released = run(vault, bearer, "release", partner, "main")
    assert (released.stdout, released.stderr, released.returncode) == (ACCESS, "", 0)
    facts = run(vault, bearer, "--json", "release", partner, "main")
    assert ACCESS not in facts.stdout + facts.stderr
    trail = [json.loads(line) for line in run(vault, bearer, "audit", partner).stdout.splitlines()]
    assert "credential.release" in {event["event"] for event in trail}


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("describe", "PARTNER", "nothing"), 4, "not-found"),
        (("describe", "..", "nothing"), 3, "cannot be a name"),
        (("describe", "no-such-partner", "main"), 4, "not-found"),
        (("digest",), 4, "forbidden"),
        (("shred", "PARTNER"), 5, "--confirm"),
        (("shred", "PARTNER", "--confirm", "PARTNER"), 3, "TRADEPULSE_"),
        (("no-such-command",), 3, "No such command"),
        (("put", "PARTNER", "main"), 3, "--broker"),
        (("put", "PARTNER", "main", "--broker", "paper", "--access-token-file", "/no/such/file"), 3, "cannot read"),
        (("put", "PARTNER", "main", "--broker", "paper", "--expires-at", "tomorrow"), 3, "RFC 3339"),
        (("put", "PARTNER", "main", "--broker", "paper"), 3, "is empty"),
        (("--bearer-file", "/no/such/file", "list", "PARTNER"), 4, "cannot read"),
        (("--url", "http://127.0.0.1:1", "describe", "PARTNER", "main"), 1, "does not answer"),
    ],
)
def test_every_failure_is_one_line_with_its_exit_code(
    vault: VaultProcess, bearer: Path, partner: str, words: tuple[str, ...], code: int, said: str
) -> None:
    done = run(vault, bearer, *(partner if word == "PARTNER" else word for word in words))
    assert done.returncode == code, done.stderr
    assert said in done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr


def test_a_terminal_sees_a_secret_only_when_it_is_asked_for(vault: VaultProcess, bearer: Path, partner: str) -> None:
    assert run(vault, bearer, "put", partner, "main", "--broker", "paper", given=ACCESS).returncode == 0
    environment = {"PATH": os.environ["PATH"], "VAULT_URL": vault.url, "VAULT_BEARER_FILE": str(bearer)}
    for words, code, seen in (((), 5, False), (("--show",), 0, True)):
        ours, theirs = pty.openpty()
        process = subprocess.Popen(
            [sys.executable, "-m", "vault_client", "release", partner, "main", *words],
            cwd=CHECKOUT, stdout=theirs, stderr=subprocess.PIPE, env=environment,
        )  # fmt: skip
        _, errors = process.communicate(timeout=60)
        os.write(theirs, b"end")
        output = os.read(ours, 65_536)
        os.close(theirs)
        os.close(ours)
        assert (process.returncode, ACCESS.encode() in output) == (code, seen), errors
    assert partner in PARTNERS


def test_a_connection_without_a_token_set_is_shown_like_any_other() -> None:
    # As the vault describes one that is being linked.
    waiting = Credential.model_validate(
        {
            "connection": "main", "broker": "paper", "state": "pending_link", "version": None, "key_version": None,
            "created_at": "2026-01-01T00:00:00Z", "stored_at": None, "stored_by": None, "age_seconds": None,
            "expired": False, "has_refresh_token": False, "scopes": [],
        }
    )  # fmt: skip
    assert (waiting.state, waiting.version) == ("pending_link", None)
