"""A login through the browser of this host: authorization code with PKCE on the loopback (RFC 8252)."""

from __future__ import annotations

import time
from typing import Final

from identity.login.conversation import Conversation
from identity.login.errors import Code, LoginFailed
from identity.login.loopback import Loopback
from identity.login.provider import Provider, signing_keys
from identity.login.registration import Registration, Wanted
from identity.login.request import Proof, authorization_url, code_of
from identity.login.tokens import Tokens, accepted
from identity.login.wire import Unanswered, Wire
from identity.principal import Principal

PATIENCE: Final = 300.0
"""Seconds that a person has for the pages of a login."""


def log_in_by_browser(
    wire: Wire,
    provider: Provider,
    registration: Registration,
    wanted: Wanted,
    talk: Conversation,
    *,
    patience: float = PATIENCE,
) -> tuple[Tokens, Principal]:
    """Log a person in. Raises LoginFailed.

    The address that is opened and shown is our own: the issuer's, with state and nonce in it, never stands on a
    screen, in a list of processes or in a shell's history.
    """
    proof = Proof()
    loopback = Loopback(
        begin=lambda redirect: authorization_url(provider, registration, proof, redirect, wanted),
        read=lambda target: code_of(target, provider, proof),
    )
    with loopback:
        talk.open(loopback.start, seconds=int(patience))
        code = loopback.wait(patience)
    form = {
        "grant_type": "authorization_code",
        "client_id": registration.client_id,
        "code": code,
        "redirect_uri": loopback.redirect_uri,
        "code_verifier": proof.verifier,
    }
    asked = time.time()
    try:
        reply = wire.post(provider.token, form)
    except Unanswered as problem:
        raise problem.failed() from None
    if reply.status != 200:
        raise LoginFailed(Code.LOGIN_REFUSED, f"the code was not redeemed ({reply.error}); log in again")
    keys = signing_keys(wire, provider)
    return accepted(reply.document, keys, registration, wanted=wanted, nonce=proof.nonce, now=asked)
