"""A session that ended is over here at once, for every process, also after a restart; and nobody else can end it."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from identity.audit.log import AuditLog, AuditUnavailable
from session_broker.ended import EndedSessions
from session_broker.verify import VerifiedIdentity
from tests.identity.token_forge import RSA
from tests.session_broker.door_world import World, passed_on, refusal

NOW = int(time.time())
"""When this module was read, which in a long run is long ago."""


def now() -> int:
    """Seconds of Unix time."""
    return int(time.time())


async def test_a_logout_ends_the_session_at_once_and_no_other(world: World) -> None:
    token, other = world.own(), world.own(sid="session-2")
    async with world.broker() as broker:
        assert passed_on(await broker.authorize(token)) == token
        assert (await broker.logout(world.logout_token())).status_code == 200
        assert refusal(await broker.authorize(token)) == 401
        assert refusal(await broker.authorize(world.own())) == 401
        assert passed_on(await broker.authorize(other)) == other
    reasons = [(line["event"], line["reason"]) for line in world.lines]
    assert ("session.ended", None) in reasons
    assert ("session.refused", "session_ended") in reasons


async def test_a_logout_holds_after_a_restart_and_in_other_processes(world: World) -> None:
    token = world.own()
    async with world.broker() as first, world.broker() as second:
        assert passed_on(await second.authorize(token)) == token
        assert (await first.logout(world.logout_token())).status_code == 200
        assert refusal(await second.authorize(token)) == 401
    async with world.broker() as third:
        assert refusal(await third.authorize(token)) == 401


async def test_a_logout_of_a_person_ends_what_was_issued_before_and_not_what_comes_after(world: World) -> None:
    before, after = world.own(sid="session-7"), world.own(sid="session-8", iat=int(time.time()) + 5)
    async with world.broker() as broker:
        assert (await broker.logout(world.logout_token(sid=None))).status_code == 200
        assert refusal(await broker.authorize(before)) == 401
        assert passed_on(await broker.authorize(after)) == after


async def test_our_realm_ends_exchanged_sessions_of_a_person_too(world: World) -> None:
    token = world.external()
    async with world.broker() as broker:
        assert passed_on(await broker.authorize(token))
        assert (await broker.logout(world.logout_token(sid=None))).status_code == 200
        assert refusal(await broker.authorize(token)) == 401
        assert refusal(await broker.authorize(token)) == 401


async def test_a_provider_ends_its_own_sessions_and_nobody_elses(world: World) -> None:
    token = world.external()
    theirs = world.logout_token(
        key=RSA, algorithm="RS256", iss=f"{world.place}/workforce", aud="tradepulse", sid="upstream-1"
    )
    async with world.broker() as broker:
        assert passed_on(await broker.authorize(token))
        assert (await broker.logout(theirs)).status_code == 200
        assert refusal(await broker.authorize(token)) == 401
        own = world.own(sid="upstream-1")
        assert passed_on(await broker.authorize(own)) == own


async def test_a_providers_logout_ends_tokens_that_do_not_say_of_which_session_they_are(world: World) -> None:
    unnamed, other = world.external(sid=None), world.external(sid="upstream-2")
    somebody = world.external(sid=None, sub="bob@tradepulse.example")
    theirs = world.logout_token(
        key=RSA,
        algorithm="RS256",
        iss=f"{world.place}/workforce",
        aud="tradepulse",
        sid="upstream-1",
        sub="ada@tradepulse.example",
    )
    async with world.broker() as broker:
        for token in (unnamed, other, somebody):
            assert passed_on(await broker.authorize(token))
        assert (await broker.logout(theirs)).status_code == 200
        assert refusal(await broker.authorize(unnamed)) == 401
        for token in (other, somebody, world.external(sid=None, iat=int(time.time()) + 5)):
            assert passed_on(await broker.authorize(token))
        # A session of our realm is not the one that another provider's token is of.
        assert (await broker.logout(world.logout_token())).status_code == 200
        assert passed_on(await broker.authorize(other))


async def test_a_logout_token_is_taken_once(world: World) -> None:
    token = world.logout_token()
    async with world.broker() as first, world.broker() as second:
        answers = [(await broker.logout(token)).status_code for broker in (first, first, second)]
    assert answers == [200, 400, 400]
    assert [line["reason"] for line in world.lines if line["outcome"] == "denied"] == ["logout_replayed"] * 2


async def until(what: Callable[[], object]) -> None:
    deadline = time.monotonic() + 20
    while not what():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.05)


async def test_the_vault_is_told_of_a_session_that_ended_until_it_says_yes(world: World) -> None:
    world.vault = [503, 401, 500]
    async with world.broker(vault_url=world.place) as broker:
        assert broker.broker.leases is not None
        broker.broker.leases.errands.first_pause = 0.01
        assert (await broker.logout(world.logout_token())).status_code == 200
        await until(lambda: len(world.told) == 4)
        failures = b"session_broker_lease_failures_total 3.0"
        await until(lambda: failures in broker.broker.metrics.render())
    assert world.told == [{"session": "session-1", "reason": "logout"}] * 4
    # After a 401 the broker's own token is a new one.
    assert [form["grant_type"] for form in world.forms] == ["client_credentials"] * 2


async def test_the_vault_is_told_of_a_logout_whose_audit_line_cannot_be_written(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def full(*_: object) -> None:
        raise AuditUnavailable("no space left on device")

    async with world.broker(vault_url=world.place) as broker:
        token = world.logout_token()
        with monkeypatch.context() as disk:
            disk.setattr(AuditLog, "append", full)
            assert (await broker.logout(token)).status_code == 503
        await until(lambda: world.told)
    assert world.told == [{"session": "session-1", "reason": "logout"}]


async def test_a_vault_that_never_says_yes_is_a_line_in_the_audit(world: World) -> None:
    world.vault = [503] * 50
    async with world.broker(vault_url=world.place) as broker:
        assert broker.broker.leases is not None
        broker.broker.leases.errands.first_pause = broker.broker.leases.errands.longest_pause = 0.01
        assert (await broker.logout(world.logout_token(sid=None))).status_code == 200
        await until(lambda: any(line["outcome"] == "failure" for line in world.lines))
    assert world.told[0] == {"subject": "person-1", "reason": "logout"}
    (failed,) = [line for line in world.lines if line["outcome"] == "failure"]
    assert (failed["event"], failed["reason"]) == ("session.ended", "leases_not_ended")


async def test_leases_that_nobody_ended_when_the_broker_stops_are_in_its_log(
    world: World, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    world.vault = [503] * 50
    async with world.broker(vault_url=world.place) as broker:
        assert (await broker.logout(world.logout_token())).status_code == 200
        await until(lambda: world.told)
    # Which of the two has it depends on whether an earlier test of this process configured logs.
    said = "".join(capsys.readouterr()) + caplog.text
    assert "leases.not_ended" in said
    assert "session-1" in said


async def test_a_providers_logout_is_nothing_to_the_vault(world: World) -> None:
    theirs = world.logout_token(
        key=RSA, algorithm="RS256", iss=f"{world.place}/workforce", aud="tradepulse", sid="upstream-1"
    )
    async with world.broker(vault_url=world.place) as broker:
        assert (await broker.logout(theirs)).status_code == 200
    assert world.told == []


RELAY = "/auth/backchannel-logout"


async def test_a_logout_goes_on_as_it_came_until_the_application_says_yes(world: World) -> None:
    world.application = [503, 404]
    async with world.broker(logout_relays=f"tradepulse-cli={world.place}{RELAY}") as broker:
        broker.broker.relays.errands.first_pause = 0.01
        token = world.logout_token()
        assert (await broker.logout(token)).status_code == 200
        await until(lambda: len(world.relayed) == 3)
        assert (await broker.logout(token)).status_code == 400
        failures = b"session_broker_relay_failures_total 2.0"
        await until(lambda: failures in broker.broker.metrics.render())
    assert world.relayed == [token] * 3, "what is a replay goes nowhere"


async def test_a_logout_goes_on_to_its_own_clients_applications_alone(world: World) -> None:
    settings = {"logout_clients": "tradepulse,tradepulse-cli", "logout_relays": f"tradepulse={world.place}{RELAY}"}
    theirs = world.logout_token(
        key=RSA, algorithm="RS256", iss=f"{world.place}/workforce", aud="tradepulse", sid="upstream-1"
    )
    async with world.broker(**settings) as broker:
        for token in (world.logout_token(), theirs, world.logout_token(aud="tradepulse", exp=NOW - 100)):
            await broker.logout(token)
        token = world.logout_token(aud="tradepulse")
        assert (await broker.logout(token)).status_code == 200
        await until(lambda: world.relayed)
    assert world.relayed == [token]


async def test_an_application_that_never_answers_is_a_line_in_the_audit(world: World) -> None:
    world.application = [503] * 50
    async with world.broker(logout_relays=f"tradepulse-cli={world.place}{RELAY}") as broker:
        broker.broker.relays.errands.first_pause = broker.broker.relays.errands.longest_pause = 0.01
        assert (await broker.logout(world.logout_token())).status_code == 200
        await until(lambda: any(line["outcome"] == "failure" for line in world.lines))
    (failed,) = [line for line in world.lines if line["outcome"] == "failure"]
    assert (failed["event"], failed["reason"]) == ("session.ended", "not_relayed")


@pytest.mark.parametrize(
    "relays",
    [
        "http://localhost:1/x",
        "tradepulse-cli=",
        "tradepulse-cli=ftp://localhost/x",
        "tradepulse-cli=http://",
        "=http://localhost:1/x",
        "tradepulse-cli=http://me:secret@localhost:1/x",
        "tradepulse=http://localhost:1/x",
    ],
)
async def test_a_relay_that_could_not_work_stops_the_start(world: World, relays: str) -> None:
    with pytest.raises(ValueError, match=r"SESSION_BROKER_LOGOUT_RELAYS|client=url"):
        async with world.broker(logout_relays=relays):
            pass


BAD: dict[str, tuple[Callable[[World], str], str]] = {
    "of a client that is not listed": (lambda w: w.logout_token(aud="tradepulse"), "audience_refused"),
    "for several": (lambda w: w.logout_token(aud=["tradepulse-cli", "x"]), "audience_refused"),
    "of an unknown issuer": (lambda w: w.logout_token(iss="http://localhost:9"), "issuer_refused"),
    "by a provider in our name": (lambda w: w.logout_token(key=RSA, algorithm="RS256"), "key_unknown"),
    "an access token": (lambda w: w.own(), "purpose_refused"),
    "an ID token": (lambda w: w.logout_token(nonce="n"), "purpose_refused"),
    "another event": (lambda w: w.logout_token(events={"urn:other": {}}), "purpose_refused"),
    "an event that is no object": (
        lambda w: w.logout_token(events={"http://schemas.openid.net/event/backchannel-logout": True}),
        "purpose_refused",
    ),
    "old": (lambda w: w.logout_token(iat=now() - 1000, exp=None), "expired"),
    "expired": (lambda w: w.logout_token(exp=now() - 100), "expired"),
    "from the future": (lambda w: w.logout_token(iat=now() + 500, exp=now() + 600), "issued_in_future"),
    "without an id": (lambda w: w.logout_token(jti=None), "claim_missing"),
    "of nobody": (lambda w: w.logout_token(sid=None, sub=None), "claim_missing"),
    "with a session that is no text": (lambda w: w.logout_token(sid=7), "claim_malformed"),
    "no token": (lambda w: "garbage", "malformed"),
}


@pytest.mark.parametrize("case", BAD)
async def test_a_logout_token_that_is_not_good_ends_nothing(world: World, case: str) -> None:
    forged, reason = BAD[case]
    token = world.own()
    async with world.broker() as broker:
        answer = await broker.logout(forged(world))
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")
        assert passed_on(await broker.authorize(token)) == token
    assert world.lines[0]["reason"] == f"logout_{reason}"


def identity(session: str | None, issued_at: int = NOW) -> VerifiedIdentity:
    return VerifiedIdentity(
        provider="internal",
        issuer="https://realm",
        subject="ada",
        session=session,
        issued_at=issued_at,
        expires_at=issued_at + 300,
        token_name="t",
    )


def test_what_a_crash_left_half_swallows_nothing_and_ends_nothing(tmp_path: Path) -> None:
    ended = EndedSessions(tmp_path)
    assert ended.end(issuer="https://realm", session="one", subject=None, logout="a", issued_at=NOW)
    with (tmp_path / "ended-sessions").open("ab") as file:
        file.write(b"0123456789abcdef")
    assert ended.end(issuer="https://realm", session="two", subject=None, logout="b", issued_at=NOW)
    again = EndedSessions(tmp_path)
    for one in (ended, again):
        assert one.has(identity("one"))
        assert one.has(identity("two"))
        assert not one.has(identity("three"))


def test_a_logout_of_which_only_a_part_was_written_can_be_sent_again(tmp_path: Path) -> None:
    program = (
        "import pathlib, resource, sys; from session_broker.ended import EndedSessions, EndedUnavailable\n"
        "ended = EndedSessions(pathlib.Path(sys.argv[1]))\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))\n"
        f"try: ended.end(issuer='https://realm', session='one', subject=None, logout='a', issued_at={NOW})\n"
        "except EndedUnavailable: sys.exit(7)"
    )
    # The disk is full after one line and a bit of the next.
    told = subprocess.run([sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.DEVNULL, check=False)
    assert told.returncode == 7
    ended = EndedSessions(tmp_path)
    again = [
        ended.end(issuer="https://realm", session="one", subject=None, logout="a", issued_at=NOW) for _ in range(2)
    ]
    assert again == [True, False]
    assert ended.has(identity("one"))


def test_a_full_disk_brings_no_session_back_when_old_lines_are_dropped(tmp_path: Path) -> None:
    ended = EndedSessions(tmp_path, clock=lambda: NOW)
    ended.end(issuer="https://realm", session="old", subject=None, logout="a", issued_at=NOW - 100_000)
    ended.end(issuer="https://realm", session="one", subject=None, logout="b", issued_at=NOW)
    ended.end(issuer="https://realm", session="two", subject=None, logout="c", issued_at=NOW)
    ended.close()
    program = (
        "import pathlib, resource, sys; from session_broker.ended import EndedSessions\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))\n"
        "try: EndedSessions(pathlib.Path(sys.argv[1]))\n"
        "except OSError: sys.exit(7)"
    )
    assert subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=False).returncode == 7
    again = EndedSessions(tmp_path)
    assert again.has(identity("one"))
    assert again.has(identity("two"))


def test_lines_that_no_token_can_be_older_than_are_dropped_only_when_nobody_reads_them(tmp_path: Path) -> None:
    first = EndedSessions(tmp_path, clock=lambda: NOW)
    first.end(issuer="https://realm", session="old", subject=None, logout="a", issued_at=NOW)
    later = lambda: NOW + 100_000.0  # noqa: E731
    beside = EndedSessions(tmp_path, clock=later)
    assert beside.has(identity("old"))
    beside.end(issuer="https://realm", session="new", subject=None, logout="b", issued_at=NOW + 100_000)
    assert first.has(identity("new"))
    first.close()
    beside.close()
    alone = EndedSessions(tmp_path, clock=later)
    assert not alone.has(identity("old"))
    assert alone.has(identity("new"))


def test_a_process_that_runs_for_long_forgets_what_no_token_can_be_older_than(tmp_path: Path) -> None:
    ended = EndedSessions(tmp_path, clock=lambda: NOW)
    ended.end(issuer="https://realm", session="one", subject=None, logout="a", issued_at=NOW - 80_000)
    with (tmp_path / "ended-sessions").open("a") as file:
        file.writelines(f"{number:064x} {NOW - 100_000}\n" for number in range(20_000))
    assert ended.has(identity("one"))
    assert len(ended) == 2


def test_of_many_processes_with_one_logout_token_exactly_one_takes_it(tmp_path: Path) -> None:
    program = (
        "import sys, pathlib, time; from session_broker.ended import EndedSessions\n"
        "ended = EndedSessions(pathlib.Path(sys.argv[1]))\n"
        # Of now: a process that starts alone drops what is too old to matter.
        "now = int(time.time())\n"
        "end = lambda n: ended.end(issuer='i', session=f's{n}', subject=None, logout=f'l{n}', issued_at=now)\n"
        "print(sum(end(n) for n in range(50)))"
    )
    running = [
        subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    assert sum(int(one.communicate()[0]) for one in running) == 50


def test_a_directory_that_others_can_write_to_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o770)
    with pytest.raises(ValueError, match="chmod 700"):
        EndedSessions(tmp_path)
