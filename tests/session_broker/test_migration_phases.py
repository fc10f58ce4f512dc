"""A migration phase by phase: who is let through, which tokens go on, and that a step drops nobody."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from session_broker.__main__ import main
from session_broker.migration.phase import Phase
from session_broker.migration.phase_file import BELIEVED_SECONDS, PhaseFile, Stand
from session_broker.migration.roles import LegacyRole
from tests.identity.loopback_server import Answer, answer_json
from tests.session_broker.door_world import ACCESS, Caller, World, environment, refusal
from tests.session_broker.test_legacy_tokens import CLAIMS, HEADER, SECRET, signed

NEW, LEGACY = "x-tradepulse-token", "x-tradepulse-legacy-token"
BRIDGE = "https://broker.example/legacy"


class Moving(World):
    """A broker's neighbours, in a migration."""

    def __post_init__(self) -> None:
        super().__post_init__()
        (self.folder / "access.toml").write_text(ACCESS.replace('"machines"]', '"machines", "legacy"]'))
        secret = self.folder / "legacy.secret"
        secret.touch(mode=0o600)
        secret.write_bytes(SECRET)
        self.phase = PhaseFile(self.folder / "phase.json")
        self.environment |= {
            "SESSION_BROKER_MIGRATION_FILE": str(self.folder / "phase.json"),
            "SESSION_BROKER_LEGACY_SECRET_FILE": str(secret),
            "SESSION_BROKER_LEGACY_ISSUER": CLAIMS["iss"],
            "SESSION_BROKER_LEGACY_AUDIENCE": CLAIMS["aud"],
            "SESSION_BROKER_BRIDGE_KEY_FILE": str(self.folder / "client.pem"),
            "SESSION_BROKER_BRIDGE_ISSUER": BRIDGE,
            "SESSION_BROKER_LEGACY_DEPRECATED": "2026-11-01T00:00:00Z",
            "SESSION_BROKER_LEGACY_SUNSET": "2027-03-01T00:00:00Z",
        }

    def enter(self, phase: Phase) -> None:
        self.phase.write(Stand(phase=phase, since=int(time.time()), by="a test"))

    @asynccontextmanager
    async def in_phase(self, phase: Phase) -> AsyncIterator[Caller]:
        self.enter(phase)
        async with self.broker() as broker:
            yield broker

    def legacy(self, **changes: Any) -> str:
        now = int(time.time())
        return signed(HEADER, CLAIMS | {"iat": now - 5, "exp": now + 300} | changes)

    def command(self, *words: str) -> int:
        with environment({**self.environment, "PLACE": self.place}):
            return main(["migration", *words])


@pytest.fixture
def world(tmp_path: Path) -> Iterator[Moving]:
    made = Moving(tmp_path)
    yield made
    made.server.stop()


def claims(token: str) -> dict[str, Any]:
    body = token.split(".")[1]
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    return found


def handed(answer: Any) -> dict[str, str | None]:
    """What goes on, by header: whose token it is."""
    assert answer.status_code == 204, answer.text
    bearer = answer.headers.get("x-tradepulse-authorization")
    found = {"authorization": bearer and bearer.removeprefix("Bearer ")}
    found |= {name: answer.headers.get(name) for name in (NEW, LEGACY)}
    return {
        name: token and ("legacy" if claims(token)["iss"] == CLAIMS["iss"] else "new") for name, token in found.items()
    }


WITH_LEGACY = {
    Phase.LEGACY_ONLY: {"authorization": "legacy", NEW: None, LEGACY: None},
    Phase.BOTH: {"authorization": "legacy", NEW: "new", LEGACY: None},
    Phase.NEW_PREFERRED: {"authorization": "new", NEW: None, LEGACY: "legacy"},
    Phase.NEW_ONLY: None,
}
WITH_NEW = {
    Phase.LEGACY_ONLY: None,
    Phase.BOTH: {"authorization": "legacy", NEW: "new", LEGACY: None},
    Phase.NEW_PREFERRED: {"authorization": "new", NEW: None, LEGACY: "legacy"},
    Phase.NEW_ONLY: {"authorization": "new", NEW: None, LEGACY: None},
}


@pytest.mark.parametrize("phase", list(Phase))
async def test_a_phase_takes_and_hands_on_what_its_row_says(world: Moving, phase: Phase) -> None:
    world.internal["groups"] = ["viewer", "trader", "quant"]
    async with world.in_phase(phase) as broker:
        for token, expected in ((world.legacy(), WITH_LEGACY[phase]), (world.external(), WITH_NEW[phase])):
            answer = await broker.authorize(token)
            if expected is None:
                assert refusal(answer) == 401
                assert {NEW, LEGACY}.isdisjoint(answer.headers)
            else:
                assert handed(answer) == expected
                told = "deprecation" in answer.headers
                assert told == (phase is Phase.NEW_PREFERRED and expected is WITH_LEGACY[phase])


