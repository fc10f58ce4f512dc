"""`POST /token`: the same exchange for clients that do not stand behind nginx (RFC 8693).

    grant_type          urn:ietf:params:oauth:grant-type:token-exchange
    subject_token       the external token
    subject_token_type  …:id_token, …:access_token or …:jwt
    audience            the audience of one service that is configured with `direct = true`

Nothing else can be asked for: no scope, no resource, no actor, no other type of token. Errors are RFC
6749 section 5.2 with the codes of RFC 8693 section 2.2.2.
"""

from __future__ import annotations

import time
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from identity.form import BadForm, form_of
from identity.problem import Problem
from identity.reject import TokenRejected
from session_broker.access import ServiceRule
from session_broker.authorize import admitted, record_refusal
from session_broker.broker import Broker, broker_of
from session_broker.keycloak import ACCESS_TOKEN_TYPE
from session_broker.problems import refused
from session_broker.requests import client_address, json_answer

_GRANT: Final = "urn:ietf:params:oauth:grant-type:token-exchange"
_SUBJECT_TYPES: Final = frozenset(
    f"urn:ietf:params:oauth:token-type:{kind}" for kind in ("id_token", "access_token", "jwt")
)
_KNOWN: Final = frozenset(
    {"grant_type", "subject_token", "subject_token_type", "audience", "requested_token_type", "client_id"}
)
_NOT_OFFERED: Final = {"scope": "invalid_scope", "resource": "invalid_target"}


class TokenError(Exception):
    """A refusal in OAuth's words."""

    def __init__(self, code: str, description: str, *, status: int = 400) -> None:
        super().__init__(code)
        self.code = code
        self.description = description
        self.status = status

    def response(self) -> Response:
        """The error as RFC 6749 section 5.2 has it."""
        return json_answer({"error": self.code, "error_description": self.description}, self.status)


async def token(request: Request) -> Response:
    """Exchanges a token."""
    broker = broker_of(request)
    ip = client_address(request, broker.settings.proxies)
    try:
        subject, name, rule = await _asked(request, broker)
        admission = await admitted(broker, subject, name, rule, ip)
    except TokenError as error:
        await record_refusal(broker, refused(f"token_{error.code}"), None, ip, None)
        return error.response()
    except TokenRejected:
        return TokenError("invalid_request", "The subject token is not one that is accepted here.").response()
    except Problem as error:
        # The subject token may be too weak: then the challenge is worth more than OAuth's code.
        if error.status not in (400, 403):
            raise
        return TokenError("invalid_request", error.detail).response()
    grant = admission.grant
    if grant is None:
        # A migration that hands on legacy tokens alone; its own are not handed out here.
        return TokenError("invalid_request", "This endpoint gives no tokens yet.").response()
    lasts = int(min(grant.principal.expires_at, grant.identity.expires_at) - time.time())
    # In a migration a client gets both, and uses the one that the service it calls understands.
    legacy = {} if admission.legacy is None else {"legacy_token": admission.legacy.text()}
    return json_answer(
        {
            "access_token": grant.token.text(),
            "issued_token_type": ACCESS_TOKEN_TYPE,
            "token_type": "Bearer",
            "expires_in": max(1, lasts),
            **legacy,
        },
        headers={"Pragma": "no-cache"},
    )


async def _asked(request: Request, broker: Broker) -> tuple[str, str, ServiceRule]:
    """The subject token and the service. Raises TokenError."""
    try:
        form = await form_of(request)
    except BadForm as error:
        raise TokenError("invalid_request", f"Send a form with one value for each field: {error}.") from None
    if form.get("grant_type") != _GRANT:
        raise TokenError("unsupported_grant_type", f"Only {_GRANT} is offered.")
    for name, code in _NOT_OFFERED.items():
        if form.get(name):
            raise TokenError(code, f"Leave {name} out: the exchange gives one audience and nothing else.")
    unknown = sorted(form.keys() - _KNOWN - _NOT_OFFERED.keys())
    if unknown:
        raise TokenError("invalid_request", "A field is not known here; see docs/session-broker.md.")
    if form.get("requested_token_type", ACCESS_TOKEN_TYPE) != ACCESS_TOKEN_TYPE:
        raise TokenError("invalid_request", "Only access tokens are issued.")
    if form.get("subject_token_type") not in _SUBJECT_TYPES or not form.get("subject_token"):
        raise TokenError("invalid_request", "Give a subject_token and its subject_token_type.")
    found = [
        (name, rule)
        for name, rule in broker.access.services.items()
        if rule.direct and rule.audience == form.get("audience")
    ]
    if len(found) != 1:
        raise TokenError("invalid_target", "There is no such audience for this endpoint.")
    return form["subject_token"], *found[0]
