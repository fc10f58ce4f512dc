"""Who is looking at a page: the dependency `Person`."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request

from workspace.service import workspace_of
from workspace.session import cookie
from workspace.session.sessions import Session
from workspace.upstream.answer import LoginNeeded


async def signed_in(request: Request) -> Session:
    """The session of the request. Raises LoginNeeded, and what `Sessions.find` raises when nobody can say."""
    here = workspace_of(request)
    session = await here.sessions.find(cookie.secret_in(request, cookie.SESSION))
    if session is None:
        raise LoginNeeded
    if session.notice is not None and request.method == "GET":
        # It is shown by this page and by no other.
        await here.sessions.say(session, None)
    return session


Person = Annotated[Session, Depends(signed_in)]
