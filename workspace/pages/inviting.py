"""The form that invites somebody to a partner: for the partner's administrators and for the platform's staff alike."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from fastapi import Request
from starlette.responses import RedirectResponse, Response

from identity.form import form_of
from workspace.partner import terms
from workspace.render import page
from workspace.service import Workspace
from workspace.session.sessions import Session
from workspace.upstream.answer import Refused


@dataclass(frozen=True, slots=True)
class Desk:
    """Where somebody invites from.

    calls: the vault's calls for it: `/v1/<calls>/<partner>/invitations`
    back:  the page that it belongs to
    found: what the form shows of the partner; raises `not_found` for whoever may not invite to it
    """

    calls: str
    partner: str
    back: str
    action: str
    found: Callable[[Session, Workspace, str], Awaitable[Mapping[str, Any]]]

    async def form(
        self,
        request: Request,
        person: Session,
        here: Workspace,
        given: Mapping[str, str],
        *,
        wrong: Mapping[str, str] | None = None,
        refused: Refused | None = None,
    ) -> Response:
        """Whom, to which role, until when; again, with what is wrong or was refused."""
        found = await self.found(person, here, self.partner)
        wrong = dict(wrong or (terms.mistakes(refused.members) if refused else {}))
        return page(
            request,
            "member_invite.html",
            person,
            status=refused.status if refused else 422 if wrong else 200,
            partner=self.partner,
            found=found,
            action=self.action,
            back=self.back,
            given=given,
            wrong=wrong,
            refused=None if wrong else refused,
            terms=terms,
        )

    async def invite(self, request: Request, person: Session, here: Workspace) -> Response:
        """Invite whom the form names. The answer is the only page that shows the link and the code."""
        given = await form_of(request)
        until, wrong = terms.until_of(given, datetime.now(UTC))
        if wrong:
            return await self.form(request, person, here, given, wrong=wrong)
        body = {
            "email": given.get("email", "").strip(),
            "role": given.get("role", ""),
            "until": None if until is None else until.isoformat(),
        }
        try:
            made = await here.vault.post(person.token, self.calls, self.partner, "invitations", body=body)
        except Refused as refused:
            if refused.status in (403, 404):
                raise
            return await self.form(request, person, here, given, refused=refused)
        link = f"{here.settings.url}/invitation/{self.partner}/{made['invitation']}"
        return page(
            request, "member_invited.html", person, partner=self.partner, made=made, link=link, back=self.back,
            terms=terms,
        )  # fmt: skip

    async def withdraw(self, person: Session, here: Workspace, name: str) -> Response:
        """End an invitation that nobody took up."""
        await here.vault.delete(person.token, self.calls, self.partner, "invitations", name)
        await here.sessions.say(person, "The invitation is withdrawn. Its code is good for nothing any more.")
        return RedirectResponse(self.back, 303)
