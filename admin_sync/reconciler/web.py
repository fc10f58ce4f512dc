"""Health and metrics over HTTP. Nothing here takes an order."""

from __future__ import annotations

import json
import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from admin_sync.reconciler.tally import Tally


def serve(tally: Tally, host: str, port: int) -> ThreadingHTTPServer:
    """Answer GET /health/live, /health/ready and /metrics from a thread of its own. Raises OSError."""

    class Answers(BaseHTTPRequestHandler):
        server_version = "reconciler"
        sys_version = ""

        def do_GET(self) -> None:
            if self.path == "/health/live":
                self._say(HTTPStatus.OK, {"status": "live"})
            elif self.path == "/health/ready":
                missing = tally.missing()
                status = HTTPStatus.SERVICE_UNAVAILABLE if missing else HTTPStatus.OK
                self._say(status, {"status": "not ready" if missing else "ready", "missing": missing})
            elif self.path == "/metrics":
                self._answer(HTTPStatus.OK, CONTENT_TYPE_LATEST, generate_latest(tally.registry))
            else:
                self._say(HTTPStatus.NOT_FOUND, {"status": "there are /health/live, /health/ready and /metrics"})

        def log_message(self, *_: object) -> None:
            """Requests for health are not worth a line."""

        def _say(self, status: HTTPStatus, value: dict[str, object]) -> None:
            self._answer(status, "application/json", json.dumps(value).encode())

        def _answer(self, status: HTTPStatus, kind: str, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Cache-Control", "no-store")
            self.send_header("X-Content-Type-Options", "nosniff")
            self.end_headers()
            self.wfile.write(body)

    server = ThreadingHTTPServer((host, port), Answers)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, name="web", daemon=True).start()
    return server
