"""What a line of the audit log counts as. Pure.

login              somebody came in; by the strongest method that was proved
refused            somebody did not; by Keycloak's reason
redirect_failure   the way there or back was broken: an address, a code, a cookie
decision           what the policy said; `denied` says why it said no
token_refused      a token was not given for a code or a refresh token
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

import orjson

from admin_sync.auth_health.figures import Count, Key, environment_of, label, step_of
from admin_sync.bundle.decisions import EVENT as DECIDED
from admin_sync.monitor.line import Line, parsed

LOGIN: Final = "login"
REFUSED: Final = "refused"
REDIRECT: Final = "redirect_failure"
DECISION: Final = "decision"
DENIED: Final = "denied"
TOKEN_REFUSED: Final = "token_refused"  # noqa: S105 - the name of a series

STRONGEST: Final = ("hwk", "mfa_bypass", "swk", "otp", "recovery", "mfa", "pwd")
"""Methods (RFC 8176, and two of ours), the one that says most about a login first."""

MISTAKES: Final = frozenset(
    {
        "invalid_user_credentials",
        "user_not_found",
        "user_temporarily_disabled",
        "access_denied",
        "rejected_by_user",
        "different_user_authenticated",
        "password_missing",
        "username_missing",
    }
)
"""Reasons that lie with whoever tries: a wrong password or code, a lock after many of them, one who turned back."""

RIGHTLY: Final = frozenset(
    {
        "not_allowed",
        "user_disabled",
        "risk_denied",
        "factor_missing",
        "failed_mfa",
        "network_listed",
        "posture_missing",
        "posture_unhealthy",
        "segregation_of_duties",
    }
)
"""Reasons for which the policy lets somebody not in. That is what it is for, and no failure."""

REDIRECTS: Final = frozenset(
    {
        "invalid_redirect_uri",
        "invalid_request",
        "invalid_code",
        "expired_code",
        "cookie_not_found",
        "client_not_found",
        "code_verifier_missing",
        "invalid_code_verifier",
        "pkce_verification_failed",
        "invalid_client_credentials",
        "identity_provider_error",
        "identity_provider_login_failure",
        "federated_identity_not_found",
    }
)
"""Reasons for which a login ends between two applications and not at a factor."""

_NEEDLES: Final = tuple(f'"{name}'.encode() for name in ("login", "token.issued", "broker.login", DECIDED))
_PREFIX: Final = "tradepulse-"
_PEOPLE: Final = ("login.error", "broker.login.error", "broker.login.first.error", "broker.login.post.error")


class Marks:
    """The last line that was counted of each chain, by its number and time: a file that was packed is read again."""

    def __init__(self, known: Mapping[str, Sequence[float]] | None = None) -> None:
        self._last = {name: (int(last[0]), float(last[1])) for name, last in (known or {}).items()}

    def record(self) -> dict[str, list[float]]:
        """As JSON."""
        return {name: [number, moment] for name, (number, moment) in sorted(self._last.items())}

    def new(self, line: Line) -> bool:
        """Whether a line was not counted yet. A lower number with a later time is of a chain that began again."""
        chain, here = f"{line.source}/{line.node}", (line.seq, line.time.timestamp())
        last = self._last.get(chain)
        if last is not None and here[0] <= last[0] and here[1] <= last[1]:
            return False
        self._last[chain] = here
        return True


def counts(texts: Iterable[bytes], marks: Marks, *, since: int) -> Iterator[tuple[Key, Count]]:
    """What some lines count as; those before `since` (unix seconds) and of other realms count as nothing."""
    for text in texts:
        # Most lines are about something else, and are not worth being parsed.
        if any(needle in text for needle in _NEEDLES):
            line = parsed(text)
            if line is not None and line.time.timestamp() >= since and marks.new(line):
                yield from _counted(line, text)


def _counted(line: Line, text: bytes) -> Iterator[tuple[Key, Count]]:
    if line.event == DECIDED:
        yield from _decided(line, text)
        return
    if not line.realm.startswith(_PREFIX):
        return
    environment = environment_of(line.realm.removeprefix(_PREFIX))
    step = step_of(line.time)
    reason = label((line.reason or "").lower() or "unknown")
    if line.event == LOGIN and line.success:
        yield Key(step, environment, LOGIN, strongest(line.amr)), Count(1)
    elif line.event in _PEOPLE:
        yield Key(step, environment, REFUSED, reason), Count(1)
        if reason in REDIRECTS:
            yield Key(step, environment, REDIRECT, reason), Count(1)
    elif line.event == "token.issued.error":
        yield Key(step, environment, TOKEN_REFUSED, reason), Count(1)
        if reason in REDIRECTS:
            yield Key(step, environment, REDIRECT, reason), Count(1)


def _decided(line: Line, text: bytes) -> Iterator[tuple[Key, Count]]:
    record = orjson.loads(text)
    environment = environment_of(str(record.get("resource") or "").partition("/")[0])
    outcome = str(record.get("outcome"))
    step = step_of(line.time)
    yield Key(step, environment, DECISION, label(outcome)), Count(1)
    if outcome == "denied":
        for reason in sorted(set((line.reason or "none").split())):
            yield Key(step, environment, DENIED, label(reason)), Count(1)


def strongest(amr: Iterable[str]) -> str:
    """The method that says most about a login."""
    proved = set(amr)
    return next((one for one in STRONGEST if one in proved), "other")
