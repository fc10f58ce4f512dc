"""Where words go and what a run ends with: data on stdout, messages on stderr, one table of exit codes.

A reader that closes the pipe early changes neither what was done nor the exit code.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from io import TextIOWrapper
from typing import TextIO

from admin_sync.bundle.errors import BadTarget, BundleError, FreezeInForce, Overtaken, SourceInvalid, StaleSerial
from admin_sync.errors import AdminSyncError, Finding, InvalidInput
from admin_sync.keycloak.connection import KeycloakProblem, NotAllowed
from admin_sync.model import Json, printable

DONE, FAILED, CHANGES, BAD_INPUT, NOT_ALLOWED, REFUSED = 0, 1, 2, 3, 4, 5

_BUNDLE_CODES = {
    SourceInvalid: BAD_INPUT,
    BadTarget: BAD_INPUT,
    FreezeInForce: REFUSED,
    StaleSerial: REFUSED,
    Overtaken: REFUSED,
}

_clear = "\r\033[K"


class Console:
    """The two streams of one run."""

    def __init__(self, *, quiet: bool = False, colour: bool = True, as_json: bool = False) -> None:
        self.quiet = quiet
        self.as_json = as_json
        self.colour = colour and not as_json and _is_terminal(sys.stdout) and "NO_COLOR" not in os.environ
        self._progress = not quiet and _is_terminal(sys.stderr) and not os.environ.get("CI")
        self._shown = False

    def data(self, text: str) -> None:
        """What was asked for."""
        _write(sys.stdout, text)

    def json(self, value: Json) -> None:
        """The one JSON document of a run with --json."""
        self.data(json.dumps(value, indent=2, ensure_ascii=False) + "\n")

    def say(self, text: str) -> None:
        """A message to whoever watches."""
        self._end_progress()
        if not self.quiet:
            _write(sys.stderr, _lines(text))

    def complain(self, text: str) -> None:
        """Why it did not work; said even when quiet."""
        self._end_progress()
        _write(sys.stderr, _lines(text))

    def progress(self, text: str) -> None:
        """How far it is; only where somebody sees it come and go."""
        if self._progress:
            self._shown = True
            _write(sys.stderr, f"{_clear}{printable(text)}")

    def _end_progress(self) -> None:
        if self._shown:
            self._shown = False
            _write(sys.stderr, _clear)


def _lines(text: str) -> str:
    """A message that moves no cursor: it may hold what a server answered, or what somebody called an object."""
    return "".join(f"{printable(line)}\n" for line in text.split("\n"))


def speak_utf8() -> None:
    """Make both streams take every character, in the encoding that JSON has, whatever the locale says."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")


def _is_terminal(stream: TextIO | None) -> bool:
    # Python has no stream at all where the caller closed it.
    return stream is not None and stream.isatty()


def _write(stream: TextIO | None, text: str) -> None:
    if stream is None:
        return
    try:
        stream.write(text)
        stream.flush()
    except OSError as problem:
        # The interpreter flushes once more at exit and would complain, or end with a code of its own.
        null = os.open(os.devnull, os.O_WRONLY)
        try:
            os.dup2(null, 1 if stream is sys.stdout else 2)
        finally:
            os.close(null)
        if not isinstance(problem, BrokenPipeError):
            raise


def run(command: Callable[[], int], console: Console) -> int:
    """The exit code of a command; expected failures become lines on stderr and never a traceback."""
    try:
        return command()
    except InvalidInput as problem:
        # A full disk behind a stream takes no report, and the exit code is one.
        with suppress(OSError):
            for finding in problem.findings:
                console.complain(str(finding))
            if console.as_json:
                console.json({"valid": False, "findings": [_finding(one) for one in problem.findings]})
        return problem.exit_code
    except AdminSyncError as problem:
        code = problem.exit_code
        reason = str(problem)
    except KeycloakProblem as problem:
        code = NOT_ALLOWED if isinstance(problem, NotAllowed) else FAILED
        reason = str(problem)
    except BundleError as problem:
        code = _BUNDLE_CODES.get(type(problem), FAILED)
        reason = str(problem)
    except KeyboardInterrupt:
        code, reason = FAILED, "interrupted; a re-run is safe"
    except OSError as problem:
        code, reason = FAILED, f"{problem.filename or 'the system'}: {problem.strerror or type(problem).__name__}"
    with suppress(OSError):
        console.complain(f"admin-sync: {reason}")
        if console.as_json:
            console.json({"error": reason, "exit": code})
    return code


def _finding(one: Finding) -> Json:
    return {"file": one.file, "line": one.line, "column": one.column, "code": one.code, "message": one.message}
