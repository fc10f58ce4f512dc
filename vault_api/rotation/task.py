"""The worker's task: takes turns while there are any, and opens the gate to the next stage."""

from __future__ import annotations

import structlog

from identity.audit.event import AuditEvent
from vault_api.rotation.gate_store import GateStore, StageResult
from vault_api.rotation.store import Rotation
from vault_api.rotation.turn import Lines, Turns

_log = structlog.get_logger("vault_api.rotation")

WORST_SHARE = 0.01
"""The share of releases that may fail while a stage is under way."""


class RotationTask:
    """A task of the worker. Any number of them may run side by side."""

    name = "rotation"
    every = 1.0

    def __init__(self, store: GateStore, turns: Turns, trail: Lines) -> None:
        self._store = store
        self._turns = turns
        self._trail = trail

    async def run_once(self) -> None:
        """Takes every turn that is due, of every rotation that is running. Raises DatabaseUnavailable."""
        for rotation in await self._store.running():
            while (turn := await self._store.claim(rotation)) is not None:
                await self._turns.take(turn)
            await self._gate(rotation)

    async def _gate(self, rotation: Rotation) -> None:
        result = await self._store.result(rotation)
        if result.open:
            return
        line = self._trail.line(
            AuditEvent(
                event="key.rotation.stage",
                outcome="success",
                actor="service:vault-worker",
                action="secret:rotate",
                resource=f"keys/rotations/{rotation.rotation}",
            )
        )
        reason = None if rotation.dry_run else objection(result)
        if reason is None:
            _log.info("rotation.stage_done", rotation=str(rotation.rotation), stage=rotation.stages[rotation.stage - 1])
            await self._store.advance(rotation, line)
        else:
            _log.error("rotation.held", rotation=str(rotation.rotation), reason=reason)
            await self._store.hold(rotation, reason, line)


def objection(result: StageResult) -> str | None:
    """Why the next stage does not begin, as a stable code with a number; None if it may."""
    if result.failed:
        return f"partners_failed:{result.failed}"
    if result.unreleased > WORST_SHARE * (result.released + result.unreleased):
        return f"releases_failed:{result.unreleased}"
    return None
