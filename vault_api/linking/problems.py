"""Why a link does not come about, as problems with a next step. None repeats what was sent."""

from __future__ import annotations

from identity.problem import Problem, unavailable
from vault_api.brokers.metadata import BrokerUnavailable
from vault_api.brokers.oauth import BrokerRefused


def unknown_broker() -> Problem:
    """The configuration has none of that name."""
    return Problem(
        422,
        "unknown-broker",
        "There is no such broker",
        "Name a broker of configs/iam/brokers.yaml that is switched on in this environment.",
    )


def redirect_not_allowed() -> Problem:
    """The browser would return to a place that the operator did not name."""
    return Problem(
        422,
        "redirect-not-allowed",
        "The redirect URI is not one of those allowed",
        "Leave redirect_uri out, or name one of VAULT_LINK_REDIRECT_URIS.",
    )


def state_refused(reason: str) -> Problem:
    """One answer whatever is wrong with a state: unknown, old, used, or begun by somebody else or elsewhere."""
    return Problem(
        400,
        "link-state-refused",
        "This link cannot be finished",
        "It is too old, was finished already, or was begun by another person or in another session. Begin again.",
        reason=f"link_state_{reason}",
    )


def wrong_issuer() -> Problem:
    """RFC 9207 section 2.4: the answer says that it is of another server, or of none where it has to say so."""
    return Problem(
        400,
        "link-wrong-issuer",
        "The answer is not of the broker that was asked",
        "Nothing was sent to anybody. Begin again; if it happens again, somebody mixes up your brokers.",
        reason="link_wrong_issuer",
    )


def said_no() -> Problem:
    """The person, or the broker, refused on the broker's own page."""
    return Problem(
        409,
        "link-declined",
        "The broker did not agree",
        "The account's owner declined, or the broker did not allow it. Begin again to ask once more.",
        reason="link_declined",
    )


def broker_refused(error: BrokerRefused) -> Problem:
    """The token endpoint said no."""
    if error.code == "invalid_grant":
        return Problem(
            400,
            "link-code-refused",
            "The broker does not take the code",
            "It is too old or was used already. Begin again.",
            reason="link_code_refused",
        )
    return Problem(
        502,
        "broker-refused",
        "The broker refuses the vault",
        "An operator has to look at the broker's client id, secret and redirect URIs; give them the trace_id.",
        reason=f"broker_refused:{error.code}",
    )


def broker_unavailable(error: BrokerUnavailable) -> Problem:
    """No usable answer."""
    problem = unavailable(
        "broker-unavailable", "The broker gave no usable answer; begin again later.", retry_after=error.retry_after
    )
    problem.reason = f"broker_unavailable:{error.reason}"
    return problem


def answer_unusable(code: str) -> Problem:
    """The broker agreed and gave something that cannot be kept."""
    return Problem(
        502,
        "broker-answer-unusable",
        "The broker's answer cannot be used",
        "Nothing was stored. An operator has to look at how the broker answers; give them the trace_id.",
        reason=f"broker_answer:{code}",
    )


def nothing_pending() -> Problem:
    """There is nothing to approve."""
    return Problem(
        409,
        "nothing-pending",
        "Nothing waits for approval",
        "It was approved already, or has to be linked first; GET the connection to see its state.",
    )


def own_link() -> Problem:
    """Four eyes are two people."""
    return Problem(
        403,
        "own-link",
        "Somebody else has to approve this",
        "Whoever linked a broker cannot approve it. Ask another person with connection:approve.",
    )


def approval_expired() -> Problem:
    """It waited too long."""
    return Problem(
        409,
        "approval-expired",
        "The link waited too long for its approval",
        "Link the broker again and have it approved.",
    )


def revoked_meanwhile() -> Problem:
    """Somebody revoked the connection between the redirect and its answer."""
    return Problem(
        409,
        "connection-revoked",
        "The connection was revoked in the meantime",
        "What the broker gave was given back to it. Begin again if the connection is still wanted.",
    )


def busy() -> Problem:
    """The connection changed under our hands again and again."""
    return Problem(
        409,
        "connection-changing",
        "The connection is being changed by somebody else",
        "Repeat the request in a moment.",
    )
