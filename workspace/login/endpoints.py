"""The addresses under /auth: off to the login, back from it, out; and the realm says that a session is over."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlencode

import structlog
from fastapi import APIRouter, Depends, Request
from starlette.responses import RedirectResponse, Response

from identity.form import BadForm, form_of
from identity.login.errors import Code, LoginFailed
from identity.login.registration import Wanted
from identity.login.request import CALLBACK, NotOurs, Proof, authorization_url, code_of
from identity.principal import AssuranceLevel
from identity.problem import Problem
from identity.reject import TokenRejected
from workspace.login import places
from workspace.login.attempt import Attempt
from workspace.service import Workspace, workspace_of
from workspace.session import cookie
from workspace.session.seal import DoesNotOpen, Handle

router = APIRouter(prefix="/auth", include_in_schema=False)

Here = Annotated[Workspace, Depends(workspace_of)]

_LONGEST_AGE = 86_400
_ACTIONS = {"security-key": "webauthn-register"}
"""What the realm's own pages do on demand (Keycloak's application-initiated actions)."""

_log = structlog.get_logger("workspace.login")


@router.get("/login")
async def login(  # noqa: PLR0917 - the address's
    request: Request,
    here: Here,
    next: str = "/",  # noqa: A002
    level: str = "",
    max_age: str = "",
    action: str = "",
) -> Response:
    """Off to the realm's login page, asking for at least `level`, proved at most `max_age` seconds ago.

    `action` is something that a person does there besides, of `_ACTIONS`.
    """
    attempt = Attempt(proof=Proof(), wanted=_wanted(level, max_age), back_to=places.local(next))
    # One secret for all tabs of a browser; each login has a row of its own, found by its state as well.
    secret = cookie.secret_in(request, cookie.LOGIN) or cookie.fresh()
    handle = _handle(secret, attempt.proof.state)
    await here.store.begin(handle.id, handle.seal(attempt.plain()), seconds=cookie.LOGIN_SECONDS)
    realm = here.realm
    url = authorization_url(
        realm.provider, realm.registration, attempt.proof, here.settings.redirect_uri, attempt.wanted
    )
    if action in _ACTIONS:
        url = f"{url}&{urlencode({'kc_action': _ACTIONS[action]})}"
    response = RedirectResponse(url, 303)
    cookie.give(response, cookie.LOGIN, secret, seconds=cookie.LOGIN_SECONDS)
    return response


@router.get("/callback")
async def callback(request: Request, here: Here) -> Response:
    """Back from the realm with a code, which is redeemed here and now."""
    attempt = await _attempt(request, here)
    realm = here.realm
    try:
        code = code_of(f"{CALLBACK}?{request.url.query}", realm.provider, attempt.proof)
        tokens = await realm.redeem(
            code, attempt.proof.verifier, here.settings.redirect_uri, wanted=attempt.wanted, nonce=attempt.proof.nonce
        )
        before = cookie.secret_in(request, cookie.SESSION)
        secret = await here.sessions.open(tokens, instead_of=before, notice=_notice(attempt))
    except NotOurs:
        raise lost() from None
    except LoginFailed as problem:
        _log.info("login.failed", code=problem.code.value)
        here.metrics.logins.labels("failure").inc()
        raise failed(problem) from None
    here.metrics.logins.labels("success").inc()
    response = RedirectResponse(attempt.back_to, 303)
    cookie.give(response, cookie.SESSION, secret)
    return response


@router.post("/logout")
async def logout(request: Request, here: Here) -> Response:
    """Out, here and in the realm, and with it in every application of the session."""
    secret = cookie.secret_in(request, cookie.SESSION)
    everywhere = secret is None or await here.sessions.end(secret)
    response = RedirectResponse("/signed-out" if everywhere else "/signed-out?here=only", 303)
    cookie.take(response, cookie.SESSION)
    return response


@router.post("/backchannel-logout")
async def backchannel_logout(request: Request, here: Here) -> Response:
    """The realm says that a session is over (OpenID Connect Back-Channel Logout 1.0). Twice is as good as once."""
    try:
        over = await here.logouts.read((await form_of(request)).get("logout_token", ""))
    except (TokenRejected, BadForm):
        return Response(status_code=400)
    ended = await here.store.end_all(sid=over.session, subject=over.subject)
    _log.info("session.ended", by="realm", count=ended)
    return Response(status_code=200)


def _wanted(level: str, max_age: str) -> Wanted:
    try:
        asked = AssuranceLevel(level) if level else None
    except ValueError:
        asked = None
    age = int(max_age) if max_age.isascii() and max_age.isdigit() and len(max_age) < 6 else None
    return Wanted(asked, None if age is None else min(age, _LONGEST_AGE))


def _notice(attempt: Attempt) -> str | None:
    stronger = attempt.wanted.level is not None or attempt.wanted.max_age is not None
    return "Thank you, that was you. Now go on with what you were about to do." if stronger else None


def _handle(secret: bytes, state: str) -> Handle:
    return Handle.of(secret + state.encode(), "login")


async def _attempt(request: Request, here: Workspace) -> Attempt:
    """The login that an answer belongs to, once. Raises Problem: another browser, too late, or a second time."""
    secret = cookie.secret_in(request, cookie.LOGIN)
    states = request.query_params.getlist("state")
    if secret is None or len(states) != 1 or len(states[0]) > 128 or not states[0].isascii():
        raise lost()
    handle = _handle(secret, states[0])
    sealed = await here.store.finish(handle.id)
    if sealed is None:
        raise lost()
    try:
        return Attempt.read(handle.open(sealed))
    except (DoesNotOpen, ValueError):
        raise lost() from None


def lost() -> Problem:
    """400: no login of this browser waits for this answer."""
    return Problem(
        400,
        "login-lost",
        "This login is over",
        "It was finished already, took too long, or began in another browser. Log in again.",
    )


def failed(problem: LoginFailed) -> Problem:
    """What came of a login that the realm or we refused."""
    if problem.code is Code.ASSURANCE_TOO_LOW:
        return Problem(
            403,
            "assurance-too-low",
            "That was not enough",
            "What you were about to do needs a stronger factor than yours. Register a security key, then try again.",
        )
    if problem.code is Code.LOGIN_REFUSED:
        return Problem(
            403, "login-refused", "You were not logged in", "The login was cancelled or refused. Log in again."
        )
    return Problem(
        502, "login-failed", "The login did not work", "Log in again; if that repeats, tell who runs this site."
    )
