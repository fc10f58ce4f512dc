"""A web server for one file: the published bundle, with ETags and OPA's long polling.

    python -m admin_sync.bundle.serve --directory .stack/bundles --bind 127.0.0.1:8182

It is for hosts where no web server serves the directory already. OPA says how long it will wait for
a change (`Prefer: wait=30`), and gets it within a few hundredths of a second after the rename.
"""

from __future__ import annotations

import argparse
import re
import sys
import time
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from admin_sync.bundle.opa_config import LONG_POLL
from admin_sync.bundle.published import CURRENT

# The media type by which OPA knows that a server holds requests open.
_LONG_POLLING = "application/vnd.openpolicyagent.bundles"
_LOOK_EVERY = 0.05
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
    """Serves `bundle.tar.gz` of one directory and nothing else."""

    daemon_threads = True

    def __init__(self, address: tuple[str, int], directory: Path) -> None:
        self.published = Published(directory)
        super().__init__(address, _Handler)


class _Handler(BaseHTTPRequestHandler):
    server: BundleServer
    protocol_version = "HTTP/1.1"
    # A client that is silent between requests must not keep a thread for ever.
    timeout = 2 * LONG_POLL

    def do_GET(self) -> None:
        """The bundle; 304 if the caller has it and no other came while it waited; 404 if there is none."""
        if self.path.split("?")[0] != f"/{CURRENT}":
            return self._answer(404, {})
        found = self._changed()
        if found is None:
            return self._answer(404, {})
        etag, content = found
        headers = {"ETag": etag, "Content-Type": _LONG_POLLING, "Cache-Control": "no-cache"}
        if self._has(etag):
            return self._answer(304, headers)
        return self._answer(200, headers, content)

    def _changed(self) -> tuple[str, bytes] | None:
        asked = _WAIT.search(self.headers.get("Prefer", ""))
        until = time.monotonic() + min(int(asked[1]) if asked else 0, LONG_POLL)
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
    """Serve until stopped. Exit code 1 if the address is taken."""
    parser = argparse.ArgumentParser(prog="admin_sync.bundle.serve", description=__doc__.splitlines()[0])
    parser.add_argument("--directory", type=Path, required=True, help="where bundles are published")
    parser.add_argument("--bind", default="127.0.0.1:8182", help="address and port, 127.0.0.1:8182 by default")
    options = parser.parse_args(arguments)
    host, _, port = options.bind.rpartition(":")
    try:
        server = BundleServer((host, int(port)), options.directory)
    except (OSError, ValueError) as error:
        sys.stderr.write(f"cannot serve bundles on {options.bind}: {error}\n")
        return 1
    with server:
        server.serve_forever(poll_interval=0.2)
    return 0


if __name__ == "__main__":
    sys.exit(main())
