"""Where a server may be called that somebody else named: a guard against requests to our own inside (SSRF).

    URL ─ https? ─▶ resolve ─ every address public? ─▶ connect to that very address

The name is resolved once, here, and the connection goes to the address that was looked at, so an
answer that changes between the look and the call changes nothing. TLS still checks the name.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable, Sequence

import httpx

from identity.trust import authorities

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_SITE_LOCAL = ipaddress.ip_network("fec0::/10")
"""Deprecated by RFC 3879, and still not of the public internet."""


class DestinationRefused(httpx.RequestError):
    """The address is one that must not be called. The text names no address."""


async def resolve(host: str, port: int) -> Sequence[str]:
    """Every address of a host. Raises OSError."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def is_public(text: str) -> bool:
    """Whether an address belongs to the public internet, also the one that is hidden in an IPv6 address."""
    try:
        address: Address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return False
    return all(
        one.is_global and not one.is_multicast and not one.is_reserved and one not in _SITE_LOCAL
        for one in _with_hidden(address)
    )


def _with_hidden(address: Address) -> Sequence[Address]:
    if isinstance(address, ipaddress.IPv4Address):
        return [address]
    if address.ipv4_mapped is not None:
        return [address.ipv4_mapped]
    hidden: list[Address] = []
    if address.sixtofour is not None:
        hidden.append(address.sixtofour)
    if address.teredo is not None:
        hidden.extend(address.teredo)
    if address in _NAT64:
        return [ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)]
    return [address, *hidden]


class GuardedTransport(httpx.AsyncBaseTransport):
    """A transport that connects to public addresses over https only.

    allow_local: also plain http, and to any address; for development, where neighbours are on loopback
    resolver:    how names become addresses

    Connections are not kept: one that was opened to an address for one name must not serve another name.
    """

    def __init__(self, *, allow_local: bool, timeout: float = 15.0, resolver: Resolve = resolve) -> None:
        self._allow_local = allow_local
        self._resolver = resolver
        self._timeout = timeout
        self._inner = httpx.AsyncHTTPTransport(
            verify=authorities(),
            trust_env=False,
            limits=httpx.Limits(max_connections=100, max_keepalive_connections=0),
        )

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Sends the request to a checked address. Raises DestinationRefused before anything is connected."""
        url = request.url
        if url.scheme != "https" and not self._allow_local:
            raise DestinationRefused("only https is called outside development", request=request)
        try:
            async with asyncio.timeout(self._timeout):
                addresses = await self._resolver(url.host, url.port or (443 if url.scheme == "https" else 80))
        except (OSError, UnicodeError, TimeoutError):
            raise httpx.ConnectError("the name cannot be resolved", request=request) from None
        if not addresses:
            raise httpx.ConnectError("the name has no address", request=request)
        if not self._allow_local and not all(is_public(address) for address in addresses):
            raise DestinationRefused("the address is not on the public internet", request=request)
        problem: httpx.TransportError | None = None
        for address in addresses[:4]:
            try:
                return await self._inner.handle_async_request(_to(request, address))
            except httpx.ConnectError as error:
                # Nothing was sent, so the next address may be tried: localhost is often two of them.
                problem = error
        raise problem or httpx.ConnectError("the name has no address", request=request)

    async def aclose(self) -> None:
        """Closes what is open."""
        await self._inner.aclose()


def _to(request: httpx.Request, address: str) -> httpx.Request:
    """The same request, connected to `address`; the Host header and the name that TLS checks stay."""
    host = request.url.host
    return httpx.Request(
        request.method,
        request.url.copy_with(host=address.partition("%")[0]),
        headers=request.headers,
        stream=request.stream,
        extensions={**request.extensions, "sni_hostname": host},
    )


def guarded_client(*, allow_local: bool, timeout: float = 15.0, resolver: Resolve = resolve) -> httpx.AsyncClient:
    """A client for addresses that configuration or partners name; it follows no redirect and knows no proxy."""
    return httpx.AsyncClient(
        transport=GuardedTransport(allow_local=allow_local, timeout=timeout, resolver=resolver),
        timeout=httpx.Timeout(timeout),
        follow_redirects=False,
        trust_env=False,
    )
