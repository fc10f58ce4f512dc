"""Rotations as they are asked for and shown. Unknown members are refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from identity.strict_json import StrictJsonError, loads_object
from vault_api.problems import invalid
from vault_api.rotation.stages import CANARY, DEFAULT_STAGES, check_stages

MAX_BODY_BYTES = 65_536

Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_.-]{0,62}$")]


class RotationRequest(BaseModel):
    """What is to be rotated, and in which order."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    kind: Literal["partner", "root"] = "partner"
    """`partner`: a new salt and key for each; `root`: the same, for those that are not under the current root key."""
    dry_run: bool = False
    """Opens every row and changes nothing."""
    partners: Annotated[list[Name], Field(min_length=1, max_length=10_000)] | None = None
    """All of them unless named."""
    stages: Annotated[list[str], Field(min_length=1, max_length=10)] = Field(default_factory=lambda: [*DEFAULT_STAGES])
    canary: Annotated[list[Name], Field(max_length=100)] = Field(default_factory=list)
    """Who goes first; one partner, always the same, unless named."""

    @model_validator(mode="after")
    def _fits(self) -> RotationRequest:
        wrong = check_stages(self.stages)
        if wrong is not None:
            raise ValueError(wrong)
        if self.canary and CANARY not in self.stages:
            raise ValueError("canary partners need the stage `canary`")
        if self.partners is not None and not set(self.canary) <= set(self.partners):
            raise ValueError("a canary is one of the partners")
        return self


class Stage(BaseModel):
    """How many partners of a stage are where."""

    name: str
    partners: int
    done: int
    failed: int


class Rows(BaseModel):
    """Sealed rows: opened so far, moved to the new key, and those that did not open."""

    opened: int
    moved: int
    failed: int


class Trouble(BaseModel):
    """A partner whose turn did not end well, or waits."""

    partner: str
    state: str
    problem: str


class Rotation(BaseModel):
    """A rotation and how far it has got."""

    id: UUID
    kind: str
    dry_run: bool
    state: Literal["running", "paused", "aborted", "completed"]
    reason: str | None
    stages: Sequence[Stage]
    rows: Rows
    trouble: Sequence[Trouble]
    requested_by: str
    requested_at: datetime
    finished_at: datetime | None
    estimate_seconds: int | None
    """For a dry run: how long the rotation itself is likely to take."""


class Rotations(BaseModel):
    """The latest rotations, newest first."""

    rotations: Sequence[Rotation]


class KeyRows(BaseModel):
    """Rows under one key version of a partner."""

    partner: str
    key_version: int
    root_version: int
    pinned_at: datetime
    rows: int


class Census(BaseModel):
    """What is sealed under which key. A salt or a root key may go only when nothing is left under it."""

    keys: Sequence[KeyRows]
    root_versions: Mapping[int, int]


def parse_request(body: bytes) -> RotationRequest:
    """The request in a body. Raises Problem 422 that names places and never values."""
    try:
        return RotationRequest.model_validate(loads_object(body or b"{}", max_bytes=MAX_BODY_BYTES, max_depth=4))
    except StrictJsonError as error:
        raise invalid(str(error)) from None
    except ValidationError as error:
        known = RotationRequest.model_fields
        mistakes = [
            {
                "location": "/" + "/".join(str(step) if isinstance(step, int) or step in known else "?" for step in at),
                "code": str(mistake["type"]),
            }
            for mistake in error.errors(include_input=False, include_context=False, include_url=False)[:20]
            for at in [mistake["loc"]]
        ]
        raise invalid(
            "stages are `canary` and growing shares up to 100%, canaries are among the partners", errors=mistakes
        ) from None


def shown(row: Mapping[str, Any], partners: Sequence[Mapping[str, Any]], pause_seconds: float) -> Rotation:
    """A row of `vault.read_rotations`. pause_seconds: what every stage waits for besides its work."""
    stages = [
        Stage(
            name=name,
            partners=len(of_stage),
            done=sum(one["state"] == "done" for one in of_stage),
            failed=sum(one["state"] == "failed" for one in of_stage),
        )
        for number, name in enumerate(row["stages"], 1)
        for of_stage in [[one for one in partners if one["stage"] == number]]
    ]
    estimate = None
    if row["dry_run"] and row["state"] == "completed":
        # Sealing costs what opening costs, and writing about as much again.
        estimate = int(3 * sum(one["seconds"] for one in partners) + pause_seconds * len(stages)) + 1
    return Rotation(
        id=row["rotation"],
        kind=row["kind"],
        dry_run=row["dry_run"],
        state=row["state"],
        reason=row["reason"],
        stages=stages,
        rows=Rows(**{what: sum(one[what] for one in partners) for what in ("opened", "moved", "failed")}),
        trouble=[
            Trouble(partner=one["partner"], state=one["state"], problem=one["problem"])
            for one in partners
            if one["problem"] is not None
        ][:100],
        requested_by=row["requested_by"],
        requested_at=row["requested_at"],
        finished_at=row["finished_at"],
        estimate_seconds=estimate,
    )
