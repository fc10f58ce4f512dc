"""Why a request is refused: a stable code and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class Refusal:
    """One reason. `code` is stable and one of a fixed set; `message` is for a person and names no secret."""

    code: str
    message: str

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"
