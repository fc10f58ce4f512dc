"""Ctrl-C while a realm is being changed: the first ends the run in order, the second ends it at once."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

from admin_sync.errors import Interrupted


class Stop:
    """Whether somebody asked the run to end."""

    def __init__(self) -> None:
        self._asked = threading.Event()

    def ask(self) -> None:
        """Let the run end after what is under way."""
        self._asked.set()

    def check(self) -> None:
        """Raises Interrupted when the run is to end."""
        if self._asked.is_set():
            raise Interrupted("stopped as asked")

    def pause(self, seconds: float) -> None:
        """Sleep, unless the run is to end. Raises Interrupted."""
        self._asked.wait(seconds)
        self.check()


@contextmanager
def stoppable(note: Callable[[str], None]) -> Iterator[Stop]:
    """Turns the first SIGINT or SIGTERM inside the block into a request to stop; the next one kills.

    Only the main thread of a program can do that; elsewhere the block runs as it is.
    """
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return

    def asked(number: int, _: FrameType | None) -> None:
        stop.ask()
        signal.signal(number, signal.SIG_DFL)
        # The signal may have come in the middle of a write to the same stream, and a full disk takes no note:
        # neither must break off what the note says is being finished.
        with suppress(OSError, RuntimeError):
            note("finishing what is under way; once more ends it at once, and a re-run is safe either way")

    before = {number: signal.signal(number, asked) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