async def test_whoever_still_comes_with_a_legacy_token_is_told_when_that_ends(world: Moving) -> None:
    async with world.in_phase(Phase.NEW_PREFERRED) as broker:
        answer = await broker.authorize(world.legacy())
    assert answer.headers["deprecation"] == "@1793491200"
    assert answer.headers["sunset"] == "Mon, 01 Mar 2027 00:00:00 GMT"


async def test_a_legacy_token_becomes_an_assertion_that_says_a_name_and_nothing_else(world: Moving) -> None:
    token = world.legacy(roles=["super_admin"])
    async with world.in_phase(Phase.NEW_PREFERRED) as broker:
        assert handed(await broker.authorize(token))["authorization"] == "new"
        assert handed(await broker.authorize(token))["authorization"] == "new"
    assert len(world.forms) == 2, "the second request is answered from memory"
    said = claims(world.forms[0]["assertion"])
    assert said.keys() == {"iss", "sub", "aud", "jti", "iat", "exp"}
    assert (said["iss"], said["sub"], said["aud"]) == (BRIDGE, "account-17", world.issuer)
    assert said["exp"] - said["iat"] == 60
    assert world.forms[0]["assertion"] != token


async def test_a_token_written_twice_has_the_legacy_roles_alone_and_ends_with_the_other(world: Moving) -> None:
    world.internal["groups"] = ["super_admin", "mlops", "viewer"]
    async with world.in_phase(Phase.BOTH) as broker:
        answer = await broker.authorize(world.external())
        twice = claims(answer.headers["x-tradepulse-authorization"].removeprefix("Bearer "))
        new = claims(answer.headers[NEW])
        assert twice["roles"] == ["super_admin", "viewer"]
        assert twice["email"] == new["email"]
        assert twice["exp"] <= new["exp"]
        # It opens nothing from outside, or what leaks behind the proxy would be a key to it.
        assert refusal(await broker.authorize(answer.headers["x-tradepulse-authorization"].split()[1])) == 401


async def test_who_has_no_legacy_role_gets_no_legacy_token(world: Moving) -> None:
    world.internal["groups"] = ["quant"]
    async with world.in_phase(Phase.BOTH) as broker:
        assert handed(await broker.authorize(world.external())) == {"authorization": None, NEW: "new", LEGACY: None}


@pytest.mark.parametrize("answer", [answer_json({"error": "invalid_grant"}, 400), Answer(503)])
async def test_a_legacy_session_goes_on_while_it_counts_even_where_no_other_token_can_be_had(
    world: Moving, answer: Answer
) -> None:
    world.refuse = answer
    async with world.in_phase(Phase.BOTH) as broker:
        assert handed(await broker.authorize(world.legacy())) == WITH_LEGACY[Phase.LEGACY_ONLY]
        world.enter(Phase.NEW_PREFERRED)
        await asyncio.sleep(BELIEVED_SECONDS + 0.1)
        assert refusal(await broker.authorize(world.legacy())) in (403, 503)


async def test_a_service_that_does_not_list_legacy_tokens_takes_none_in_any_phase(world: Moving) -> None:
    async with world.in_phase(Phase.LEGACY_ONLY) as broker:
        for phase in (Phase.LEGACY_ONLY, Phase.BOTH, Phase.NEW_PREFERRED):
            world.enter(phase)
            await asyncio.sleep(BELIEVED_SECONDS + 0.1)
            assert refusal(await broker.authorize(world.legacy(), "reports")) == 403
    assert world.forms == []


async def test_an_unknown_role_is_refused_under_its_own_name(world: Moving) -> None:
    async with world.in_phase(Phase.LEGACY_ONLY) as broker:
        assert refusal(await broker.authorize(world.legacy(roles=["viewer", "owner"]))) == 401
    assert world.lines[-1]["reason"] == "role_unknown"


async def test_without_a_migration_no_legacy_token_is_even_looked_at(world: Moving) -> None:
    del world.environment["SESSION_BROKER_MIGRATION_FILE"]
    async with world.broker() as broker:
        assert broker.broker.migration is None
        assert refusal(await broker.authorize(world.legacy())) == 401
        assert (await broker.http.get("/migration/jwks")).status_code == 404
    assert world.lines[-1]["reason"] == "algorithm_refused"


@pytest.mark.parametrize("content", [None, "", "{}", '{"phase":"all","since":1,"by":"x"}', '{"phase":"both"'])
async def test_a_phase_that_cannot_be_read_lets_nobody_through(world: Moving, content: str | None) -> None:
    path = world.folder / "phase.json"
    async with world.in_phase(Phase.BOTH) as broker:
        assert handed(await broker.authorize(world.legacy()))
        path.unlink() if content is None else path.write_text(content)
        await asyncio.sleep(BELIEVED_SECONDS + 0.1)
        for token in (world.legacy(), world.external()):
            answer = await broker.authorize(token)
            assert refusal(answer) == 503
            assert int(answer.headers["retry-after"]) > 0
    assert world.lines[-1]["reason"] == "phase_unavailable"


