"""Why a lease is refused, as problems with a next step. None of them repeats what was sent."""

from __future__ import annotations

from identity.problem import Problem, unavailable


def unknown_template() -> Problem:
    """No such template, or none for this partner: which of the two is not said."""
    return Problem(
        422,
        "unknown-template",
        "There is no such template for this partner",
        "Ask for one of the `templates` that the list of leases names.",
    )


def wrong_connection() -> Problem:
    """A template of a broker narrows a token of a connection to that broker; one of a database needs none."""
    return Problem(
        422,
        "wrong-connection",
        "The template and the connection do not fit",
        "Name a connection to the template's broker, and none for a template of a database.",
    )


def cap_reached(which: str) -> Problem:
    """Too many leases are not known to be gone."""
    whose = "The partner holds" if which == "partner_cap" else "You hold"
    return Problem(
        409,
        "lease-cap-reached",
        "Too many leases at once",
        f"{whose} as many leases as the operator allows; end one with DELETE, or wait until one has ended.",
        reason=which,
    )


def not_active() -> Problem:
    """It has ended, is ending, or was renewed in this very moment."""
    return Problem(
        409,
        "lease-not-active",
        "The lease cannot be renewed now",
        "Read it with GET; ask for a new one if it has ended.",
    )


def not_renewable(reason: str) -> Problem:
    """Its kind, its age or its template does not allow it."""
    return Problem(
        409,
        "lease-not-renewable",
        "The lease cannot be renewed any more",
        "Ask for a new lease before this one ends.",
        reason=reason,
    )


def target_unavailable(code: str) -> Problem:
    """The database or the broker did not do it."""
    problem = unavailable(
        "lease-target-unavailable",
        "The place where the credential is made does not answer; what may be made is taken back. Ask again later.",
        retry_after=5,
    )
    problem.reason = f"target_{code}"
    return problem


def target_refused(code: str) -> Problem:
    """It will not work until an operator changes something."""
    return Problem(
        409,
        "lease-target-refused",
        "The credential cannot be made as things are set up",
        "An operator has to look at the target of this template; give them the trace_id.",
        reason=f"target_{code}",
    )
