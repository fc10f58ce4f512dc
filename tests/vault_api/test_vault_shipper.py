"""The shipper: every committed line is in the file once, in the order of its chain, whatever was killed."""

from __future__ import annotations

import asyncio
import random
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import asyncpg
import httpx
import orjson
import pytest
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from vault_world import FIRST, TOKENS, VaultProcess, World, credential_url

from identity.audit.chain import START, Chain, follow
from identity.audit.event import AuditEvent
from identity.audit.log import AuditLog
from identity.audit.shipped_file import Line, ShippedFile
from identity.audit.verify import verify_file
from vault_api.metrics import Metrics
from vault_api.trail.line import SOURCE, pieces
from vault_api.trail.shipper import Pending, Shipper


def chain_lines(count: int, partner: str | None = "acme-capital") -> list[Line]:
    head, lines = START, []
    for number in range(count):
        members = AuditEvent(
            event="credential.release", outcome="success", partner=partner, reason=str(number)
        ).record()
        record = follow(head, {**members, "node": "n", "source": "vault-api", "time": "2026-01-01T00:00:00.000000Z"})
        head = type(head)(record["seq"], record["hash"])
        lines.append(Line(Chain("vault-api", partner or ""), head.seq, orjson.dumps(record).decode()))
    return lines


def test_lines_that_were_written_and_not_acknowledged_are_not_written_again(tmp_path: Path) -> None:
    path, lines = tmp_path / "api_events.jsonl", chain_lines(10)
    first = ShippedFile(path, SOURCE).append(lines[:4], positions={})
    assert (first.lines, first.position) == (4, path.stat().st_size)
    # The process died before it told the database, and the next one knows nothing, or the place before.
    for positions in ({}, {first.file: 0}):
        again = ShippedFile(path, SOURCE).append(lines[:6], positions=positions)
        assert verify_file(path).ok
    assert again.lines == 0
    last = ShippedFile(path, SOURCE).append(lines[6:], positions={again.file: again.position})
    assert (last.lines, verify_file(path).lines) == (4, 10)


def test_half_a_line_is_moved_aside_and_written_whole(tmp_path: Path) -> None:
    path, lines = tmp_path / "api_events.jsonl", chain_lines(3)
    ShippedFile(path, SOURCE).append(lines[:2], positions={})
    with path.open("ab") as file:
        file.write(lines[2].text[:100].encode())
    mended = ShippedFile(path, SOURCE).append(lines, positions={})
    assert (mended.lines, len(mended.torn)) == (1, 1)
    assert (tmp_path / mended.torn[0]).read_text() == lines[2].text[:100]
    assert (verify_file(path).ok, verify_file(path).lines) == (True, 3)


def test_a_place_in_a_file_that_was_cut_or_rotated_is_not_believed(tmp_path: Path) -> None:
    path, lines = tmp_path / "api_events.jsonl", chain_lines(6)
    first = ShippedFile(path, SOURCE).append(lines[:3], positions={})
    again = ShippedFile(path, SOURCE).append(lines[:3], positions={first.file: first.position - 7})
    assert again.lines == 0
    path.rename(tmp_path / "api_events.jsonl.1")
    rotated = ShippedFile(path, SOURCE).append(lines[3:], positions={first.file: first.position})
    assert rotated.lines == 3
    assert rotated.file != first.file


async def test_a_failure_that_nobody_thought_of_is_said_and_does_not_end_the_shipping(tmp_path: Path) -> None:
    tries = asyncio.Queue[None]()

    async def connect() -> asyncpg.Connection:
        tries.put_nowait(None)
        raise ValueError("a line that is no JSON")

    async def mended(_: AuditEvent) -> None: ...

    shipper = Shipper(
        connect, Pending(), tmp_path / "api_events.jsonl", Metrics(),
        node="n", checkpoints_dir=tmp_path, checkpoint_key=None, mended=mended,
    )  # fmt: skip
    shipper.start()
    async with asyncio.timeout(20):
        await tries.get()
        await tries.get()
    assert shipper.failing
    await shipper.stop()


def test_other_writers_lines_are_left_alone(tmp_path: Path) -> None:
    path, lines = tmp_path / "api_events.jsonl", chain_lines(6)
    shipped = ShippedFile(path, SOURCE)
    other = AuditLog(path, source="session-broker", node="n")
    for number in range(6):
        shipped.append([lines[number]], positions={})
        other.append_sync(AuditEvent(event="token.exchanged", outcome="success"))
    other.close()
    assert (verify_file(path).ok, verify_file(path).lines) == (True, 12)


