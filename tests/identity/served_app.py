"""Serves an ASGI app by a real uvicorn on loopback, and speaks to it byte by byte."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn


@contextmanager
def served(app: Any) -> Iterator[int]:
    """The port that `app` is served on while the block runs."""
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(app, log_config=None, lifespan="off", ws="none", timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    deadline = time.monotonic() + 10
    while not server.started and time.monotonic() < deadline:
        time.sleep(0.01)
    assert server.started
    try:
        yield listener.getsockname()[1]
    finally:
        server.should_exit = True
        thread.join(10)
        listener.close()


class Exchange:
    """One raw HTTP/1.1 exchange: the status, the headers in lower case, the body."""

    def __init__(self, raw: bytes) -> None:
        head, _, self.body = raw.partition(b"\r\n\r\n")
        first, *rest = head.decode("latin-1").split("\r\n")
        self.status = int(first.split(" ")[1])
        self.headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in rest)}

    @property
    def problem(self) -> dict[str, Any]:
        assert self.headers["content-type"] == "application/problem+json"
        return json.loads(self.body)


def request(
    port: int, method: str, path: str, *, headers: list[tuple[str, str]] | None = None, body: bytes | None = None
) -> Exchange:
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost", "Connection: close"]
    lines += [f"{name}: {value}" for name, value in headers or []]
    if body is not None:
        lines.append(f"Content-Length: {len(body)}")
    return raw_exchange(port, ["\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + (body or b"")])


def raw_exchange(port: int, parts: list[bytes], *, pause: float = 0.0) -> Exchange:
    """Send the parts with pauses between them, and read until the server closes."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        for number, part in enumerate(parts):
            if number:
                time.sleep(pause)
            try:
                connection.sendall(part)
            except (BrokenPipeError, ConnectionResetError):
                break  # The server answered before it had everything.
        received = b""
        try:
            while chunk := connection.recv(65_536):
                received += chunk
        except ConnectionResetError:
            pass
    return Exchange(received)
