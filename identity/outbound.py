"""How we call other servers: bounded in time and size, no redirects, no proxy from the environment.

A server that we trust for keys or decisions may still be slow, broken or replaced, so the answer is
read under a cap and a deadline for the whole exchange; httpx's own timeouts restart with each byte.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

import httpx

from identity.trust import authorities


class OutboundError(Exception):
    """The other server gave no usable answer. The text names the server, never what was sent.

    `sent`: whether the request may have reached it. `kind`: the exception behind it, by name.
    """

    def __init__(self, text: str, *, sent: bool = True, kind: str = "") -> None:
        super().__init__(text)
        self.sent = sent
        self.kind = kind


@dataclass(frozen=True, slots=True)
class Reply:
    """A complete answer, not larger than its cap."""

    status: int
    headers: httpx.Headers
    body: bytes


def client(*, timeout: float = 5.0, max_connections: int = 100) -> httpx.AsyncClient:
    """An HTTP client for server-to-server calls.

    It ignores `HTTP_PROXY` and `~/.netrc` (a proxy variable must not reroute key material) and
    follows no redirect. `timeout` is in seconds, for each step of the exchange.
    """
    return httpx.AsyncClient(
        verify=authorities(),
        timeout=httpx.Timeout(timeout),
        limits=httpx.Limits(max_connections=max_connections, max_keepalive_connections=max_connections),
        follow_redirects=False,
        trust_env=False,
    )


async def exchange(
    http: httpx.AsyncClient,
    method: str,
    url: str,
    *,
    max_bytes: int,
    timeout: float,  # noqa: ASYNC109 - the deadline covers connecting, sending and reading together
    content: bytes | None = None,
    headers: Mapping[str, str] | None = None,
    attempts: int = 1,
) -> Reply:
    """Send one request and read the whole answer.

    `timeout` is the deadline in seconds for everything, all `attempts` included; a further attempt
    is made only when no answer came, so use more than one only for requests that may be repeated.
    Raises `OutboundError` when there is no answer, when it is late, compressed, or too large.
    """
    where = f"{httpx.URL(url).scheme}://{httpx.URL(url).netloc.decode('ascii', 'replace')}"
    try:
        async with asyncio.timeout(timeout):
            while True:
                attempts -= 1
                try:
                    return await _once(http, method, url, max_bytes=max_bytes, content=content, headers=headers)
                except (httpx.ConnectError, httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError):
                    # Typically a kept-alive connection whose server was restarted.
                    if attempts < 1:
                        raise
    except TimeoutError:
        raise OutboundError(f"{where} did not answer within {timeout:g} s") from None
    except httpx.HTTPError as error:
        kind = type(error).__name__
        # Nothing is sent before there is a connection, or to a destination that was refused.
        unsent = isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout) or kind.endswith(
            "Refused"
        )
        raise OutboundError(f"{where} cannot be reached ({kind})", sent=not unsent, kind=kind) from None


async def _once(
    http: httpx.AsyncClient,
    method: str,
    url: str,
    *,
    max_bytes: int,
    content: bytes | None,
    headers: Mapping[str, str] | None,
) -> Reply:
    sent = {"Accept": "application/json", "Accept-Encoding": "identity", **(headers or {})}
    async with http.stream(method, url, content=content, headers=sent, follow_redirects=False) as response:
        if response.headers.get("content-encoding", "identity") != "identity":
            # A compressed answer that was not asked for could expand a thousandfold in memory.
            raise OutboundError("the server sent a compressed answer although none was accepted")
        body = bytearray()
        async for chunk in response.aiter_bytes():
            body += chunk
            if len(body) > max_bytes:
                raise OutboundError(f"the server sent more than {max_bytes} bytes")
        return Reply(response.status_code, response.headers, bytes(body))
