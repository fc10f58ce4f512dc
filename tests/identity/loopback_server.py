"""A real HTTP server on loopback whose answers a test writes; every request is kept."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Seen:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Answer:
    status: int = 200
    body: bytes = b"{}"
    headers: dict[str, str] = field(default_factory=dict)
    wait: threading.Event | None = None
    """Holds the answer back until it is set."""
    drip: float | None = None
    """Seconds between single bytes of the body."""
    cut: bool = False
    """Closes the connection instead of answering."""


def answer_json(value: Any, status: int = 200, **more: Any) -> Answer:
    return Answer(status, json.dumps(value).encode(), **more)


class LoopbackServer:
    def __init__(self, respond: Callable[[Seen], Answer]) -> None:
        self.respond = respond
        self.seen: list[Seen] = []
        self.stopped = threading.Event()
        self.connections: list[socket.socket] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            # Headers and body are two writes; without this the second waits 40 ms for an acknowledgement.
            disable_nagle_algorithm = True

            def setup(self) -> None:
                outer.connections.append(self.request)
                super().setup()

            def log_message(self, *_: object) -> None:
                pass

            def _serve(self) -> None:
                length = int(self.headers.get("content-length", 0))
                request = Seen(self.command, self.path, dict(self.headers.items()), self.rfile.read(length))
                outer.seen.append(request)
                answer = outer.respond(request)
                if answer.wait is not None:
                    answer.wait.wait(10)
                if answer.cut:
                    self.close_connection = True
                    self.connection.close()
                    return
                try:
                    self.send_response(answer.status)
                    for name, value in answer.headers.items():
                        self.send_header(name, value)
                    self.send_header("Content-Length", str(len(answer.body)))
                    self.end_headers()
                    if answer.drip is None:
                        self.wfile.write(answer.body)
                    else:
                        for byte in answer.body:
                            self.wfile.write(bytes([byte]))
                            self.wfile.flush()
                            if outer.stopped.wait(answer.drip):
                                return
                except (BrokenPipeError, ConnectionResetError):
                    self.close_connection = True

            do_GET = do_POST = _serve  # noqa: N815 - the names that http.server looks for

        class Quiet(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_: object) -> None:
                pass

        self._server = Quiet(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self.stopped.set()
        self._server.shutdown()
        self._server.server_close()
        # Kept-alive connections too: a server that is gone answers nobody.
        for connection in self.connections:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self._thread.join(5)


@contextmanager
def serving(respond: Callable[[Seen], Answer]) -> Iterator[LoopbackServer]:
    server = LoopbackServer(respond)
    try:
        yield server
    finally:
        server.stop()
