"""The reconciler as a program: opened once, then turn after turn until it is told to stop."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime

from admin_sync.access.settings import DatabaseSettings
from admin_sync.reconciler.report import Report
from admin_sync.reconciler.requests import Requests
from admin_sync.reconciler.settings import ReconcilerSettings, reconciler_settings
from admin_sync.reconciler.tally import Tally
from admin_sync.reconciler.turn import Reconciler
from admin_sync.reconciler.waking import Lookout, Wake, sleep
from admin_sync.reconciler.web import serve
from admin_sync.repository import Repository, repository_settings
from admin_sync.settings import settings
from admin_sync.trail import FILE, audit_log


@contextmanager
def opened(environ: Mapping[str, str], note: Callable[[str], None]) -> Iterator[Reconciler]:
    """A reconciler by the settings in an environment. Raises Misconfigured and GitFailed."""
    made, own = settings(environ), reconciler_settings(environ)
    made.account()
    repository = Repository(repository_settings(environ))
    with ExitStack() as stack:
        audit = stack.enter_context(audit_log(made, "reconciler"))
        requests = _requests(own, made.node)
        if requests is not None:
            stack.callback(requests.close)
        yield Reconciler(made, own, repository, requests, audit, environ, note)


def run(reconciler: Reconciler, show: Callable[[Report], None]) -> None:
    """Make turns until SIGTERM or SIGINT. Raises OSError where its address is taken, and whatever ends a turn.

    Turns are made in a thread of their own: in the main one, an apply would take the signal for itself alone.
    """
    own, stop, wake = reconciler.own, threading.Event(), Wake()
    tally = Tally(every=own.every)

    def ended(*_: object) -> None:
        stop.set()
        wake.ring()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, ended)
    web = serve(tally, own.host, own.port) if own.port else None
    Lookout(reconciler.repository, reconciler.settings.audit_dir / FILE, wake, stop, reconciler.note).start()
    if reconciler.requests is not None:
        reconciler.requests.watch(float(own.poll), wake.ring)

    def made(report: Report) -> None:
        tally.turn(report)
        show(report)

    with ThreadPoolExecutor(1, thread_name_prefix="turns") as pool:
        turning = pool.submit(_turns, reconciler, stop, wake, made)
        try:
            # A signal reaches a main thread that waits in Python, so it waits in pieces.
            while not wait([turning], timeout=0.5).done:
                pass
            turning.result()
        finally:
            ended()
            if web is not None:
                web.shutdown()


def _turns(reconciler: Reconciler, stop: threading.Event, wake: Wake, made: Callable[[Report], None]) -> None:
    failures = 0
    every = float(reconciler.own.every)
    while not stop.is_set():
        report = reconciler.turn()
        made(report)
        failures = 0 if report.well else failures + 1
        ends = reconciler.standing.next()
        realms = wake.wait(sleep(failures=failures, ends=ends, now=datetime.now(UTC), every=every))
        reconciler.look_at(realms)


def _requests(own: ReconcilerSettings, node: str) -> Requests | None:
    if own.database_url is None or own.database_password_file is None:
        return None
    database = DatabaseSettings(database_url=own.database_url, database_password_file=own.database_password_file)
    return Requests(database, node=node)
