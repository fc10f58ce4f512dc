"""Case 11: a URL that somebody else named and that points inside is refused before anything is connected."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

import httpx
import pytest

from identity.destination import DestinationRefused, guarded_client, is_public
from identity.outbound import OutboundError, exchange

INSIDE = [
    "127.0.0.1", "127.8.8.8", "10.0.0.1", "172.16.3.4", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0",  # noqa: S104
    "224.0.0.1", "255.255.255.255", "198.18.0.1", "::1", "::", "fe80::1", "fe80::1%eth0", "fec0::1", "fc00::1",
    "ff02::1",
    "::ffff:127.0.0.1", "::ffff:169.254.169.254", "64:ff9b::7f00:1", "2002:7f00:1::", "2002:a9fe:a9fe::", "not-an-ip",
]  # fmt: skip


@pytest.mark.parametrize("address", INSIDE)
def test_an_address_inside_is_not_public_however_it_is_written(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", ["1.1.1.1", "8.8.8.8", "2606:4700:4700::1111", "64:ff9b::808:808"])
def test_an_address_of_the_internet_is(address: str) -> None:
    assert is_public(address)


class Counting:
    """A listener that counts who connects, and a resolver that leads there after lying."""

    def __init__(self) -> None:
        self.connections = 0
        self.answers: list[Sequence[str]] = []
        self.port = 0

    async def accept(self, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        writer.write(b"HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()
        writer.close()

    async def resolve(self, host: str, port: int) -> Sequence[str]:
        del host, port
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


@pytest.fixture
async def listener() -> AsyncIterator[Counting]:
    counting = Counting()
    server = await asyncio.start_server(counting.accept, "127.0.0.1", 0)
    counting.port = server.sockets[0].getsockname()[1]
    yield counting
    server.close()


@pytest.mark.parametrize("url", ["https://127.0.0.1:{}/", "https://broker.example:{}/", "https://[::ffff:7f00:1]:{}/"])
async def test_a_destination_inside_is_refused_before_connecting(listener: Counting, url: str) -> None:
    listener.answers = [["127.0.0.1"]]
    async with guarded_client(allow_local=False, resolver=listener.resolve) as http:
        with pytest.raises(OutboundError) as refused:
            await exchange(http, "POST", url.format(listener.port), max_bytes=100, timeout=5, content=b"secret")
    assert (refused.value.kind, refused.value.sent) == ("DestinationRefused", False)
    assert listener.connections == 0


async def test_one_bad_address_among_good_ones_is_enough(listener: Counting) -> None:
    listener.answers = [["1.1.1.1", "127.0.0.1"]]
    async with guarded_client(allow_local=False, resolver=listener.resolve) as http:
        with pytest.raises(DestinationRefused):
            await http.get(f"https://broker.example:{listener.port}/")
    assert listener.connections == 0


async def test_plain_http_is_for_development_only(listener: Counting) -> None:
    listener.answers = [["1.1.1.1"]]
    async with guarded_client(allow_local=False, resolver=listener.resolve) as http:
        with pytest.raises(DestinationRefused):
            await http.get("http://broker.example/")


async def test_a_name_is_resolved_once_and_the_connection_goes_to_what_was_looked_at(listener: Counting) -> None:
    # The second answer would be another server: nobody asks for it.
    listener.answers = [["127.0.0.1"], ["203.0.113.9"]]
    async with guarded_client(allow_local=True, resolver=listener.resolve) as http:
        reply = await http.get(f"http://broker.example:{listener.port}/")
    assert (listener.connections, len(listener.answers)) == (1, 1)
    # And a redirect is an answer like any other.
    assert reply.status_code == 302
    assert reply.request.headers["host"] == f"broker.example:{listener.port}"


async def test_a_name_that_does_not_resolve_is_an_error_like_a_server_that_is_away() -> None:
    async def nowhere(host: str, port: int) -> Sequence[str]:
        raise OSError

    async with guarded_client(allow_local=False, resolver=nowhere) as http:
        with pytest.raises(httpx.ConnectError):
            await http.get("https://broker.example/")
