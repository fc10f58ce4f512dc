"""What `login`, `logout` and `whoami` of every command line say and end with."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Final

from identity.login.errors import Code
from identity.login.registration import Registration
from identity.login.session import LoggedOut
from identity.principal import Principal

FAILED, BAD_INPUT, NOT_ALLOWED = 1, 3, 4

_EXITS: Final[Mapping[Code, int]] = {
    Code.UNREACHABLE: FAILED,
    Code.TIMED_OUT: FAILED,
    Code.BUSY: FAILED,
    Code.ANSWER_MALFORMED: FAILED,
    Code.BAD_REGISTRATION: BAD_INPUT,
    Code.NO_KEYRING: BAD_INPUT,
    Code.STORE_UNUSABLE: BAD_INPUT,
    Code.FOREIGN_ORIGIN: BAD_INPUT,
}


def exit_code(code: Code) -> int:
    """1 for what may work in a moment, 3 for what has to be set up, 4 for who you are not."""
    return _EXITS.get(code, NOT_ALLOWED)


def facts(principal: Principal, registration: Registration, *, now: float | None = None) -> dict[str, Any]:
    """Who somebody is, what was proved and when, as one JSON object; times in seconds, none of them secret."""
    moment = time.time() if now is None else now
    return {
        "issuer": registration.issuer,
        "client": registration.client_id,
        "subject": principal.subject,
        "email": principal.email,
        "assurance_level": principal.assurance_level.value,
        "acr": principal.acr,
        "amr": list(principal.amr),
        # What an emergency code proved has no time: it is never fresh.
        "proved_ago": max(0, int(moment - principal.auth_time)) if principal.auth_time else None,
        "roles": sorted(principal.groups),
        "partners": {alias: sorted(one.roles) for alias, one in sorted(principal.organizations.items())},
        "token_ends_in": max(0, int(principal.expires_at - moment)),
    }


def lines(told: Mapping[str, Any]) -> list[str]:
    """The same for people."""
    ago = told["proved_ago"]
    proved = ", ".join(told["amr"]) or "what the identity provider saw"
    shown = [
        f"{told['email'] or told['subject']} at {told['issuer']}",
        f"  {told['assurance_level']} by {proved}{'' if ago is None else f', {_span(ago)} ago'}",
        f"  roles: {', '.join(told['roles']) or 'none'}",
    ]
    shown += [f"  partner {alias}: {', '.join(roles) or 'member'}" for alias, roles in told["partners"].items()]
    return shown


def farewell(done: LoggedOut, registration: Registration) -> str:
    """What a logout did, for people."""
    if not done.was_logged_in:
        return f"nobody was logged in to {registration.issuer}"
    if done.told:
        return f"logged out of {registration.issuer}"
    return (
        f"the session is gone from this host, but {registration.issuer} could not be told; "
        "it ends there by itself, or by hand under your account"
    )


def _span(seconds: int) -> str:
    if seconds < 120:
        return f"{seconds} s"
    return f"{seconds // 60} min" if seconds < 7200 else f"{seconds // 3600} h"
