"""Who is looking at a page: the dependency `Person`."""

from __future__ import annotations

import time
from typing import Annotated, Final

from fastapi import Depends, Request

from identity.simulation import reads_only
from workspace.service import workspace_of
from workspace.session import cookie
from workspace.session.sessions import Session
from workspace.upstream.answer import LoginNeeded, SimulationOver

UNATTENDED: Final = "Unattended"
"""The header (`true`) of a request that a page makes by itself: it is no use of the session (docs/sessions.md)."""

_SAFE: Final = frozenset({"GET", "HEAD"})


async def found(request: Request) -> Session:
    """The session of the request, whatever is asked. Raises LoginNeeded, and what `Sessions.find` raises."""
    here = workspace_of(request)
    secret = cookie.secret_in(request, cookie.SESSION)
    session = await here.sessions.find(secret, used=request.headers.get(UNATTENDED) != "true")
    if session is None:
        raise LoginNeeded
    if session.notice is not None and request.method == "GET":
        # It is shown by this page and by no other.
        await here.sessions.say(session, None)
    return session


async def signed_in(request: Request) -> Session:
    """The session of the request; in a simulation only for what looks.

    Raises LoginNeeded, SimulationOver, Problem (403), and what `Sessions.find` raises when nobody can say.
    """
    session = await found(request)
    if session.simulation is not None:
        if session.simulation.ends_at <= time.time():
            raise SimulationOver
        if request.method not in _SAFE:
            # The services refuse it as well; here it is said without asking them.
            raise reads_only()
    return session


Person = Annotated[Session, Depends(signed_in)]
Anyone = Annotated[Session, Depends(found)]
"""For the few pages that end a simulation."""
