"""One partner's turn in a rotation, as steps that each can be interrupted anywhere and taken up again.

    waiting   decide on the target version, write it down, add its salt to Keycloak
    settling  a while later the salt is still there: derive the key, pin it, make it current
    sealing   every row that is under another key is opened and sealed under the target
    draining  once no process can hold the older key for the current one any more: the rows that came meanwhile

What is written down before each step is enough to go on after a crash, and every row opens at any time,
under the old key or the new one: a salt is only ever added here.
"""

from __future__ import annotations

import asyncio
import hmac
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import structlog

from identity.audit.event import AuditEvent
from vault_api.keyring import KeyContextMismatch, Keyring, KeyUnavailable
from vault_api.kms import Kms, KmsRefused, KmsUnavailable
from vault_api.metrics import Metrics
from vault_api.rotation.reseal import reseal
from vault_api.rotation.salt_writer import SaltWriter
from vault_api.rotation.sealed import SEALED, SealedTable
from vault_api.rotation.store import ClaimLost, RotationStore, Turn
from vault_api.salts import PartnerSalts, SaltsMissing, SaltsUnavailable
from vault_api.sealing.keys import PartnerKey, mac_message
from vault_api.store.repository import KeyContext, Line, Repository

_log = structlog.get_logger("vault_api.rotation")

_BATCH = 400
_RETRY_SECONDS = 5.0


class Lines(Protocol):
    """Who writes audit lines: `vault_api.trail.record.Trail`."""

    def line(self, event: AuditEvent) -> Line: ...


@dataclass(slots=True)
class _Pass:
    """One walk over all rows of a partner that are not under the target."""

    moved: int = 0
    failed: int = 0
    left: int = 0
    """Rows that somebody changed or held meanwhile."""


