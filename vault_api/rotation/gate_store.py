"""Between two stages: how a stage went, and what comes of it. As vault_rotator."""

from __future__ import annotations

from dataclasses import dataclass

from vault_api.rotation.store import Connection, Rotation, RotationStore
from vault_api.store.repository import NO_PARTNER, Line


@dataclass(frozen=True, slots=True, kw_only=True)
class StageResult:
    """What a stage came to: partners by how their turn ended, and releases since it began."""

    open: int
    failed: int
    released: int
    unreleased: int
    """Releases that failed for want of a key, an integrity error, or because something was away."""


class GateStore(RotationStore):
    """Statements about stages."""

    async def result(self, rotation: Rotation) -> StageResult:
        """How the present stage is doing."""
        async with self._connection() as connection:
            partners = await connection.fetch(
                "SELECT partner, state, trail_from FROM vault.rotation_partner WHERE rotation = $1 AND stage = $2",
                rotation.rotation,
                rotation.stage,
            )
        unfinished = sum(row["state"] not in ("done", "failed") for row in partners)
        released = unreleased = 0
        if not unfinished:
            for row in partners:
                async with self._tenant(row["partner"]) as connection:
                    counts = await connection.fetch(
                        "SELECT count(*) FILTER (WHERE outcome = 'success') AS fine, "
                        "count(*) FILTER (WHERE outcome = 'failure') AS bad FROM vault.audit "
                        "WHERE partner = $1 AND seq > $2 AND event = 'credential.release'",
                        row["partner"],
                        row["trail_from"] or 0,
                    )
                released += counts[0]["fine"]
                unreleased += counts[0]["bad"]
        return StageResult(
            open=unfinished,
            failed=sum(row["state"] == "failed" for row in partners),
            released=released,
            unreleased=unreleased,
        )

    async def advance(self, rotation: Rotation, line: Line) -> None:
        """The next stage, or the end. Does nothing if somebody else was first."""
        last = rotation.stage >= len(rotation.stages)
        async with self._tenant(NO_PARTNER) as connection:
            moved = await connection.fetchval(
                "UPDATE vault.rotation SET stage = CASE WHEN $3 THEN stage ELSE stage + 1 END, "
                "state = CASE WHEN $3 THEN 'completed' ELSE state END, "
                "finished_at = CASE WHEN $3 THEN clock_timestamp() END "
                "WHERE rotation = $1 AND stage = $2 AND state = 'running' RETURNING 1",
                rotation.rotation,
                rotation.stage,
                last,
            )
            if moved is not None:
                await self._line(connection, line, "success", "completed" if last else f"stage:{rotation.stage + 1}")

    async def hold(self, rotation: Rotation, reason: str, line: Line) -> None:
        """Pauses: somebody has to look. What failed is tried again once the rotation is resumed."""
        async with self._connection() as connection:
            partners = await connection.fetch(
                "SELECT partner, state FROM vault.rotation_partner WHERE rotation = $1 AND stage = $2",
                rotation.rotation,
                rotation.stage,
            )
        async with self._tenant(NO_PARTNER) as connection:
            held = await connection.fetchval(
                "UPDATE vault.rotation SET state = 'paused', reason = $3 "
                "WHERE rotation = $1 AND stage = $2 AND state = 'running' RETURNING 1",
                rotation.rotation,
                rotation.stage,
                reason,
            )
            if held is None:
                return
            await self._line(connection, line, "failure", reason)
            for row in partners:
                # What is judged after a resume is what happens from here on.
                await connection.execute("SELECT set_config('vault.partner', $1, true)", row["partner"])
                await connection.execute(
                    "UPDATE vault.rotation_partner p SET due_at = now(), "
                    "state = CASE WHEN p.state = 'failed' THEN 'waiting' ELSE p.state END, trail_from = "
                    "(SELECT coalesce(max(a.seq), 0) FROM vault.audit a WHERE a.partner = $2) "
                    "WHERE p.rotation = $1 AND p.partner = $2",
                    rotation.rotation,
                    row["partner"],
                )

    async def _line(self, connection: Connection, line: Line, outcome: str, reason: str) -> None:
        await connection.fetchval(
            "SELECT vault.append_audit($1, NULL, $2, 'key.rotation.stage', $3, $4, NULL)",
            NO_PARTNER,
            line,
            outcome,
            reason,
        )
