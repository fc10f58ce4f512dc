"""A proxy between admin-sync and the real Keycloak that fails the writes it is told to fail."""

from __future__ import annotations

import http.client
import http.server
import threading
from collections.abc import Callable
from urllib.parse import urlsplit

Fault = str | None
"""None passes a write on; `drop` passes it on and loses the answer; a number is answered instead."""


class FaultyProxy:
    """Forwards everything to `target`; `decide` says what happens to the n-th write, counted from 1."""

    def __init__(self, target: str) -> None:
        self.decide: Callable[[int], Fault] = lambda number: None
        self.decide_read: Callable[[str], Fault] = lambda path: None
        """What happens to a read, by its path."""
        self.writes = 0
        self._lock = threading.Lock()
        proxy = self
        upstream = urlsplit(target)

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def forward(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                body = self.rfile.read(length) if length else None
                fault = proxy.fault(self.command, self.path)
                if fault is not None and fault.isdigit():
                    self.answer(int(fault), b'{"error":"injected"}')
                    return
                connection = http.client.HTTPConnection(upstream.hostname or "", upstream.port, timeout=120)
                headers = {name: value for name, value in self.headers.items() if name.lower() != "connection"}
                connection.request(self.command, self.path, body, headers)
                found = connection.getresponse()
                content = found.read()
                connection.close()
                if fault == "drop":
                    self.close_connection = True
                    self.connection.close()
                    return
                self.answer(found.status, content, found.getheader("Location"), found.getheader("Content-Type"))

            def answer(self, status: int, content: bytes, location: str | None = None, sort: str | None = None) -> None:
                self.send_response(status)
                self.send_header("Content-Type", sort or "application/json")
                self.send_header("Content-Length", str(len(content)))
                if location:
                    self.send_header("Location", location)
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_POST = do_PUT = do_DELETE = forward  # noqa: N815

            def log_message(self, *_: object) -> None:
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_: object) -> None:
                pass

        self._server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def fault(self, method: str, path: str) -> Fault:
        """What happens to this request. Reads, tokens and the lock always pass."""
        reads = method == "GET" or "/partial-export" in path or "/protocol/" in path
        if reads or "/admin/realms/master" in path:
            return self.decide_read(path)
        with self._lock:
            self.writes += 1
            return self.decide(self.writes)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
