"""A small stack, PostgreSQL and OPA only, to do harm to."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from stack import control, process
from stack.layout import CHECKOUT, STATE_VARIABLE, Layout
from stack.process import Known


@dataclass(frozen=True)
class Light:
    """A stack of two services in a state directory of its own."""

    layout: Layout
    environment: dict[str, str] = field(default_factory=dict)

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """`python -m stack …` for this stack."""
        return subprocess.run(
            [sys.executable, "-m", "stack", *words],
            cwd=CHECKOUT,
            env={**os.environ, **self.environment, STATE_VARIABLE: str(self.layout.state)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )

    def up(self) -> None:
        """Bring it up; fails the test with what was printed if that fails."""
        done = self.run("up", "--short-lived", "--only", "postgres", "opa", f"--owner={os.getpid()}")
        assert done.returncode == 0, done.stdout + done.stderr

    @property
    def state(self) -> dict[str, Any]:
        """What the supervisor says."""
        return control.state(self.layout)

    @property
    def pids(self) -> dict[str, int]:
        """Service -> pid."""
        return dict(self.state["pids"])

    @property
    def supervisor(self) -> Known:
        """The living supervisor."""
        found = control.supervisor(self.layout)
        assert found is not None
        return found

    def processes(self) -> list[Known]:
        """Every process that belongs to this stack, its supervisor included."""
        supervisor = control.supervisor(self.layout)
        return [*process.marked(control.mark(self.layout)), *([supervisor] if supervisor else [])]


@pytest.fixture
def light(tmp_path: Path) -> Iterator[Light]:
    """A light stack, not started. pytest's directories are closed to others, as many a home directory is."""
    one = Light(Layout(tmp_path / "state"))
    yield one
    one.run("reset")
