"""The places: each a real server, what the publisher writes to, and what OPA is told to read."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from admin_sync.bundle.address import target_of
from admin_sync.bundle.directory import Directory
from admin_sync.bundle.serve import BundleServer
from admin_sync.bundle.target import Target
from identity.secret import Secret
from stack import registry
from stack.layout import Layout
from stack.steps import Commands


@dataclass(frozen=True, slots=True)
class Place:
    """Where a publisher writes and the address that OPA subscribes to."""

    target: Target
    address: str


class _Plain(SimpleHTTPRequestHandler):
    """A static web server with validators and without long polling, as many a deployment has."""

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Quiet."""


@contextmanager
def _running(server: ThreadingHTTPServer) -> Iterator[str]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def directory(home: Path) -> Iterator[Place]:
    """A directory that our own server serves, with long polling."""
    with _running(BundleServer(("127.0.0.1", 0), home)) as url:
        yield Place(Directory(home), url)


@contextmanager
def static(home: Path) -> Iterator[Place]:
    """The same behind a web server that OPA has to ask again and again."""
    with _running(ThreadingHTTPServer(("127.0.0.1", 0), partial(_Plain, directory=str(home)))) as url:
        yield Place(Directory(home), url)


@contextmanager
def put(home: Path) -> Iterator[Place]:
    """PUT to our own server, with a token and long polling."""
    token = home / "token"
    token.touch(mode=0o600)
    token.write_text("bench")
    with _running(BundleServer(("127.0.0.1", 0), home, publish_token=Secret("bench"))) as url:
        yield Place(target_of(url, token_file=token), url)


@contextmanager
def oci(home: Path) -> Iterator[Place]:
    """A tag in a real registry, which OPA asks again and again."""
    with registry.running(registry.ensure(Layout.here(), Commands()), home / "registry.log") as host:
        address = f"oci+http://{host}/iam/policy:prod"
        yield Place(target_of(address), address)


PLACES: Mapping[str, Callable[[Path], AbstractContextManager[Place]]] = {
    "directory, long polling": directory,
    "directory, static web server": static,
    "HTTP PUT, long polling": put,
    "OCI registry": oci,
}


def settings(place: Place, public: Path, home: Path) -> dict[str, Any]:
    """What `opa_config` is told."""
    return {
        "bundle_url": place.address,
        "public_key": public.read_text(),
        "persist_dir": home / "kept",
        "decision_logs": False,
    }