async def test_steps_forward_and_back_under_traffic_drop_nobody_who_may_pass(world: Moving) -> None:
    world.internal["groups"] = ["trader"]
    legacy, new, answers = world.legacy(), world.external(), []

    async def ask(token: str) -> None:
        while not done.is_set():
            answers.append((await broker.authorize(token)).status_code)
            await asyncio.sleep(0.01)

    done = asyncio.Event()
    async with world.in_phase(Phase.BOTH) as broker:
        asking = [asyncio.create_task(ask(token)) for token in (legacy, new) for _ in range(3)]
        for step in ("forward", "back", "forward", "back"):
            await asyncio.sleep(0.3)
            assert await asyncio.to_thread(world.command, step) == 0
        await asyncio.sleep(0.6)
        done.set()
        await asyncio.gather(*asking)
    assert len(answers) > 60
    assert set(answers) == {204}


async def test_the_last_step_waits_until_nobody_uses_legacy_tokens(
    world: Moving, capsys: pytest.CaptureFixture[str]
) -> None:
    async with world.in_phase(Phase.NEW_PREFERRED) as broker:
        await broker.authorize(world.legacy(client="Desktop"))
        await broker.authorize(world.legacy(client="<script>" * 9))
    assert world.command("forward") == 5
    said = capsys.readouterr().err
    assert "desktop (" in said
    assert "other (" in said
    assert world.phase.read().phase is Phase.NEW_PREFERRED
    assert world.command("status", "--json") == 0
    assert json.loads(capsys.readouterr().out)["legacy_last_used"].keys() == {"desktop", "other"}
    assert world.command("forward", "--quiet-hours", "0") == 0
    assert world.phase.read().phase is Phase.NEW_ONLY
    stepped = [line for line in world.lines if line["event"] == "migration.stepped"]
    assert [line["resource"] for line in stepped] == ["phases/new_preferred/new_only"]


def test_a_step_beyond_the_ends_or_without_a_beginning_is_bad_input(
    world: Moving, capsys: pytest.CaptureFixture[str]
) -> None:
    for words in (["status"], ["forward"], ["start"], ["start", "sometimes"]):
        assert world.command(*words) == 3
    assert world.command("start", "legacy_only") == 0
    for words in (["start", "both"], ["back"], ["forward", "new_only"]):
        assert world.command(*words) == 3
    assert "legacy_only is the first phase" in capsys.readouterr().err
    assert world.phase.read().phase is Phase.LEGACY_ONLY


def test_a_step_that_cannot_be_written_is_said_to_have_failed_and_leaves_the_phase(
    world: Moving, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert world.command("start", "both") == 0

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as disk:
        disk.setattr(PhaseFile, "write", full)
        assert world.command("forward") == 1
    said = capsys.readouterr().err
    assert "No space left on device; the phase is as it was" in said
    assert world.phase.read().phase is Phase.BOTH
    stepped = [line["outcome"] for line in world.lines if line["event"] == "migration.stepped"]
    assert stepped == ["success", "success", "failure"]


async def test_the_token_endpoint_writes_twice_while_a_phase_does(world: Moving) -> None:
    world.internal["groups"] = ["viewer"]
    asked = {
        "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
        "subject_token": world.external(),
        "subject_token_type": "urn:ietf:params:oauth:token-type:id_token",
        "audience": "reports",
    }
    for phase, expected in ((Phase.BOTH, True), (Phase.NEW_ONLY, False)):
        async with world.in_phase(phase) as broker:
            body = (await broker.token(**asked)).json()
            assert claims(body["access_token"])["aud"] == "reports"
            assert ("legacy_token" in body) is expected


async def test_the_metrics_say_who_still_uses_what_and_no_persons_name(world: Moving) -> None:
    async with world.in_phase(Phase.NEW_PREFERRED) as broker:
        await broker.authorize(world.legacy(client="desktop"))
        await broker.authorize(world.external())
        text = (await broker.http.get("/metrics")).text
    assert 'session_broker_migration_tokens_total{client="desktop",kind="legacy",phase="new_preferred"} 1.0' in text
    assert 'session_broker_migration_tokens_total{client="session-broker",kind="new",phase="new_preferred"} 1.0' in text
    assert "trader@acme.example" not in text


def test_the_enumeration_of_legacy_roles_and_the_configuration_agree() -> None:
    text = (Path(__file__).resolve().parents[2] / "configs" / "iam" / "roles.yaml").read_text()
    roles = text.split("\nroles:\n")[1].split("\npartner_roles:\n")[0]
    assert all(f"\n  {role.value}:\n" in f"\n{roles}" for role in LegacyRole)
