"""What the answer to a reading of the trail looks like."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, Field


class Chain(BaseModel):
    """Where the partner's chain stands and whether this page of it is what was written."""

    head_seq: int
    head_hash: str
    shipped_seq: int = Field(description="Up to here the lines are also in the audit file")
    prev: str = Field(description="The hash that the first line of this page must follow")
    intact: bool = Field(description="Whether every line follows the one before it and has the hash it carries")
    first_bad_seq: int | None


class AuditEvents(BaseModel):
    """A page of the partner's own trail, each event exactly as it was hashed (RFC 8785)."""

    events: tuple[Mapping[str, Any], ...]
    next: int | None
    chain: Chain
