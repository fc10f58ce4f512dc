"""What requests for simulations and their answers look like."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from pydantic import BaseModel, ConfigDict, Field

LONGEST: Final = 1800
"""Seconds that a simulation lasts at most; the database holds to it too."""


class SimulationRequest(BaseModel):
    """The body of a request to begin one."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, str_strip_whitespace=True)

    role: str = Field(strict=True, pattern=r"^[a-z][a-z0-9_.-]{0,62}$")
    """The partner role to look with."""
    reason: str = Field(strict=True, min_length=10, max_length=300)
    """Why. The partner reads it in its trail."""
    seconds: int = Field(default=LONGEST, strict=True, ge=30, le=LONGEST)


class Simulation(BaseModel):
    """One that stands."""

    simulation: str
    partner: str
    persona: str
    role: str
    ends_at: datetime


class Choice(BaseModel):
    """A partner that can be looked at, and with which roles."""

    partner: str
    persona: str
    roles: tuple[str, ...]


class Choices(BaseModel):
    """Every partner, by its name."""

    partners: tuple[Choice, ...]
    longest_seconds: int = LONGEST
