"""A login where no browser is: the person enters a code on another device (RFC 8628), with PKCE as well."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from identity.login.conversation import Conversation
from identity.login.errors import Code, LoginFailed
from identity.login.provider import Provider, signing_keys
from identity.login.registration import Registration, Wanted, origin, safe_url
from identity.login.request import Proof
from identity.login.tokens import Tokens, accepted
from identity.login.wire import Reply, Unanswered, Wire
from identity.principal import AssuranceLevel, Principal

_INTERVAL: Final = 5
_SLOWER: Final = 5
"""Seconds by which `slow_down` lengthens the interval (section 3.5)."""
_LONGEST: Final = 60


@dataclass(frozen=True, slots=True)
class Invitation:
    """What the person is shown, and what we ask with. Times in seconds."""

    page: str
    user_code: str
    device_code: str = field(repr=False)
    lives: int
    interval: int


def log_in_by_device(
    wire: Wire,
    provider: Provider,
    registration: Registration,
    wanted: Wanted,
    talk: Conversation,
    *,
    pause: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> tuple[Tokens, Principal]:
    """Log a person in. Raises LoginFailed.

    A device's login asks for what the client's default asks for and can be told nothing else: Keycloak begins it
    from the person's browser, which knows nothing of our request. A higher level is refused before it starts.
    """
    if wanted.level is AssuranceLevel.AAL3 or wanted.max_age is not None:
        raise LoginFailed(
            Code.ASSURANCE_TOO_LOW,
            "a login on another device cannot be told to ask for more; log in without --device, on a host with a "
            "browser or through `ssh -L`",
        )
    if provider.device is None:
        raise LoginFailed(Code.BAD_REGISTRATION, f"{provider.issuer} offers no login on another device")
    proof = Proof()
    form = {
        "client_id": registration.client_id,
        "scope": registration.scope,
        "code_challenge": proof.challenge,
        "code_challenge_method": "S256",
    }
    try:
        reply = wire.post(provider.device, form)
    except Unanswered as problem:
        raise problem.failed() from None
    if reply.status != 200:
        raise LoginFailed(Code.BAD_REGISTRATION, f"no login on another device for this client ({reply.error})")
    invitation = invited(reply.document, provider.issuer)
    talk.invite(invitation.page, invitation.user_code, seconds=invitation.lives)
    asked, answer = _awaited(
        wire, provider, registration, proof=proof, invitation=invitation, pause=pause, clock=clock, talk=talk
    )
    return accepted(answer, signing_keys(wire, provider), registration, wanted=wanted, nonce=None, now=asked)


def invited(document: Mapping[str, Any], issuer: str) -> Invitation:
    """A device authorization response (section 3.2). Raises LoginFailed (answer-malformed)."""
    page, user_code, device_code = (document.get(name) for name in ("verification_uri", "user_code", "device_code"))
    lives, interval = document.get("expires_in"), document.get("interval", _INTERVAL)
    if not (isinstance(page, str) and isinstance(user_code, str) and isinstance(device_code, str)):
        raise LoginFailed(Code.ANSWER_MALFORMED, f"{issuer} gave no code for another device")
    # A person types their password on that page.
    if not safe_url(page) or origin(page) != origin(issuer):
        raise LoginFailed(Code.ANSWER_MALFORMED, f"{issuer} sends people to a page of another host")
    plain = user_code.isascii() and user_code.isprintable() and 0 < len(user_code) <= 32
    if not plain or type(lives) is not int or type(interval) is not int or lives < 1 or interval < 0:
        raise LoginFailed(Code.ANSWER_MALFORMED, f"{issuer} gave a code that cannot be used")
    return Invitation(page, user_code, device_code, lives, max(1, interval))


def _awaited(
    wire: Wire,
    provider: Provider,
    registration: Registration,
    *,
    proof: Proof,
    invitation: Invitation,
    pause: Callable[[float], None],
    clock: Callable[[], float],
    talk: Conversation,
) -> tuple[float, Mapping[str, Any]]:
    form = {
        "grant_type": "urn:ietf:params:oauth:grant-type:device_code",
        "client_id": registration.client_id,
        "device_code": invitation.device_code,
        "code_verifier": proof.verifier,
    }
    end = clock() + invitation.lives
    interval: float = invitation.interval
    while clock() < end:
        talk.waiting(int(end - clock()))
        pause(interval)
        asked = time.time()
        try:
            reply = wire.post(provider.token, form)
        except Unanswered:
            # Exponential, as section 3.5 asks; the code outlives a short outage.
            interval = min(interval * 2, _LONGEST)
            continue
        if reply.status == 200:
            return asked, reply.document
        interval = slower(interval, reply)
    raise LoginFailed(Code.TIMED_OUT, "the code ran out before it was used; log in again")


def slower(interval: float, reply: Reply) -> float:
    """How long to wait before the next question, after an answer that was no token. Raises LoginFailed."""
    match reply.error:
        case "authorization_pending":
            return interval
        case "slow_down":
            return min(interval + _SLOWER, _LONGEST)
        case "access_denied":
            raise LoginFailed(Code.LOGIN_REFUSED, "the login was refused on the other device")
        case "expired_token":
            raise LoginFailed(Code.TIMED_OUT, "the code ran out before it was used; log in again")
    if reply.status >= 500 or reply.status == 429:
        return min(interval * 2, _LONGEST)
    raise LoginFailed(Code.LOGIN_REFUSED, f"the issuer ended the login ({reply.error}); log in again")
