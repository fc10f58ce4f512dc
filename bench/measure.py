"""What a command or a server cost: wall time, CPU and memory of whole process trees, requests in a log.

CPU seconds are what a busy machine distorts least, which is why every figure has them beside it.
"""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")
_LOOK_EVERY = 0.05


@dataclass(frozen=True, slots=True)
class Cost:
    """What one command came to.

    wall, cpu: seconds; cpu is that of the whole tree, children that ended included
    peak:      bytes resident in all processes of the tree together, at the worst moment looked at
    """

    code: int
    wall: float
    cpu: float
    peak: int
    output: str


def run(
    command: Sequence[str | Path],
    *,
    environment: Mapping[str, str],
    cwd: Path,
    log: Path,
    timeout: float = 3600.0,
) -> Cost:
    """Runs a command to its end and says what it cost; its output is in `log` as well.

    A command that takes longer than `timeout` seconds is killed and has exit code -9.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        begun = time.perf_counter()
        child = subprocess.Popen(  # noqa: S603
            [str(word) for word in command],
            env=dict(environment),
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        watch = _Watch(child.pid)
        killer = threading.Timer(timeout, _kill_session, (child.pid,))
        killer.start()
        try:
            _, status, usage = os.wait4(child.pid, 0)
        except BaseException:
            # Interrupted: what was being measured does not run on by itself.
            _kill_session(child.pid)
            child.wait()
            raise
        finally:
            killer.cancel()
        wall = time.perf_counter() - begun
        child.returncode = os.waitstatus_to_exitcode(status)
    watch.stop()
    # Children that their parent did not wait for are missing in rusage; those were seen by looking.
    cpu = max(usage.ru_utime + usage.ru_stime, watch.cpu)
    peak = max(watch.peak, usage.ru_maxrss * 1024)
    return Cost(child.returncode, wall, cpu, peak, log.read_text("utf-8", "replace"))


class _Watch:
    """Looks at a process tree every few milliseconds."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._ended = threading.Event()
        self._cpu: dict[int, float] = {}
        self.peak = 0
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    @property
    def cpu(self) -> float:
        """Seconds that the processes which were seen had used when they were last seen."""
        return sum(self._cpu.values())

    def stop(self) -> None:
        self._ended.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._ended.wait(_LOOK_EVERY):
            resident = 0
            for pid in tree(self._pid):
                with suppress(OSError, ValueError, IndexError):
                    self._cpu[pid] = _own_cpu(pid)
                    resident += int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE
            self.peak = max(self.peak, resident)


def _kill_session(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(pid, 9)


def tree(root: int) -> list[int]:
    """A process and all its descendants, as far as they are there now."""
    found, pending = [], [root]
    while pending:
        pid = pending.pop()
        found.append(pid)
        with suppress(OSError):
            for task in Path(f"/proc/{pid}/task").iterdir():
                with suppress(OSError):
                    pending.extend(int(child) for child in (task / "children").read_text().split())
    return found


def cpu_seconds(*roots: int) -> float:
    """CPU seconds of these process trees so far, with what ended processes left to their parents."""
    total = 0.0
    for root in roots:
        for pid in tree(root):
            with suppress(OSError):
                fields = _stat(pid)
                total += sum(int(fields[number]) for number in (11, 12, 13, 14)) / _TICKS
    return total


def resident_bytes(*roots: int) -> int:
    """Proportional resident memory of these process trees now: what is shared is counted once."""
    total = 0
    for root in roots:
        for pid in tree(root):
            with suppress(OSError):
                for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                    if line.startswith("Pss:"):
                        total += int(line.split()[1]) * 1024
    return total


def machine_busy() -> float:
    """CPU seconds that this machine has been busy with anything at all since it started."""
    fields = [int(field) for field in Path("/proc/stat").read_text().splitlines()[0].split()[1:]]
    idle = fields[3] + fields[4]
    return (sum(fields) - idle) / _TICKS


def _own_cpu(pid: int) -> float:
    fields = _stat(pid)
    return (int(fields[11]) + int(fields[12])) / _TICKS


def _stat(pid: int) -> list[str]:
    # The second field, the program's name, may itself hold spaces and parentheses.
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


class AccessLog:
    """Counts the requests that a server wrote into its log.

    marker: what every such line holds and no other line does
    """

    def __init__(self, path: Path, marker: str) -> None:
        self._path = path
        self._marker = marker.encode()

    @contextmanager
    def counting(self, settle: float = 0.3) -> Iterator[list[int]]:
        """The number of requests within the block, as the only item of the list once it is left.

        settle: seconds to wait for lines that the server has not written yet.
        """
        counted = [0]
        begin = self._path.stat().st_size
        yield counted
        time.sleep(settle)
        with self._path.open("rb") as lines:
            lines.seek(begin)
            counted[0] = sum(self._marker in line for line in lines)
