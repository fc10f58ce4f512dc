"""How a broker connection is, in words, from what the vault says of it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

_SOON: Final = timedelta(hours=24)
"""How long before somebody has to connect again a page begins to say so."""

_REASONS: Final = {
    "relink_due": "The broker wants its owner's agreement again from time to time, and that time is over.",
    "refresh_token_expired": "Its token came to its end and cannot be renewed.",
    "invalid_grant": "The broker renews its token no more: the account's owner withdrew it, or it was ended there.",
    "refresh_interrupted": "A renewal was cut off, and nobody can say which token the broker holds for good.",
    "refresh_uncertain": "A renewal was cut off, and nobody can say which token the broker holds for good.",
    "integrity_error": "Its token could not be opened. Whoever runs this site was told.",
}
_UNSAID: Final = "The broker takes its token no more."


@dataclass(frozen=True, slots=True)
class Health:
    """`tone` is `good`, `warn`, `bad` or `still` (over, and meant to be); `means` is a sentence or two for people."""

    label: str
    tone: str
    means: str


def health(connection: Mapping[str, Any], now: datetime) -> Health:
    """The health of a connection as the vault describes it."""
    state = connection["state"]
    if state == "active":
        return _active(connection, now)
    if state == "reconnect_needed":
        reason = str(connection["state_reason"] or "").partition(":")[0]
        why = _REASONS.get(reason, _UNSAID)
        return Health("Reconnect needed", "bad", f"{why} Nothing is released until somebody reconnects it.")
    if state == "pending_approval":
        return Health("Waits for approval", "warn", "Somebody else has to approve it before it releases anything.")
    if state == "pending_link":
        return Health("Not finished", "warn", "Somebody began to link it and has not agreed on the broker's page yet.")
    return Health("Revoked", "still", "It releases nothing, and the broker was told. Link it again to use it.")


def _active(connection: Mapping[str, Any], now: datetime) -> Health:
    relink, ends = _time(connection["relink_at"]), _time(connection["expires_at"])
    if connection["expired"]:
        if connection["has_refresh_token"]:
            return Health("Being renewed", "warn", "Its token has ended; the vault is fetching the next one.")
        return Health("Ended", "bad", "Its token has ended and cannot be renewed. Reconnect it.")
    if relink is not None and relink - now < _SOON:
        return Health(
            "Reconnect soon", "warn", "The broker wants its owner's agreement again. Reconnect it before then."
        )
    if ends is not None and not connection["has_refresh_token"] and ends - now < _SOON:
        return Health("Ends soon", "warn", "Its token cannot be renewed. Reconnect it before it ends.")
    return Health("Healthy", "good", "It releases tokens to whoever may have them.")


def _time(value: object) -> datetime | None:
    return datetime.fromisoformat(value).astimezone(UTC) if isinstance(value, str) else None