async def test_the_line_that_postgresql_splices_is_canonical_whatever_is_in_it(
    own_database: dict[str, str], world: World
) -> None:
    from identity.audit.chain import canonical, link  # noqa: PLC0415 - used by this test alone

    name = own_database["VAULT_DATABASE_URL"].rpartition("/")[2]
    connection = await asyncpg.connect(world.postgres.dsn("vault_app", name))
    odd = 'quote " backslash \\ slash / newline \n tab \t control \x01 delete \x7f é 漢 😀 \u2028 \ud800 <&>'
    texts = [odd, "", "null", "'; DROP TABLE vault.audit; --", '","seq":"', "%s {} $1"]
    prev = "0" * 64
    try:
        for seq, text in enumerate(texts, start=1):
            event = AuditEvent(
                event="credential.release", outcome="denied", actor=text, partner="acme", action=text, resource=text,
                decision_id=text, trace_id=text, session=text, ip=text, assurance_level="aal2", amr=(text, "pwd"),
            )  # fmt: skip
            arguments = ("acme", "main", list(pieces(event, node="n")), event.event, "denied", text or None, 2**32 - 1)
            assert (
                await connection.fetchval(
                    "SELECT vault.record($1, $2, $3, $4, $5, $6, $7)",
                    *(a if not isinstance(a, str) else a.encode("utf-8", "replace").decode() for a in arguments),
                )
                == seq
            )
            async with connection.transaction():
                await connection.execute("SELECT set_config('vault.partner', 'acme', true)")
                line = await connection.fetchval("SELECT line FROM vault.audit WHERE seq = $1", seq)
            record = orjson.loads(line)
            digest = record["hash"]
            assert record["seq"] == seq
            assert record["key_version"] == 2**32 - 1
            assert link(prev, record) == digest
            assert canonical(record).decode() == line.replace(f'"hash":"{digest}",', "")
            prev = digest
    finally:
        await connection.close()


@pytest.mark.timeout(180)
async def test_killed_again_and_again_every_line_is_in_the_file_once(
    start_vault: Callable[..., VaultProcess], own_database: dict[str, str], world: World, tmp_path: Path
) -> None:
    partners = [f"partner-{number:03d}" for number in range(240, 245)]
    settings = {**own_database, "TRADEPULSE_AUDIT_DIR": str(tmp_path / "audit")}
    answered: list[int] = []
    chosen = random.Random(7)  # noqa: S311 - when to kill, not what to hide
    bearers = {partner: world.realm.bearer(partner) for partner in partners}

    def load(vault: VaultProcess, stop: threading.Event) -> None:
        with httpx.Client(base_url=vault.url, trust_env=False) as client:
            while not stop.is_set():
                partner = chosen.choice(partners)
                try:
                    answer = client.post(f"{credential_url(partner, 'main')}/release", headers=bearers[partner])
                except httpx.TransportError:
                    return
                answered.append(answer.status_code)

    for attempt in range(6):
        vault = start_vault(**settings)
        if attempt == 0:
            for partner in partners:
                vault.http.put(credential_url(partner, "main"), headers={**bearers[partner], **FIRST}, json=TOKENS)
        stop = threading.Event()
        threads = [threading.Thread(target=load, args=(vault, stop)) for _ in range(4)]
        for thread in threads:
            thread.start()
        enough = len(answered) + 100
        while len(answered) < enough:
            time.sleep(0.05)  # noqa: ASYNC251 - other processes do the work
        time.sleep(chosen.uniform(0.0, 0.5))  # noqa: ASYNC251 - other processes do the work
        vault.end(how=signal.SIGKILL)
        stop.set()
        for thread in threads:
            thread.join()
    # The last one ends in order, and ships what is there on its way out.
    last = start_vault(**settings)
    last.end()
    assert last.process.returncode == 0
    name = own_database["VAULT_DATABASE_URL"].rpartition("/")[2]
    superuser = await asyncpg.connect(world.postgres.dsn("postgres", name))
    committed = {row["partner"]: row["lines"] for row in await superuser.fetch(
        "SELECT partner, array_agg(line ORDER BY seq) AS lines FROM vault.audit GROUP BY partner")}  # fmt: skip
    await superuser.close()
    path = tmp_path / "audit" / "api_events.jsonl"
    key = load_pem_private_key((world.home / "checkpoint.pem").read_bytes(), None)
    report = verify_file(path, tmp_path / "audit" / "checkpoints", key.public_key())  # type: ignore[arg-type]
    assert report.ok, report.bad
    assert report.checkpoints > 0
    in_file: dict[str, list[str]] = {}
    for line in path.read_text().splitlines():
        in_file.setdefault(orjson.loads(line)["partner"] or "-", []).append(line)
    # Not a byte differs between what was committed with the effect and what is in the file.
    assert {partner: lines for partner, lines in in_file.items() if partner in committed} == committed
    assert sum(map(len, committed.values())) > 600
    assert set(answered) <= {200, 503}
    assert answered.count(200) > 500
