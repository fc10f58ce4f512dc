"""What can go wrong between us and Keycloak, by its cause and not by its verb."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, TypeVar

Problem = TypeVar("Problem", bound=Exception)


VETO: Final = "segregation_of_duties"
"""The error code of `realm/extension/…/separation`."""


class KeycloakProblem(Exception):
    """Base of what can go wrong; the text says the next step."""


class NotReachable(KeycloakProblem):
    """Keycloak did not answer, or answered 5xx; the request may or may not have taken effect.

    `retry_after` is how many seconds the server asked for before the next try, or None; `status` is
    that of its answer, or None when there was none.
    """

    def __init__(self, message: str, retry_after: float | None = None, status: int | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        self.status = status


class Throttled(NotReachable):
    """Keycloak, or what stands before it, turned the request away unread (429)."""


class NotAllowed(KeycloakProblem):
    """Keycloak refused the credentials or the permission (401, 403); `body` is what it said."""

    def __init__(self, message: str, body: str = "") -> None:
        super().__init__(message)
        self.body = body


class Refused(KeycloakProblem):
    """Keycloak understood and said no (400, 404, 409); `status` and `body` say why."""

    def __init__(self, message: str, status: int, body: str) -> None:
        super().__init__(message)
        self.status = status
        self.body = body

    @property
    def vetoed(self) -> bool:
        """Whether our provider in the server refused roles that are kept apart; to ask again changes nothing."""
        return VETO in self.body


def gravest(problems: Iterable[Problem]) -> Problem:
    """The one to report of several. A refusal of rights is final, so it must not hide behind what is worth a retry."""
    return min(problems, key=lambda problem: not isinstance(problem, NotAllowed))
