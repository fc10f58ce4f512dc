"""A page of a live desk says that it is open: its session is renewed before anybody has to wait for it.

`static/presence.js` asks, twice a minute. Whether somebody is in front of the page is what it says itself; whoever
lies about it lengthens nobody's session but their own.
"""

from __future__ import annotations

import time
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from starlette.responses import JSONResponse, Response

from workspace.pages.signed_in import UNATTENDED
from workspace.service import Workspace, workspace_of
from workspace.session import cookie

router = APIRouter(prefix="/session", include_in_schema=False)


@router.post("/presence")
async def presence(request: Request, here: Annotated[Workspace, Depends(workspace_of)]) -> Response:
    """Seconds that are left until the session ends unused, or for good; 401 where it has ended."""
    secret = cookie.secret_in(request, cookie.SESSION)
    session = await here.sessions.find(secret, used=request.headers.get(UNATTENDED) != "true")
    if session is None:
        return JSONResponse({}, 401)
    left = min(session.idle_at, session.ends_at) - time.time()
    return JSONResponse({"seconds_left": max(0, int(left)), "for_good": session.ends_at <= session.idle_at})
