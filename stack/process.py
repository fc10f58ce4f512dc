"""Processes of ours: how they start, how they are known again, and how all of them are ended.

A pid alone says nothing, since the kernel hands it out again. A process is known by its pid together
with the time it started, and one we lost sight of by the mark that every child of a stack carries in
its environment. Nothing is signalled without one of the two.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from stack.account import Account

MARK = "TRADEPULSE_STACK_MARK"
"""The environment variable that tells the children of one stack from those of another."""

PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True)
class Known:
    """One particular process: its pid and its start time in clock ticks since boot."""

    pid: int
    started: int

    @property
    def alive(self) -> bool:
        """Whether exactly this process still runs (a zombie does not)."""
        return started(self.pid) == self.started

    @property
    def age(self) -> float:
        """Seconds since it started."""
        uptime = float(Path("/proc/uptime").read_text().split()[0])
        return max(0.0, uptime - self.started / os.sysconf("SC_CLK_TCK"))


def started(pid: int) -> int | None:
    """When process `pid` started, in clock ticks since boot; None if it is gone or a zombie."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The second field is the program's name in parentheses and may itself contain spaces and parentheses.
    fields = text.rpartition(")")[2].split()
    return None if fields[0] in "ZX" else int(fields[19])


def known(pid: int) -> Known | None:
    """`pid` as the process that it is now; None if there is none."""
    since = started(pid)
    return None if since is None else Known(pid, since)


def spawn(
    command: Sequence[str],
    *,
    account: Account | None = None,
    environment: Mapping[str, str],
    cwd: Path,
    output: IO[bytes],
    death: signal.Signals = signal.SIGKILL,
) -> subprocess.Popen[bytes]:
    """Start a child in a session of its own that gets the signal `death` when we are gone, however we went.

    Must be called from the main thread: Linux ties the parent-death signal to the thread that forked.
    """
    arguments: dict[str, Any] = {}
    if account is not None:
        arguments = {"user": account.uid, "group": account.gid, "extra_groups": []}
    return subprocess.Popen(
        list(command),
        env=dict(environment),
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        preexec_fn=_dies_with_parent(os.getpid(), death),  # noqa: PLW1509  (our callers have one thread)
        **arguments,
    )


def _dies_with_parent(parent: int, death: signal.Signals) -> Callable[[], None]:
    def prepare() -> None:
        # Runs after the change of uid, which would clear this setting.
        _LIBC.prctl(PR_SET_PDEATHSIG, int(death), 0, 0, 0)
        if os.getppid() != parent:
            # The parent died between fork and prctl: nobody is left to send the signal.
            os._exit(1)

    return prepare


def marked(mark: str) -> list[Known]:
    """Every process that carries `mark` in the environment it was started with, but for ourselves."""
    wanted = f"{MARK}={mark}".encode()
    found = []
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit() or int(folder.name) == os.getpid():
            continue
        try:
            environment = (folder / "environ").read_bytes()
        except OSError:
            continue
        if wanted in environment.split(b"\0") and (process := known(int(folder.name))):
            found.append(process)
    return found


def end(processes: Iterable[Known], *, first: signal.Signals = signal.SIGTERM, seconds: float = 10.0) -> list[Known]:
    """Signal these processes, wait, and kill what is left. Returns those that had to be killed."""
    left = [process for process in processes if _send(process, first)]
    if gone(left, seconds=seconds):
        return []
    stubborn = [process for process in left if _send(process, signal.SIGKILL)]
    gone(stubborn, seconds=5.0)
    return stubborn


def gone(processes: Iterable[Known], *, seconds: float) -> bool:
    """Whether all of these have ended within `seconds`."""
    until = time.monotonic() + seconds
    left = [process for process in processes if process.alive]
    while left and time.monotonic() < until:
        time.sleep(0.05)
        left = [process for process in left if process.alive]
    return not left


def _send(process: Known, number: signal.Signals) -> bool:
    """Signal exactly this process: a file descriptor on it cannot come to mean another one. False if it is gone."""
    try:
        handle = os.pidfd_open(process.pid)
    except ProcessLookupError:
        return False
    try:
        if not process.alive:
            return False
        signal.pidfd_send_signal(handle, number)
    except ProcessLookupError:
        return False
    finally:
        os.close(handle)
    return True
