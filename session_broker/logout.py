"""`POST /backchannel-logout`: an issuer says that a session is over (OpenID Connect Back-Channel Logout 1.0).

    logout token ─ verify ─▶ noted for every process, durably ─▶ audit line ─▶ 200 ─▶ the vault ends its leases
                                                                                 └──▶ applications end theirs

The answer comes when the session is over here: from then on no grant of it is served by this host. What
others do takes longer and is tried several times (`leases.py`, `relays.py`).
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from identity.form import BadForm, form_of
from identity.logout_token import LogoutToken, open_logout_token
from identity.reject import RejectReason, TokenRejected
from session_broker.access import INTERNAL
from session_broker.broker import Broker, broker_of
from session_broker.ended import EndedUnavailable
from session_broker.problems import away
from session_broker.requests import client_address, json_answer


async def backchannel_logout(request: Request) -> Response:
    """Ends sessions. A token that was taken before is refused, and changes nothing."""
    broker = broker_of(request)
    ip = client_address(request, broker.settings.proxies)
    try:
        token = (await form_of(request)).get("logout_token", "")
        logout = await open_logout_token(broker.dispatch.parse(token), broker.logout_issuers)
        if not _noted(broker, logout):
            raise TokenRejected(RejectReason.REPLAYED)
    except BadForm:
        return _refused("Send a form with one logout_token.")
    except TokenRejected as error:
        await broker.trail.refused(
            f"logout_{error.reason.value}", None, ip, token_name=broker.name_of(token) if token else None
        )
        return _refused("The logout token is not one that is accepted here.")
    except EndedUnavailable as error:
        raise away("ended_unavailable", error.retry_after) from None
    broker.metrics.sessions_ended.labels(logout.provider).inc()
    # Before the line: if that cannot be written the answer is 503, and the same token a second time is a replay.
    if broker.leases is not None and logout.provider == INTERNAL:
        broker.leases.end_soon(session=logout.session, subject=logout.subject)
    broker.relays.pass_on_soon(token, logout)
    await broker.trail.ended(
        logout.provider, "success", reason=None, session=logout.session, subject=logout.subject, ip=ip
    )
    return json_answer({"status": "ended"})


def _noted(broker: Broker, logout: LogoutToken) -> bool:
    # A person's token of ours always names its session; what was exchanged for another provider's is of none.
    named = logout.provider == INTERNAL and logout.session is not None
    return broker.ended.end(
        issuer=logout.issuer,
        session=logout.session,
        subject=None if named else logout.subject,
        logout=logout.id,
        issued_at=logout.issued_at,
    )


def _refused(description: str) -> Response:
    # Section 2.8 of the specification: 400, in OAuth's form.
    return json_answer({"error": "invalid_request", "error_description": description}, 400)
