"""How the story reads in a terminal: numbered steps, what came of each, and how long it took."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager


class StoryBroken(Exception):
    """A step did not end as it must; the text says what was expected and what came instead."""


class Narrator:
    """Prints the steps to stdout; colours only for a terminal that wants them."""

    def __init__(self) -> None:
        self._step = 0
        self._colour = sys.stdout.isatty() and "NO_COLOR" not in os.environ

    @contextmanager
    def step(self, title: str) -> Iterator[None]:
        """One step: its title, then what is said within it, then the time it took."""
        self._step += 1
        print(f"\n{self._paint('1', f'{self._step}. {title}')}", flush=True)
        begun = time.monotonic()
        yield
        print(self._paint("2", f"   {time.monotonic() - begun:.1f} s"), flush=True)

    def say(self, text: str) -> None:
        """One line of what happened."""
        print(f"   {text}", flush=True)

    def good(self, text: str) -> None:
        """One line of what was proved."""
        print(f"   {self._paint('32', '✓')} {text}", flush=True)

    def _paint(self, code: str, text: str) -> str:
        return f"\033[{code}m{text}\033[0m" if self._colour else text


def expect(condition: bool, expected: str, found: object) -> None:
    """Raises StoryBroken unless the condition holds."""
    if not condition:
        raise StoryBroken(f"expected {expected}, found {found}")
