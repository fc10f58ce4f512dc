"""Why the vault refuses, as problems with a next step. None of them repeats what was sent."""

from __future__ import annotations

from datetime import datetime

from identity.problem import Problem, unavailable
from vault_api.brokers.catalog import CatalogUnavailable
from vault_api.keyring import KeyContextMismatch, KeyUnavailable


def invalid(detail: str, **extra: object) -> Problem:
    """422 for a request that means nothing. `detail` must not hold what was sent."""
    return Problem(
        422,
        "invalid-request",
        "The request is not valid",
        f"{detail[:1].upper()}{detail[1:]}; the OpenAPI document describes each field.",
        extra=extra,
    )


def reconnect_needed(expires_at: datetime | None, version: int | None) -> Problem:
    """The access token is past its expiry. 409: the stored state has to change before this can succeed."""
    return Problem(
        409,
        "reconnect-needed",
        "The access token has expired",
        "Connect the broker again, or store a fresh token set with PUT and If-Match for this version.",
        extra={"expires_at": None if expires_at is None else expires_at.isoformat(), "version": version},
    )


def refresh_pending() -> Problem:
    """The token is past its expiry and its broker gave no new one yet."""
    return unavailable(
        "refresh-pending",
        "The access token has expired and the broker gives no new one right now. Repeat the request later; "
        "the connection says reconnect_needed if it has to be connected again.",
        retry_after=5,
    )


def approval_required() -> Problem:
    """The partner wants two people behind every connection."""
    return Problem(
        409,
        "approval-required",
        "This partner's connections are linked and approved by two people",
        "Link the broker with POST to the partner's connections, and have somebody else approve it.",
    )


def catalog_unavailable(error: CatalogUnavailable) -> Problem:
    """Nobody says which brokers there are and what the partner wants."""
    return unavailable(
        "catalog-unavailable",
        "What the configuration says of brokers and partners cannot be read right now; repeat the request later.",
        retry_after=error.retry_after,
    )


def precondition_failed() -> Problem:
    """Somebody stored another version in between."""
    return Problem(
        412,
        "precondition-failed",
        "The credential is not at that version",
        "Read it with GET, look at what changed, and send the ETag it has now in If-Match.",
    )


def broker_differs() -> Problem:
    """A connection stays with the broker it was made for."""
    return Problem(
        409,
        "broker-differs",
        "The connection belongs to another broker",
        "Store the token set under a connection id of its own, or name the broker this connection was made for.",
    )


def idempotency_key_reused() -> Problem:
    """The key is remembered, and with it another content."""
    return Problem(
        422,
        "idempotency-key-reused",
        "The Idempotency-Key was used for another token set",
        "Send a new Idempotency-Key for a new store; repeat one only with the same body.",
    )


def key_context_mismatch(error: KeyContextMismatch) -> Problem:
    """Salt, root key and pinned fingerprint disagree. 409 and not 503: repeating the request changes nothing."""
    return Problem(
        409,
        "key-context-mismatch",
        "The partner's key cannot be derived any more",
        "Nothing was sealed or opened. An operator has to restore the partner's salt in Keycloak; give them the "
        "trace_id. Until then store and release stay refused for this key version.",
        reason=f"key_context_mismatch,{error.reason}",
    )


def key_unavailable(error: KeyUnavailable) -> Problem:
    """One of the holders of the key is away, and no cached key is young enough."""
    problem = unavailable(
        "key-unavailable",
        "The partner's key cannot be derived right now; nothing was sealed or opened. Repeat the request later.",
        retry_after=error.retry_after,
    )
    problem.reason = "key_unavailable"
    return problem


def integrity_error() -> Problem:
    """A sealed value did not open. Opaque: which check failed would help only whoever tampered with it."""
    return Problem(
        500,
        "integrity-error",
        "The stored credential is damaged",
        "Nothing was released. Report the trace_id, and connect the broker again once the cause is known.",
    )
