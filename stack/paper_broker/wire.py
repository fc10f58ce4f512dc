"""What the broker reads and writes: forms, token answers with their faults, loopback redirect URIs."""

from __future__ import annotations

import ipaddress
import json
import urllib.parse
from collections.abc import AsyncIterator, Mapping

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from stack.paper_broker.control import Faults
from stack.paper_broker.grants import Grant

NO_STORE = {"Cache-Control": "no-store", "Pragma": "no-cache"}
_MAX_FORM = 32_768


class BadRequest(Exception):
    """An OAuth error code of RFC 6749."""


def token_response(given: dict[str, object], faults: Faults) -> Response:
    body = json.dumps({name: value for name, value in given.items() if name not in faults.omit}).encode()
    if not faults.lose:
        return Response(body, 200, NO_STORE, "application/json")

    async def half() -> AsyncIterator[bytes]:
        yield body[: len(body) // 2]

    # The server finds fewer bytes than were announced and closes the connection.
    return StreamingResponse(half(), 200, {"Content-Length": str(len(body))}, "application/json")


def narrowed(sent: Mapping[str, str], grant: Grant) -> tuple[str, ...]:
    asked = tuple(sent["scope"].split()) if "scope" in sent else grant.scopes
    if not set(asked) <= set(grant.scopes):
        raise BadRequest("invalid_scope")
    return asked


def without_port(uri: str) -> str | None:
    """A loopback URI with its port cut out; None for any other."""
    parts = urllib.parse.urlsplit(uri)
    try:
        local = ipaddress.ip_address(parts.hostname or "").is_loopback
    except ValueError:
        local = False
    if not local or parts.scheme != "http" or parts.username is not None:
        return None
    return urllib.parse.urlunsplit(parts._replace(netloc=parts.hostname or ""))


async def read_form(request: Request) -> dict[str, str]:
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > _MAX_FORM:
            raise BadRequest("invalid_request")
    try:
        pairs = urllib.parse.parse_qsl(body.decode("ascii"), keep_blank_values=True, max_num_fields=50)
    except ValueError:
        raise BadRequest("invalid_request") from None
    sent = dict(pairs)
    if len(sent) != len(pairs):
        raise BadRequest("invalid_request")
    return sent
