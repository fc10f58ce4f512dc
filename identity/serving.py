"""Listening: the HTTP server as we configure it, and several processes behind one address.

One worker is one process. Several are a parent that only starts, restarts and ends such processes; the
kernel spreads the connections over them (SO_REUSEPORT), and every one of them answers `/metrics` for all
(prometheus_client's multiprocess mode).
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

import structlog
import uvicorn
from prometheus_client import CollectorRegistry
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_log = structlog.get_logger(__name__)

SHARED_DIRECTORY = "PROMETHEUS_MULTIPROC_DIR"
"""Where the workers of one service keep their counts (prometheus_client's own name)."""

_PAUSE = 1.0
"""Seconds before a worker that was killed is replaced: one that dies at once must not keep the machine busy."""

_PR_SET_PDEATHSIG = 1


def registries() -> tuple[CollectorRegistry, CollectorRegistry]:
    """Where a process registers its metrics, and what it answers `/metrics` from: all processes of the service."""
    own = CollectorRegistry()
    if SHARED_DIRECTORY not in os.environ:
        return own, own
    shared = CollectorRegistry()
    MultiProcessCollector(shared)  # type: ignore[no-untyped-call]
    return own, shared


async def listen(app: ASGIApp, host: str, port: int, *, share: bool = False) -> None:
    """Serves until a signal asks to stop, then lets running requests end."""
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        lifespan="off",
        http=_OneWrite,
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,
        # The peer's address is what the audit says; a header of the caller's is not evidence of anything.
        proxy_headers=False,
        timeout_keep_alive=15,
        timeout_graceful_shutdown=20,
        limit_concurrency=1000,
    )
    # uvicorn stops on these and then raises them again, for handlers that were there before it. Without
    # one of ours the process would end there and then, with lines unshipped.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    await uvicorn.Server(config).serve(sockets=[_shared(host, port)] if share else None)


def parent(command: Sequence[str], workers: int, environment: Mapping[str, str]) -> int:
    """Runs `python -m command…` `workers` times until a signal comes or one of them ends by itself; returns the
    exit code. `environment` is what the workers' settings say besides: to be one, and to share the address."""
    with tempfile.TemporaryDirectory(prefix="tradepulse-metrics-") as directory:
        return _Parent(command, workers, {**environment, SHARED_DIRECTORY: directory}).run()


class _Parent:
    """Keeps its workers running; holds no secret and no connection itself."""

    def __init__(self, command: Sequence[str], workers: int, environment: Mapping[str, str]) -> None:
        self._command = [sys.executable, "-m", *command]
        self._environment = {**os.environ, **environment}
        self._running: dict[int, subprocess.Popen[bytes]] = {}
        self._workers = workers
        self._stopping = False

    def run(self) -> int:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        for _ in range(self._workers):
            self._start()
        code = 0
        while self._running:
            pid, status = os.wait()
            ended = self._running.pop(pid, None)
            if ended is None:
                # As the first process of a container one inherits others' orphans.
                continue
            ended.returncode = os.waitstatus_to_exitcode(status)
            # What it measured of itself is gone with it; what it counted stays.
            mark_process_dead(pid, self._environment[SHARED_DIRECTORY])  # type: ignore[no-untyped-call]
            if self._stopping:
                continue
            _log.error("worker.ended", exit_status=ended.returncode)
            if ended.returncode > 0:
                # It ended by itself and has said why, such as a setting that is wrong: so would the next one.
                code = ended.returncode
                self._stop()
            else:
                time.sleep(_PAUSE)
                if not self._stopping:
                    self._start()
        return code

    def _start(self) -> None:
        child = subprocess.Popen(  # noqa: S603 - this program's own module
            self._command,
            env=self._environment,
            preexec_fn=_dies_with(os.getpid()),  # noqa: PLW1509 - the parent has one thread
        )
        self._running[child.pid] = child
        if self._stopping:
            # The signal came while it was being made, and found it in no list.
            _terminate(child.pid)

    def _stop(self, *_: object) -> None:
        self._stopping = True
        for pid in self._running:
            _terminate(pid)


def _terminate(pid: int) -> None:
    # Not `Popen.terminate`, which first asks whether the child has ended and thereby takes it from `os.wait`: the
    # parent would then wait for a child that is no more.
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)


def _dies_with(parent: int) -> Callable[[], None]:
    """A parent that is killed takes its workers along, in order: they ship what is committed."""
    libc = ctypes.CDLL(None, use_errno=True)

    def prepare() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, int(signal.SIGTERM), 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)

    return prepare


def _shared(host: str, port: int) -> socket.socket:
    """A socket at an address where the other workers have theirs."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    made = socket.socket(family, socket.SOCK_STREAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    made.bind((host, port))
    return made


class _OneWrite(HttpToolsProtocol):
    """uvicorn's protocol with an answer's head and body in one write: a system call less for each."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(_Gathering(transport, self.loop))  # type: ignore[arg-type]


class _Gathering:
    """A transport that writes once for everything that comes within one turn of the event loop."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._held: list[bytes] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        if not self._held:
            self._loop.call_soon(self._flush)
        self._held.append(data)

    def close(self) -> None:
        self._flush()
        self._transport.close()

    def _flush(self) -> None:
        if self._held:
            held, self._held = self._held, []
            if not self._transport.is_closing():
                self._transport.write(b"".join(held))
