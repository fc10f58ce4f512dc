"""Moving many rows to a new key while others read them, and what OpenBao has for the same: transit rewrap.

Ours opens, seals and stores every row, whole partners at a time, and nobody who reads notices. A row holds two
values of 2 KiB, an access and a refresh token. The time is from asking to the end, in which the vault also makes
new salts and waits until no process can hold an older key. Rewrap answers new ciphertexts for old ones; whoever
kept the old ones has to store them, which is not in its figure.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import asyncpg
import httpx
from rotation_world import begin, ended, many_rows  # type: ignore[import-not-found]
from vault_world import credential_url  # type: ignore[import-not-found]

from bench.measure import cpu_seconds
from bench.vault.openbao import KEY, Bao
from bench.vault.world import PARTNERS, Servers, vault

_VALUES = 2
"""Sealed values of a row."""

_BATCH = 200
"""Values of one rewrap: more are refused as too many strings in one request."""


@dataclass(frozen=True, slots=True)
class Rotation:
    """Values per second, CPU µs for each (ours: worker and PostgreSQL), and what readers saw meanwhile."""

    rows: int
    rate: float
    cpu: float
    reads: int
    failed: int


def ours(servers: Servers, rows: int) -> Rotation:
    """`rows` credentials of ten partners to new keys, under a reader that never stops."""
    partners = PARTNERS[-10:]
    each = rows // len(partners)
    world = servers.world
    fresh = {"VAULT_KEY_SECONDS": "1"}
    with vault(servers, 1, **fresh) as serving, vault(servers, 1, "worker", **fresh, **world.rotator()) as worker:
        for partner in partners:
            stored = serving.http.put(
                credential_url(partner, "main"),
                headers={**world.realm.bearer(partner), "If-None-Match": "*"},
                json={"broker": "paper", "access_token": "t" * 2048, "expires_at": "2099-01-01T00:00:00+00:00"},
            )
            stored.raise_for_status()
        asyncio.run(_fill(servers, partners, each))
        before = cpu_seconds(worker.process.pid, servers.database.pid)
        begun = time.monotonic()
        with _reading(serving.url, world, partners, each) as seen:
            asked = begin(serving, world, partners=list(partners), stages=["100%"])
            asked.raise_for_status()
            done = ended(serving, world, asked.json()["id"], seconds=900)
            elapsed = time.monotonic() - begun
        used = cpu_seconds(worker.process.pid, servers.database.pid) - before
    moved = done["rows"]["moved"]
    if done["state"] != "completed" or moved < rows:
        raise RuntimeError(f"the rotation ended as {done['state']} ({done['reason']}) after {moved} rows")
    return Rotation(moved, _VALUES * moved / elapsed, used / _VALUES / moved * 1e6, seen[0], seen[1])


def rewrap(bao: Bao, values: int) -> Rotation:
    """`values` ciphertexts of 2 KiB to the key's next version, in batches, one after the other."""
    wrapped = bao.ciphertexts("t" * 2048, values)
    bao.call("POST", f"transit/keys/{KEY}/rotate")
    before, begun = cpu_seconds(bao.pid), time.monotonic()
    for first in range(0, values, _BATCH):
        batch = [{"ciphertext": text, "context": context} for text, context in wrapped[first : first + _BATCH]]
        bao.call("POST", f"transit/rewrap/{KEY}", batch_input=batch)
    elapsed = time.monotonic() - begun
    return Rotation(values, values / elapsed, (cpu_seconds(bao.pid) - before) / values * 1e6, 0, 0)


async def _fill(servers: Servers, partners: tuple[str, ...], each: int) -> None:
    database = await asyncpg.connect(servers.database.dsn("postgres", "vault"), timeout=60)
    try:
        for partner in partners:
            await many_rows(servers.world, database, partner, each, size=2048)
        # What a database does by itself after so many new rows; here it would fall into the measurement.
        await database.execute("VACUUM ANALYZE vault.credential")
    finally:
        await database.close()


@contextmanager
def _reading(url: str, world: object, partners: tuple[str, ...], each: int) -> Iterator[list[int]]:
    """A reader beside the block: how many releases it asked for, and how many were not answered with 200."""
    seen = [0, 0]
    stop = threading.Event()
    bearers = [world.realm.bearer(partner) for partner in partners]  # type: ignore[attr-defined]

    def read() -> None:
        with httpx.Client(base_url=url, timeout=30, trust_env=False) as http:
            while not stop.is_set():
                turn = seen[0] % len(partners)
                name = f"many-{seen[0] * 7919 % each:06d}"
                answer = http.post(f"{credential_url(partners[turn], name)}/release", headers=bearers[turn])
                seen[0] += 1
                seen[1] += answer.status_code != 200

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    try:
        yield seen
    finally:
        stop.set()
        thread.join()
