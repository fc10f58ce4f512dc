"""What a request says about itself, and what answers look like on the wire."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

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
_FORM = "application/x-www-form-urlencoded"
_MAX_FIELDS = 32


class BadForm(ValueError):
    """The body is not a form in which every field has one value."""


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


async def form_of(request: Request) -> Mapping[str, str]:
    """The fields of a form. Raises `BadForm`; RFC 6749 section 3.2 has no field twice."""
    media_type = (single(request, "content-type") or "").partition(";")[0].strip().lower()
    if media_type != _FORM:
        raise BadForm(f"the body must be {_FORM}")
    try:
        text = (await request.body()).decode("ascii")
        pairs = parse_qsl(
            text, keep_blank_values=True, strict_parsing=True, errors="strict", max_num_fields=_MAX_FIELDS
        )
    except ValueError:
        raise BadForm("the body is no form") from None
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise BadForm("a field is given twice")
    return fields


def json_answer(body: Mapping[str, Any], status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """JSON that nobody may store."""
    return Response(
        orjson.dumps(body), status, {"Cache-Control": "no-store", **(headers or {})}, media_type="application/json"
    )
