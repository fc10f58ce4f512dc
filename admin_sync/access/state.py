"""The states of a request and who may move it from one to another. The database keeps the same table (`0001.sql`)."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final


class State(StrEnum):
    """Where a request stands."""

    OPEN = "open"
    APPROVED = "approved"
    FULFILLED = "fulfilled"
    DENIED = "denied"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    FAILED = "failed"


class By(StrEnum):
    """Who moves requests: people through the API, or the reconciler. Each has a database role of its own."""

    API = "access_app"
    RECONCILER = "access_reconciler"


MOVES: Final[Mapping[By, frozenset[tuple[State, State]]]] = {
    By.API: frozenset(
        {
            (State.OPEN, State.APPROVED),
            (State.OPEN, State.DENIED),
            (State.OPEN, State.CANCELLED),
            (State.OPEN, State.EXPIRED),
            (State.APPROVED, State.CANCELLED),
            (State.APPROVED, State.EXPIRED),
        }
    ),
    By.RECONCILER: frozenset(
        {
            (State.OPEN, State.CANCELLED),
            (State.OPEN, State.EXPIRED),
            (State.APPROVED, State.FULFILLED),
            (State.APPROVED, State.FAILED),
            (State.APPROVED, State.CANCELLED),
            (State.APPROVED, State.EXPIRED),
        }
    ),
}
"""Every move there is. What is not here does not happen: nothing comes back from an end."""

PENDING: Final = frozenset({State.OPEN, State.APPROVED})
"""States of a request that may still take effect."""


def may_move(by: By, before: State, after: State) -> bool:
    """Whether somebody may move a request from one state to another."""
    return (before, after) in MOVES[by]
