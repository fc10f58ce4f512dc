"""One service behind the pages: asked with the person's own token, bounded in time and size.

Whatever is asked in a simulation says so: no page can forget it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote, urlencode

import httpx
import orjson

from identity.outbound import OutboundError, exchange
from identity.secret import Secret
from identity.simulation import HEADER
from identity.strict_json import StrictJsonError, loads_object
from identity.trace import outgoing_headers
from workspace.session.simulated import Simulated
from workspace.upstream.answer import ServiceAway, refusal

_SECONDS: Final = 10.0
_MOST: Final = 4 * 1024 * 1024


class Service:
    """A service by its address; `name` is what people call it."""

    def __init__(self, http: httpx.AsyncClient, name: str, url: str) -> None:
        self._http = http
        self._url = url
        self.name = name

    async def get(self, token: Secret, *path: str, query: Mapping[str, str] | None = None) -> dict[str, Any]:
        """What is at a path, given in its parts. Raises what `workspace.upstream.answer` has."""
        return await self._ask(token, "GET", path, query, None, {})

    async def post(
        self,
        token: Secret | None,
        *path: str,
        body: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        """The answer to a change; without a token for whoever has none. Raises what `workspace.upstream.answer` has."""
        return await self._ask(token, "POST", path, None, {} if body is None else body, headers or {})

    async def put(self, token: Secret, *path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """The answer to a replacement. Raises what `workspace.upstream.answer` has."""
        return await self._ask(token, "PUT", path, None, body, {})

    async def delete(self, token: Secret, *path: str) -> dict[str, Any]:
        """The answer to a removal. Raises what `workspace.upstream.answer` has."""
        return await self._ask(token, "DELETE", path, None, None, {})

    async def _ask(  # noqa: PLR0917 - called here only
        self,
        token: Secret | None,
        method: str,
        path: tuple[str, ...],
        query: Mapping[str, str] | None,
        body: Mapping[str, Any] | None,
        headers: Mapping[str, str],
    ) -> dict[str, Any]:
        # Every part is one part: a name with a slash or dots in it leads to no other place.
        url = self._url + "".join(f"/{quote(part, safe='')}" for part in path)
        if query:
            url = f"{url}?{urlencode(query)}"
        sent = {**headers, **outgoing_headers()}
        if token is not None:
            sent["Authorization"] = f"Bearer {token.text()}"
        if isinstance(token, Simulated):
            sent[HEADER] = token.simulation
        content = None
        if body is not None:
            content, sent["Content-Type"] = orjson.dumps(body), "application/json"
        try:
            reply = await exchange(
                self._http,
                method,
                url,
                content=content,
                headers=sent,
                max_bytes=_MOST,
                timeout=_SECONDS,
                attempts=2 if method == "GET" else 1,
            )
        except OutboundError:
            raise ServiceAway(self.name) from None
        try:
            document: dict[str, Any] = dict(loads_object(reply.body, max_bytes=_MOST)) if reply.body else {}
        except StrictJsonError:
            document = {}
        if reply.status >= 400:
            raise refusal(self.name, reply.status, document, reply.headers.get("retry-after"))
        return document
