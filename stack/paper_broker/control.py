"""What tests can change: lifetimes and faults of the token endpoint; and what they can count.

It listens on a port of its own, asks for a token of its own, and is not there unless the environment
names both.
"""

from __future__ import annotations

import secrets
from collections import Counter
from dataclasses import dataclass, field, fields, replace
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route


@dataclass(frozen=True, slots=True)
class Faults:
    """How the token endpoint misbehaves, for the next `times` answers (0: for ever).

    delay:   seconds before anything is done
    late:    seconds between doing it and answering
    status:  answer with this status instead of doing anything
    error:   answer 400 with this OAuth error instead of doing anything
    lose:    do it, and break off the answer half-way
    omit:    members that are left out of the answer
    """

    delay: float = 0.0
    late: float = 0.0
    status: int = 0
    error: str = ""
    lose: bool = False
    omit: tuple[str, ...] = ()
    times: int = 0


@dataclass(slots=True)
class Behaviour:
    """How the broker behaves now. `rotates`: whether a refresh token is good for one use only."""

    access_seconds: float
    refresh_seconds: float
    rotates: bool = True
    faults: Faults = field(default_factory=Faults)
    counts: Counter[str] = field(default_factory=Counter)

    def next_faults(self) -> Faults:
        """The faults of the answer that is being made."""
        now = self.faults
        if now.times == 1:
            self.faults = Faults()
        elif now.times > 1:
            self.faults = replace(now, times=now.times - 1)
        return now


def control_app(behaviour: Behaviour, token: str) -> Starlette:
    """`PUT /behaviour` changes, `GET /counts` tells."""

    def allowed(request: Request) -> bool:
        return secrets.compare_digest(request.headers.get("authorization", ""), f"Bearer {token}")

    async def change(request: Request) -> Response:
        if not allowed(request):
            return JSONResponse({}, 403)
        wanted: dict[str, Any] = await request.json()
        known = {each.name for each in fields(Faults)}
        if "faults" in wanted:
            asked = wanted["faults"]
            if set(asked) - known:
                return JSONResponse({"unknown": sorted(set(asked) - known)}, 422)
            behaviour.faults = Faults(**{**asked, "omit": tuple(asked.get("omit", ()))})
        for name in ("access_seconds", "refresh_seconds", "rotates"):
            if name in wanted:
                setattr(behaviour, name, wanted[name])
        return JSONResponse({})

    async def counts(request: Request) -> Response:
        return JSONResponse(dict(behaviour.counts)) if allowed(request) else JSONResponse({}, 403)

    return Starlette(routes=[Route("/behaviour", change, methods=["PUT"]), Route("/counts", counts)])
