"""A web server for one bundle and for what OPA reports: ETags, long polling, PUT, status, decisions.

    python -m admin_sync.bundle.serve --directory .stack/bundles --bind 127.0.0.1:8182

It is for hosts where no web server serves the directory already. OPA says how long it will wait for
a change (`Prefer: wait=30`), and gets it within a few hundredths of a second after the rename.

    GET  /bundle.tar.gz   the published bundle, to everybody; it is signed and holds no secret
    PUT  /bundle.tar.gz   with --publish-token-file: another bundle takes its place (`If-Match`)
    POST /logs /status    with --reports-token-file: where OPA sends its decisions and its status
    GET  /status          what every OPA said last, for the same token
"""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from admin_sync.bundle.directory import Directory
from admin_sync.bundle.errors import BundleError
from admin_sync.bundle.opa_config import LONG_POLL
from admin_sync.bundle.published import CURRENT
from admin_sync.bundle.receive import LARGEST, Receiver, Refused
from admin_sync.bundle.web import LARGEST as LARGEST_BUNDLE
from admin_sync.errors import AdminSyncError
from admin_sync.settings import Settings, read_secret, settings
from admin_sync.trail import FILE, audit_log
from identity.audit.errors import AuditUnavailable
from identity.secret import Secret

# The media type by which OPA knows that a server holds requests open.
_LONG_POLLING = "application/vnd.openpolicyagent.bundles"
_LOOK_EVERY = 0.05
WAITING = 64
"""Requests that may wait for a change at once; OPA comes back later when it is told 503."""
CONNECTIONS = 256
"""Connections, each a thread. One more is closed, so that whoever opens many takes nothing else from this host."""
_WAIT = re.compile(r"(?:^|[;,\s])wait=([0-9]{1,4})(?:$|[;,\s])")


