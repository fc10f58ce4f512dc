"""A flood of bad tokens fills neither the database nor the file, and is in the trail as a count."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from vault_world import FIRST, TOKENS, VaultProcess, World, credential_url

from identity.audit.errors import AuditUnavailable
from identity.audit.event import AuditEvent
from identity.audit.verify import verify_file
from vault_api.metrics import Metrics
from vault_api.trail.rejected import RejectedTokens

BAD = AuditEvent(event="credential.release", outcome="denied", reason="malformed")


@dataclass
class Lines:
    """A trail in memory."""

    events: list[AuditEvent] = field(default_factory=list)
    away: bool = False
    attempts: int = 0

    async def record(self, event: AuditEvent) -> None:
        self.attempts += 1
        await asyncio.sleep(0)
        if self.away:
            raise AuditUnavailable("away")
        self.events.append(event)

    def single(self) -> int:
        return sum(event is BAD for event in self.events)

    def summaries(self) -> list[str | None]:
        return [event.reason for event in self.events if event.event == "token.rejected.summary"]


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


async def test_a_burst_has_a_line_each_and_the_rest_is_counted() -> None:
    lines, metrics = Lines(), Metrics()
    rejected = RejectedTokens(lines, metrics, clock=Clock())
    for _ in range(187):
        await rejected.record(BAD)
    assert (lines.single(), lines.summaries()) == (50, [])
    assert b"vault_bearer_tokens_summarised_total 137.0" in metrics.render()
    await rejected.close()
    assert (lines.single(), lines.summaries()) == (50, ["rate_limited:137"])
    await rejected.close()
    assert lines.summaries() == ["rate_limited:137"]


async def test_a_lasting_flood_has_ten_lines_and_one_summary_a_second() -> None:
    lines, clock = Lines(), Clock()
    rejected = RejectedTokens(lines, Metrics(), clock=clock)
    for tick in range(60 * 1000):
        clock.now = 1000.0 + tick / 1000
        await rejected.record(BAD)
    await rejected.close()
    assert 50 + 590 <= lines.single() <= 50 + 600
    assert 55 <= len(lines.summaries()) <= 61
    counted = sum(int(str(reason).removeprefix("rate_limited:")) for reason in lines.summaries())
    assert lines.single() + counted == 60 * 1000


async def test_what_was_counted_is_said_with_the_next_refused_token() -> None:
    lines, clock = Lines(), Clock()
    rejected = RejectedTokens(lines, Metrics(), burst=1, clock=clock)
    for _ in range(3):
        await rejected.record(BAD)
    clock.now += 3600
    await rejected.record(BAD)
    assert [event.reason for event in lines.events] == ["malformed", "rate_limited:2", "malformed"]


async def test_many_at_once_are_counted_once_each() -> None:
    lines, clock = Lines(), Clock()
    rejected = RejectedTokens(lines, Metrics(), burst=5, clock=clock)
    await asyncio.gather(*(rejected.record(BAD) for _ in range(25)))
    clock.now += 1.0
    await asyncio.gather(*(rejected.record(BAD) for _ in range(25)))
    await rejected.close()
    counted = sum(int(str(reason).removeprefix("rate_limited:")) for reason in lines.summaries())
    assert lines.single() + counted == 50


async def test_a_summary_that_cannot_be_recorded_is_not_lost_and_not_tried_by_everybody() -> None:
    lines, clock = Lines(), Clock()
    rejected = RejectedTokens(lines, Metrics(), burst=0, clock=clock)
    await rejected.record(BAD)
    lines.away = True
    clock.now += 1.0
    with pytest.raises(AuditUnavailable):
        await rejected.record(BAD)
    for _ in range(10):
        await rejected.record(BAD)
    assert lines.attempts == 1
    lines.away = False
    clock.now += 1.0
    await rejected.record(BAD)
    assert lines.summaries() == ["rate_limited:13"]


def test_no_number_of_a_summary_becomes_a_label_and_verified_callers_have_a_line_each(
    start_vault: Callable[..., VaultProcess],
    own_database: dict[str, str],
    world: World,
    partner: str,
    other_partner: str,
    tmp_path: Path,
) -> None:
    vault = start_vault(**own_database, TRADEPULSE_AUDIT_DIR=str(tmp_path / "audit"))
    member = world.realm.bearer(partner)
    stored = vault.http.put(credential_url(partner, "main"), headers={**member, **FIRST}, json=TOKENS)
    assert stored.status_code == 201
    url, bad = f"{credential_url(partner, 'main')}/release", {"Authorization": "Bearer not-a-token"}

    def answer(headers: dict[str, str]) -> tuple[int, Any]:
        found = vault.http.post(url, headers=headers)
        return found.status_code, {**found.json(), "trace_id": ""}

    first, started = answer(bad), time.monotonic()
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: answer(bad), range(599)))
    # Whether it has a line or not shows in nothing.
    assert first[0] == 401
    assert all(other == first for other in answers)
    # With nothing left for tokens, refusals of verified callers are recorded as ever.
    analyst, stranger = world.realm.bearer(partner, role="partner-analyst"), world.realm.bearer(other_partner)
    assert {answer(analyst)[0] for _ in range(60)} == {403}
    assert {answer(stranger)[0] for _ in range(60)} == {404}
    assert answer(member)[0] == 200
    time.sleep(1.1)
    answer(bad)
    metrics = vault.http.get("/metrics").text
    assert 'vault_refusals_total{event="token.rejected.summary",reason="rate_limited"}' in metrics
    assert "rate_limited:" not in metrics
    # And what was counted after the last summary is written at the end.
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: answer(bad), range(100)))
    seconds = time.monotonic() - started
    vault.end()
    path = vault.audit / "api_events.jsonl"
    records = [json.loads(line) for line in path.read_text().splitlines()]
    single = [record for record in records if record["reason"] == "malformed"]
    summaries = [record["reason"] for record in records if record["event"] == "token.rejected.summary"]
    assert 50 <= len(single) <= 52 + 10 * seconds
    assert summaries
    counted = sum(int(reason.removeprefix("rate_limited:")) for reason in summaries)
    assert len(single) + counted == 701
    by = [(record["actor"], record["reason"]) for record in records if record["outcome"] == "denied"]
    assert sum(actor == f"{partner}@example.test" for actor, _ in by) == 60
    assert sum(actor == f"{other_partner}@example.test" for actor, _ in by) == 60
    assert verify_file(path).ok
