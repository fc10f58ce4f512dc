"""The calls that are served ahead of the framework answer as the framework would, and several processes as one."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from vault_world import FIRST, TOKENS, VaultProcess, World, credential_url

from identity.audit.event import AuditEvent
from identity.redact import redact_text

HEADERS = {"cache-control": "no-store", "x-content-type-options": "nosniff", "referrer-policy": "no-referrer"}


@pytest.fixture(scope="module")
def workers(start_vault: Callable[..., VaultProcess]) -> Iterator[VaultProcess]:
    return start_vault(VAULT_WORKERS="2")


@pytest.mark.parametrize(
    ("method", "tail", "expected"),
    [
        ("POST", "credential/release", 404),
        ("GET", "credential", 404),
        ("PUT", "credential", 428),
        ("DELETE", "credential/release", 405),
        ("POST", "credential", 405),
        ("POST", "credential/release/", 404),
        ("POST", "credential/release/more", 404),
    ],
)
def test_an_error_is_a_problem_with_the_headers_and_trace_of_any_other(
    vault: VaultProcess, world: World, partner: str, method: str, tail: str, expected: int
) -> None:
    trace = "0af7651916cd43dd8448eb211c80319c"
    answer = vault.http.request(
        method,
        f"/v1/partners/{partner}/connections/absent/{tail}",
        headers={**world.realm.bearer(partner), "traceparent": f"00-{trace}-b7ad6b7169203331-01"},
    )
    assert answer.status_code == expected
    assert answer.headers["content-type"] == "application/problem+json"
    assert {name: answer.headers[name] for name in HEADERS} == HEADERS
    assert answer.json()["trace_id"] == trace


@pytest.mark.parametrize("tail", ["credential/release", "connections/x/credential/release", "credential"])
def test_a_path_without_names_is_not_there(vault: VaultProcess, world: World, partner: str, tail: str) -> None:
    for path in (f"/v1/partners//connections/x/{tail}", f"/v1/partners/{partner}/connections//{tail}", f"/v1//{tail}"):
        answer = vault.http.post(path, headers=world.realm.bearer(partner))
        assert answer.status_code in (404, 405)


def test_a_body_over_the_limit_is_refused_before_anybody_is_asked(
    vault: VaultProcess, world: World, partner: str
) -> None:
    for method, tail in (("POST", "/release"), ("PUT", "")):
        answer = vault.http.request(
            method, credential_url(partner, "main") + tail, headers=world.realm.bearer(partner), content=b"x" * 70_000
        )
        assert answer.status_code == 413


def test_what_the_lane_answers_is_counted_under_its_own_name(vault: VaultProcess, world: World, partner: str) -> None:
    series = 'vault_requests_total{endpoint="release",method="POST",status="404"} '

    def count() -> float:
        lines = vault.http.get("/metrics").text.splitlines()
        return next((float(line.split()[-1]) for line in lines if line.startswith(series)), 0.0)

    before = count()
    vault.http.post(f"{credential_url(partner, 'none')}/release", headers=world.realm.bearer(partner))
    assert count() == before + 1


def test_several_processes_serve_one_address_and_every_line_is_in_the_file(
    workers: VaultProcess, world: World, partner: str
) -> None:
    bearer = world.realm.bearer(partner)
    assert (
        workers.http.put(credential_url(partner, "main"), headers={**bearer, **FIRST}, json=TOKENS).status_code == 201
    )

    def release() -> None:
        # A connection of its own each time, so that the kernel spreads them.
        answer = httpx.post(f"{workers.url}{credential_url(partner, 'main')}/release", headers=bearer, trust_env=False)
        assert answer.status_code == 200

    threads = [threading.Thread(target=release) for _ in range(24)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    until = time.monotonic() + 20
    while (workers.audit / "api_events.jsonl").read_text().count(f'"partner":"{partner}"') < 1 + 24:
        assert time.monotonic() < until
        time.sleep(0.1)
    counted = [
        float(line.split()[-1])
        for _ in range(8)
        for line in httpx.get(f"{workers.url}/metrics", trust_env=False).text.splitlines()
        if line.startswith("vault_releases_total ")
    ]
    # Whichever process is asked, it answers for all of them.
    assert set(counted) == {24.0}


def test_a_process_that_is_killed_is_replaced_and_the_others_serve_on(workers: VaultProcess, world: World) -> None:
    first = children(workers.process.pid)
    os.kill(first[0], signal.SIGKILL)
    until = time.monotonic() + 30
    while len(children(workers.process.pid)) < 2 or first[0] in children(workers.process.pid):
        assert time.monotonic() < until
        time.sleep(0.05)
    answers = [httpx.get(f"{workers.url}/health/live", trust_env=False).status_code for _ in range(10)]
    assert answers == [200] * 10
    assert first[1] in children(workers.process.pid)


def test_a_setting_that_is_wrong_ends_all_processes_with_its_own_exit_code(world: World) -> None:
    done = world.run("serve", VAULT_WORKERS="2", VAULT_KMS="none-such")
    assert done.returncode == 3
    assert "vault-api:" in done.stderr


def test_processes_end_with_the_one_that_started_them(world: World) -> None:
    running = world.start(VAULT_WORKERS="2")
    pids = children(running.process.pid)
    assert len(pids) == 2
    running.end(how=signal.SIGKILL)
    until = time.monotonic() + 30
    while any(Path(f"/proc/{pid}").exists() for pid in pids):
        assert time.monotonic() < until
        time.sleep(0.1)


@given(st.text(alphabet="abcXYZ019eyJEYj_.:/-", max_size=60))
def test_text_that_is_not_looked_at_for_secrets_holds_none(text: str) -> None:
    event = AuditEvent(event="e", outcome="success", resource=text)
    assert event.resource == redact_text(text)


def children(pid: int) -> list[int]:
    found = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(child) for child in found]
