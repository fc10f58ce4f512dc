"""The state directory is a stack's own before anything is written into it or deleted with it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from stack.files import locked
from stack.layout import CHECKOUT, STATE_VARIABLE, Layout, StateUnusable


def stack(command: str, state: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "stack", command],
        cwd=CHECKOUT,
        env={**os.environ, STATE_VARIABLE: str(state)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("value", ["", ".stack", "docs/../.stack", str(CHECKOUT / ".stack")])
def test_an_empty_variable_and_every_spelling_of_the_default_name_the_default(
    value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(STATE_VARIABLE, value)
    assert Layout.here() == Layout(CHECKOUT / ".stack")
    assert Layout.here().is_default


@pytest.mark.parametrize("place", [CHECKOUT, CHECKOUT.parent, Path("/")])
def test_a_directory_that_holds_the_checkout_is_refused(place: Path) -> None:
    with pytest.raises(StateUnusable, match="holds the checkout"):
        Layout(place).check()


@pytest.mark.parametrize("command", ["reset", "down", "up"])
def test_a_directory_of_somebody_else_is_left_as_it_is(tmp_path: Path, command: str) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "thesis.txt").write_text("years of work")
    done = stack(command, tmp_path)
    assert done.returncode == 1
    assert STATE_VARIABLE in done.stderr
    assert "Traceback" not in done.stderr
    assert [path.name for path in tmp_path.rglob("*")] == ["run", "thesis.txt"]


def test_a_stack_of_a_name_with_spaces_can_be_deleted(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "my state")
    layout.make()
    layout.check()
    assert stack("reset", layout.state).returncode == 0
    assert not layout.state.exists()


def test_a_stack_that_is_coming_up_is_not_deleted_under_it(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "state")
    layout.make()
    with locked(layout.run / "up.lock", wait=False):
        done = stack("reset", layout.state)
    assert done.returncode == 1
    assert "is running" in done.stderr
    assert layout.secrets.is_dir()