class Published:
    """The published bundle as this server last saw it; read again only when the file is another."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / CURRENT
        self._seen: tuple[tuple[int, int, int], str, bytes] | None = None

    def current(self) -> tuple[str, bytes] | None:
        """ETag and content, or None while nothing is published."""
        try:
            stat = self._path.stat()
            identity = (stat.st_ino, stat.st_mtime_ns, stat.st_size)
            if self._seen is None or self._seen[0] != identity:
                content = self._path.read_bytes()
                self._seen = (identity, f'"{sha256(content).hexdigest()}"', content)
        except FileNotFoundError:
            return None
        seen = self._seen
        return seen[1], seen[2]


class BundleServer(ThreadingHTTPServer):
    """Serves `bundle.tar.gz` of one directory; takes another with `publish_token`, reports with `reports_token`."""

    daemon_threads = True

    def __init__(
        self,
        address: tuple[str, int],
        directory: Path,
        *,
        publish_token: Secret | None = None,
        receiver: Receiver | None = None,
        reports_token: Secret | None = None,
    ) -> None:
        self.published = Published(directory)
        self.directory = Directory(directory)
        self.publish_token = publish_token
        self.receiver = receiver
        self.reports_token = reports_token
        self.waiting = threading.BoundedSemaphore(WAITING)
        self._connections = threading.BoundedSemaphore(CONNECTIONS)
        super().__init__(address, _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        """A thread for a connection, while there are not too many."""
        if self._connections.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Serve one connection to its end."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._connections.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away in the middle of an answer is no error of ours and not worth a traceback."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    server: BundleServer
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "bundles", ""
    # A client that is silent between requests must not keep a thread for ever.
    timeout = 2 * LONG_POLL

    def do_GET(self) -> None:
        """The bundle; 304 if the caller has it and no other came meanwhile; 404 without one; 503 if too many wait."""
        path = self._path()
        if path == "/status" and self.server.receiver is not None:
            return self._reported(self.server.receiver)
        if path != f"/{CURRENT}":
            return self._answer(404, {})
        found = self.server.published.current()
        if self._patience() and (found is None or self._has(found[0])):
            if not self.server.waiting.acquire(blocking=False):
                return self._answer(503, {"Retry-After": "5"})
            try:
                found = self._changed()
            finally:
                self.server.waiting.release()
        if found is None:
            return self._answer(404, {})
        etag, content = found
        headers = {"ETag": etag, "Content-Type": _LONG_POLLING, "Cache-Control": "no-cache"}
        if self._has(etag):
            return self._answer(304, headers)
        return self._answer(200, headers, content)

    def do_PUT(self) -> None:
        """Replace the bundle: 204, 412 if another is there than the caller thinks."""
        if self._path() != f"/{CURRENT}" or self.server.publish_token is None:
            return self._turned_away(404)
        if not self._is(self.server.publish_token):
            return self._turned_away(401)
        content = self._body(LARGEST_BUNDLE)
        if content is None:
            return None
        try:
            with self.server.directory.alone():
                found = self.server.published.current()
                wanted, absent = self.headers.get("If-Match"), self.headers.get("If-None-Match")
                if (wanted is not None and (found is None or found[0] != wanted)) or (absent == "*" and found):
                    return self._answer(412, {})
                self.server.directory.replace(content, "", None)
        except BundleError:
            return self._answer(507, {})
        return self._answer(204, {"ETag": f'"{sha256(content).hexdigest()}"'})

    def do_POST(self) -> None:
        """What OPA reports: 200 when it is durable, 503 when it is not, so that OPA keeps it."""
        receiver, path = self.server.receiver, self._path()
        if receiver is None or path not in {"/logs", "/status"}:
            return self._turned_away(404)
        if not self._is(self.server.reports_token):
            return self._turned_away(401)
        body = self._body(LARGEST)
        if body is None:
            return None
        packed = self.headers.get("Content-Encoding", "").lower() == "gzip"
        try:
            if path == "/logs":
                receiver.decisions(body, packed=packed)
            else:
                receiver.status(body, packed=packed)
        except Refused as problem:
            return self._answer(problem.status, {})
        except AuditUnavailable as problem:
            return self._answer(503, {"Retry-After": str(problem.retry_after)})
        return self._answer(200, {})

    def _reported(self, receiver: Receiver) -> None:
        if not self._is(self.server.reports_token):
            return self._turned_away(401)
        return self._answer(200, {"Content-Type": "application/json"}, json.dumps(receiver.report()).encode())

    def _path(self) -> str:
        # OPA sends its status to `/status/`, followed by the name of a partition if it has one.
        return self.path.split("?")[0].rstrip("/") or "/"

    def _is(self, token: Secret | None) -> bool:
        scheme, _, given = self.headers.get("Authorization", "").partition(" ")
        return token is not None and scheme.lower() == "bearer" and Secret(given.strip()) == token

    def _body(self, largest: int) -> bytes | None:
        """The whole body; None when it was refused, which has been answered then."""
        length = self.headers.get("Content-Length", "")
        if not (length.isascii() and length.isdigit()) or "Transfer-Encoding" in self.headers:
            self._turned_away(411)
        elif len(length) > len(str(largest)) or int(length) > largest:
            self._turned_away(413)
        else:
            body = self.rfile.read(int(length))
            if len(body) == int(length):
                return body
            self.close_connection = True
        return None

    def _turned_away(self, status: int) -> None:
        """Answer without reading the body, after which the connection is of no use any more."""
        self.close_connection = True
        self._answer(status, {"Connection": "close", **({"WWW-Authenticate": "Bearer"} if status == 401 else {})})

    def _patience(self) -> int:
        asked = _WAIT.search(self.headers.get("Prefer", ""))
        return min(int(asked[1]) if asked else 0, LONG_POLL)

    def _changed(self) -> tuple[str, bytes] | None:
        until = time.monotonic() + self._patience()
        while True:
            found = self.server.published.current()
            if (found is not None and not self._has(found[0])) or time.monotonic() >= until:
                return found
            time.sleep(_LOOK_EVERY)

    def _has(self, etag: str) -> bool:
        return etag in [known.strip() for known in self.headers.get("If-None-Match", "").split(",")]

    def _answer(self, status: int, headers: dict[str, str], body: bytes = b"") -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if status != 304:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if body:
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """OPA asks without end, so only what goes wrong would be worth a line, and OPA logs that itself."""


def main(arguments: list[str] | None = None) -> int:
    """Serve until stopped. Exit code 1 if the address is taken or a file is unfit.

    Where the audit lies and what signs its checkpoints is said by the same variables as for all others
    (`TRADEPULSE_AUDIT_DIR`, `TRADEPULSE_NODE`, `TRADEPULSE_AUDIT_CHECKPOINT_KEY_FILE`).
    """
    parser = argparse.ArgumentParser(prog="admin_sync.bundle.serve", description=__doc__.splitlines()[0])
    parser.add_argument("--directory", type=Path, required=True, help="where bundles are published")
    parser.add_argument("--bind", default="127.0.0.1:8182", help="address and port, 127.0.0.1:8182 by default")
    parser.add_argument("--publish-token-file", type=Path, help="whoever has this token may PUT a bundle")
    parser.add_argument("--reports-token-file", type=Path, help="the token with which OPA sends what it reports")
    options = parser.parse_args(arguments)
    host, _, port = options.bind.rpartition(":")
    try:
        publish = _token(options.publish_token_file, "--publish-token-file")
        reports = _token(options.reports_token_file, "--reports-token-file")
        made = settings(os.environ)
        with receiving(made) if reports is not None else nullcontext() as receiver:
            server = BundleServer(
                (host, int(port)),
                options.directory,
                publish_token=publish,
                receiver=receiver,
                reports_token=reports,
            )
            # In order, so that the audit log signs a last checkpoint.
            signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
            with server:
                server.serve_forever(poll_interval=0.2)
    except (OSError, ValueError, AdminSyncError) as error:
        sys.stderr.write(f"cannot serve bundles on {options.bind}: {error}\n")
        return 1
    return 0


@contextmanager
def receiving(made: Settings) -> Iterator[Receiver]:
    """A receiver that writes to the audit file of the settings. Raises Misconfigured."""
    with audit_log(made, "opa") as log:
        yield Receiver(log, seen=made.audit_dir / FILE)


def _token(path: Path | None, name: str) -> Secret | None:
    return None if path is None else Secret(read_secret(path, name))


if __name__ == "__main__":
    sys.exit(main())
