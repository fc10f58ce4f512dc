"""What a request says about itself, and what answers look like on the wire."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response

SERVICE_HEADER = "x-tradepulse-service"
"""Which service the proxy asks for. The proxy sets it, and strips what a client sends under that name."""

ADDRESS_HEADER = "x-tradepulse-client-ip"
"""The client's address, as the proxy sees it."""

TOKEN_HEADER = "X-TradePulse-Authorization"  # noqa: S105 - a header's name
"""The answer's token, which the proxy puts into `Authorization`."""

NEW_HEADER = "X-TradePulse-Token"
LEGACY_HEADER = "X-TradePulse-Legacy-Token"
"""In a migration: the other token, which the proxy hands on under these names."""

_ADDRESS = re.compile(r"[0-9A-Fa-f.:]{2,45}\Z")


def single(request: Request, name: str) -> str | None:
    """The value of a header that may come once, None where it is absent or comes twice."""
    values = request.headers.getlist(name)
    return values[0] if len(values) == 1 else None


def peer(request: Request) -> str:
    """The address at the other end of the connection."""
    return request.client.host if request.client else ""


def client_address(request: Request, proxies: frozenset[str]) -> str | None:
    """Who calls: what a proxy of ours says, and else the other end of the connection."""
    end = peer(request)
    if end in proxies:
        said = single(request, ADDRESS_HEADER)
        if said is not None and _ADDRESS.match(said):
            return said
    return end or None


def json_answer(body: Mapping[str, Any], status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """JSON that nobody may store."""
    return Response(
        orjson.dumps(body), status, {"Cache-Control": "no-store", **(headers or {})}, media_type="application/json"
    )
