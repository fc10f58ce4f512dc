"""Asking for rotations, reading about them, and steering them, as the serving process may."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import orjson

from identity.audit.errors import AuditUnavailable
from identity.problem import Problem, not_found
from vault_api.gate import Admitted
from vault_api.problems import invalid
from vault_api.rotation.schemas import Census, KeyRows, Rotation, RotationRequest, shown
from vault_api.rotation.stages import assign
from vault_api.store.database import Database, DatabaseUnavailable
from vault_api.trail.record import Trail

_UNRECORDED = "the request could not be recorded"

# A partner that was shredded has nothing that could be rotated; it would fail and hold up the others.
_KNOWN = "SELECT partner FROM vault.partner WHERE shredded_at IS NULL"

_STEERING = {
    "pause": (("running",), "paused"),
    "resume": (("paused",), "running"),
    "abort": (("running", "paused"), "aborted"),
}


class Rotations:
    """What can be asked about rotations; the worker is who does them.

    pause_seconds: what every stage waits for besides its work, for estimates
    """

    def __init__(self, database: Database, trail: Trail, *, pause_seconds: float) -> None:
        self._database = database
        self._trail = trail
        self._pause = pause_seconds

    async def begin(self, admitted: Admitted, asked: RotationRequest) -> UUID:
        """Writes the rotation down for the worker. Raises Problem (404, 409, 422), AuditUnavailable."""
        known = {str(row[0]) for row in await self._rows(_KNOWN)}
        chosen = sorted(known if asked.partners is None else set(asked.partners))
        if unknown := sorted(set(chosen) - known):
            raise invalid("the vault keeps nothing for some of the partners", unknown=unknown[:20])
        if missing := sorted(set(asked.canary) - set(chosen)):
            raise invalid("a canary is one of the partners", unknown=missing[:20])
        stage_of = assign(chosen, asked.stages, asked.canary)
        found = await self._rows(
            "SELECT vault.begin_rotation($1, $2, $3, $4, $5, $6, $7)",
            asked.kind,
            asked.dry_run,
            asked.stages,
            list(stage_of),
            list(stage_of.values()),
            admitted.principal.actor,
            self._trail.line(admitted.event("success")),
        )
        rotation: UUID | None = found[0][0]
        if rotation is None:
            raise Problem(
                409,
                "rotation-under-way",
                "A rotation is under way",
                "Wait until it is completed, or abort it; GET /v1/keys/rotations shows it.",
            )
        return rotation

    async def steer(self, admitted: Admitted, rotation: UUID, verb: str) -> None:
        """`pause`, `resume` or `abort`. Raises Problem (404, 409), AuditUnavailable."""
        allowed, to = _STEERING[verb]
        found = await self._rows(
            "SELECT vault.steer_rotation($1, $2, $3, $4, $5)",
            rotation,
            list(allowed),
            to,
            admitted.call.event,
            self._trail.line(admitted.event("success")),
        )
        before = found[0][0]
        if before is None:
            raise not_found()
        if before not in allowed:
            raise Problem(
                409, "rotation-is-" + before, f"The rotation is {before}", f"One that is {before} cannot {verb}."
            )

    async def read(self, admitted: Admitted, rotation: UUID | None) -> Sequence[Rotation]:
        """One rotation, or the latest twenty. Raises AuditUnavailable."""
        rows = await self._rows(
            "SELECT * FROM vault.read_rotations($1, 20, $2)", rotation, self._trail.line(admitted.event("success"))
        )
        return [shown(row, orjson.loads(row["partners"]), self._pause) for row in rows]

    async def census(self, admitted: Admitted) -> Census:
        """Rows by key version of every partner. Raises AuditUnavailable."""
        try:
            await self._trail.record(admitted.event("success"))
        except DatabaseUnavailable:
            raise AuditUnavailable(_UNRECORDED) from None
        rows = await self._rows("SELECT * FROM vault.census(NULL)")
        roots: Counter[int] = Counter()
        for row in rows:
            roots[row["root_version"]] += row["held"]
        keys = [
            KeyRows(
                partner=row["partner"],
                key_version=row["key_version"],
                root_version=row["root_version"],
                pinned_at=row["pinned_at"],
                rows=row["held"],
            )
            for row in rows
        ]
        return Census(keys=keys, root_versions=roots)

    async def _rows(self, statement: str, *values: Any) -> Sequence[Any]:
        try:
            return await self._database.rows(statement, *values)
        except DatabaseUnavailable:
            raise AuditUnavailable(_UNRECORDED) from None
