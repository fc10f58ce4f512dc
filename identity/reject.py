"""Why a token was refused: for our audit only. Outside there is one body for all of them."""

from __future__ import annotations

from enum import StrEnum


class RejectReason(StrEnum):
    """Stable codes; they go into audit lines and metrics, so they are never renamed."""

    MISSING = "missing"
    IN_URL = "in_url"
    TOO_LARGE = "too_large"
    MALFORMED = "malformed"
    ALGORITHM_REFUSED = "algorithm_refused"
    HEADER_REFUSED = "header_refused"
    TYPE_REFUSED = "type_refused"
    KEY_ID_REFUSED = "key_id_refused"
    KEY_UNKNOWN = "key_unknown"
    KEY_MISMATCH = "key_mismatch"
    SIGNATURE_INVALID = "signature_invalid"
    PURPOSE_REFUSED = "purpose_refused"
    ISSUER_REFUSED = "issuer_refused"
    AUDIENCE_REFUSED = "audience_refused"
    CLIENT_REFUSED = "client_refused"
    EXPIRED = "expired"
    NOT_YET_VALID = "not_yet_valid"
    ISSUED_IN_FUTURE = "issued_in_future"
    CLAIM_MISSING = "claim_missing"
    CLAIM_MALFORMED = "claim_malformed"
    ORGANIZATION_MALFORMED = "organization_malformed"
    SENDER_CONSTRAINED = "sender_constrained"
    SESSION_ENDED = "session_ended"
    REPLAYED = "replayed"
    ROLE_UNKNOWN = "role_unknown"
    LEGACY_ENDED = "legacy_ended"
    NEW_NOT_YET = "new_not_yet"


class TokenRejected(Exception):
    """The token is not one that we accept. `reason` is for the audit, never for the answer."""

    def __init__(self, reason: RejectReason) -> None:
        super().__init__(reason.value)
        self.reason = reason
