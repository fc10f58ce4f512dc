"""What the session broker answers instead of a token. nginx passes 401 and 403 of `auth_request` on by
itself; a 503 and its Retry-After it is configured to pass on (docs/dmz.md)."""

from __future__ import annotations

from identity.problem import Problem, unavailable


def refused(reason: str) -> Problem:
    """403: the token is good and opens nothing here. Which of the causes it was is in the audit line."""
    return Problem(
        403,
        "not-admitted",
        "Not admitted",
        "The token is valid, but this service does not take it. Log in here once with a browser; if that does not "
        "help, give the trace_id to an administrator.",
        reason=reason,
    )


def away(reason: str, retry_after: int) -> Problem:
    """503: it cannot be known now whether the token opens anything, and not knowing is never yes."""
    problem = unavailable(
        "exchange-unavailable", "The token could not be exchanged; repeat the request later.", retry_after=retry_after
    )
    problem.reason = reason
    return problem