class Turns:
    """Does turns.

    settle_seconds: how long a new salt is left to itself before it is trusted
    key_seconds:    how long any process keeps a key; the same setting for all of them
    """

    def __init__(
        self,
        store: RotationStore,
        writer: SaltWriter,
        *,
        keyring: Keyring,
        kms: Kms,
        repository: Repository,
        trail: Lines,
        metrics: Metrics,
        settle_seconds: float,
        key_seconds: float,
    ) -> None:
        self._store = store
        self._writer = writer
        self._keyring = keyring
        self._kms = kms
        self._repository = repository
        self._trail = trail
        self._metrics = metrics
        self._settle = settle_seconds
        # A process that read the old current version just before it changed has it for so long, and its last
        # request a little longer.
        self._drain = key_seconds + min(5.0, key_seconds)

    async def take(self, turn: Turn) -> None:
        """Goes on with a turn as far as it goes now. Raises DatabaseUnavailable."""
        started = time.monotonic()
        steps = {"waiting": self._begin, "settling": self._adopt, "sealing": self._seal, "draining": self._sweep}
        step = self._prove if turn.rotation.dry_run else steps[turn.state]
        try:
            await step(turn, started)
        except ClaimLost:
            _log.info("rotation.claim_lost", partner=turn.partner)
        except (KeyUnavailable, SaltsUnavailable, KmsUnavailable, KmsRefused) as error:
            _log.warning("rotation.waits", partner=turn.partner, why=str(error))
            await self._let_go(turn, turn.state, problem="holder_away", after=_RETRY_SECONDS)
        except (KeyContextMismatch, SaltsMissing) as error:
            await self._fail(turn, f"key_context_mismatch,{error.reason}")

    async def _prove(self, turn: Turn, started: float) -> None:
        """A dry run: opens every row and changes nothing."""
        walked = await self._walk(turn, None)
        await self._finish(turn, walked, started)

    async def _begin(self, turn: Turn, started: float) -> None:
        salts = await self._writer.read(turn.partner)
        pins = await self._repository.key_contexts(turn.partner)
        if turn.rotation.kind == "root" and await self._under_current_root(turn, salts, pins):
            await self._store.save(turn, "done")
            return
        target = turn.target
        if target is not None and target in pins and target not in salts.versions:
            # It was pinned and its salt is gone. A key that sealed something is never made anew.
            if any(row["held"] for row in await self._store.census(turn.partner) if row["key_version"] == target):
                await self._fail(turn, "key_context_mismatch,salt_lost")
                return
            target = None
        if target is None:
            target = max((*salts.versions, *pins)) + 1
            # Written down before it is written to Keycloak: whoever goes on after a crash knows which one is ours.
            await self._store.save(turn, "waiting", target=target)
            return
        await self._writer.add(turn.partner, target)
        await self._store.save(turn, "settling", after=self._settle, seconds=time.monotonic() - started)

    async def _adopt(self, turn: Turn, started: float) -> None:
        target, salts = _target(turn), await self._writer.read(turn.partner)
        if target not in salts.versions:
            await self._store.save(turn, "waiting")
            return
        await self._kms.look()
        root = self._kms.current_version
        message = mac_message(turn.partner, target, salts.versions[target])
        pinned = (await self._repository.key_contexts(turn.partner)).get(target)
        root = root if pinned is None else pinned.root_version
        key = PartnerKey.from_mac(turn.partner, target, await self._kms.mac(root, message))
        if pinned is None:
            pinned = await self._repository.pin_key(turn.partner, target, KeyContext(root, key.fingerprint()))
        if not hmac.compare_digest(pinned.fingerprint, key.fingerprint()):
            await self._fail(turn, "key_context_mismatch,fingerprint_differs")
            return
        # Seen once more while the claim is ours: an abort that came meanwhile changes nothing further.
        await self._store.keep(turn)
        if salts.current != target:
            await self._writer.make_current(turn.partner, target)
        self._keyring.forget(turn.partner)
        await self._store.save(turn, "sealing", seconds=time.monotonic() - started)

    async def _seal(self, turn: Turn, started: float) -> None:
        walked = await self._walk(turn, _target(turn))
        await self._store.save(
            turn, "draining", after=self._drain, failed=walked.failed, seconds=time.monotonic() - started
        )

    async def _sweep(self, turn: Turn, started: float) -> None:
        target, salts = _target(turn), await self._writer.read(turn.partner)
        if salts.current != target:
            # Somebody wrote an older state of the organization over ours: once more, and wait again.
            await self._writer.make_current(turn.partner, target)
            self._keyring.forget(turn.partner)
            await self._store.save(turn, "draining", after=self._drain)
            return
        walked = await self._walk(turn, target)
        if walked.left:
            await self._store.save(turn, "draining", after=1.0, seconds=time.monotonic() - started)
            return
        await self._finish(turn, walked, started)

    async def _finish(self, turn: Turn, walked: _Pass, started: float) -> None:
        reason = "proven" if turn.rotation.dry_run else "done"
        if walked.failed:
            reason = f"rows_do_not_open:{walked.failed}"
        line = self._trail.line(self._event(turn))
        await self._store.record(
            turn, line, outcome="failure" if walked.failed else "success", reason=reason, key_version=turn.target
        )
        await self._store.save(
            turn,
            "failed" if walked.failed else "done",
            problem=reason if walked.failed else None,
            failed=walked.failed,
            seconds=time.monotonic() - started,
        )

    async def _under_current_root(self, turn: Turn, salts: PartnerSalts, pins: Mapping[int, KeyContext]) -> bool:
        await self._kms.look()
        current = pins.get(salts.current)
        if current is None or current.root_version < self._kms.current_version:
            return False
        census = await self._store.census(turn.partner)
        return not any(row["held"] and row["root_version"] < self._kms.current_version for row in census)

    async def _walk(self, turn: Turn, target: int | None) -> _Pass:
        walked = _Pass()
        for table in SEALED:
            await self._walk_table(turn, table, target, walked)
        return walked

    async def _walk_table(self, turn: Turn, table: SealedTable, target: int | None, walked: _Pass) -> None:
        after: tuple[object, ...] | None = None
        while rows := await self._store.page(turn.partner, table, target or 0, after, _BATCH):
            after = tuple(rows[-1][key] for key in table.keys)
            keys = await self._keys(turn.partner, {int(row["key_version"]) for row in rows})
            key = None if target is None else (await self._keyring.key(turn.partner, target))
            page = await asyncio.to_thread(reseal, table, turn.partner, rows, keys, key)
            if page.failed:
                walked.failed += len(page.failed)
                self._metrics.rotation_failures.inc(len(page.failed))
                named = [str(row[0]) for row in page.failed[:5]]
                _log.critical("rotation.row_does_not_open", partner=turn.partner, table=table.name, rows=named)
            if target is None:
                await self._store.opened(turn, page.opened)
                continue
            if not page.opened:
                await self._store.keep(turn)
                continue
            line = self._trail.line(self._event(turn))
            written = await self._store.write(turn, table, target, page.columns, line)
            walked.moved += written
            walked.left += page.opened - written
            self._metrics.rotated.inc(written)

    async def _keys(self, partner: str, versions: set[int]) -> Mapping[int, PartnerKey]:
        keys: dict[int, PartnerKey] = {}
        for version in versions:
            try:
                keys[version] = await self._keyring.key(partner, version)
            except KeyContextMismatch as error:
                _log.critical("rotation.key_missing", partner=partner, key_version=version, reason=error.reason)
        return keys

    async def _fail(self, turn: Turn, reason: str) -> None:
        _log.critical("rotation.failed", partner=turn.partner, reason=reason)
        line = self._trail.line(self._event(turn))
        try:
            await self._store.record(turn, line, outcome="failure", reason=reason, key_version=turn.target)
        except ClaimLost:
            return
        await self._let_go(turn, "failed", problem=reason)

    async def _let_go(self, turn: Turn, state: str, *, problem: str, after: float = 0.0) -> None:
        try:
            await self._store.save(turn, state, problem=problem, after=after)
        except ClaimLost:
            _log.info("rotation.claim_lost", partner=turn.partner)

    def _event(self, turn: Turn) -> AuditEvent:
        return AuditEvent(
            event="key.rotate",
            outcome="success",
            actor="service:vault-worker",
            partner=turn.partner,
            action="secret:rotate",
            resource=f"keys/rotations/{turn.rotation.rotation}",
        )


def _target(turn: Turn) -> int:
    if turn.target is None:
        raise ClaimLost
    return turn.target
