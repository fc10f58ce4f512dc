"""Steps run in order of need, side by side, and the first failure is the one that is told."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from stack.steps import UNCHANGED, Commands, Step, StepFailed, run


def test_a_step_waits_for_what_it_needs_and_for_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    order: list[str] = []
    together = threading.Barrier(2)

    def meet(name: str) -> None:
        together.wait(5)  # passes only if both run at the same time
        order.append(name)

    run(
        {
            "last": Step("last", lambda: order.append("last"), ("one", "two")),
            "one": Step("one", lambda: meet("one")),
            "two": Step("two", lambda: meet("two")),
        },
        Commands(),
    )
    assert set(order[:2]) == {"one", "two"}
    assert order[2] == "last"
    assert len(capsys.readouterr().out.splitlines()) == 3


def test_a_failure_ends_the_commands_of_the_other_steps(tmp_path: Path) -> None:
    commands = Commands()

    def fail() -> None:
        time.sleep(0.3)
        raise StepFailed("no disk left: free some")

    began = time.monotonic()
    with pytest.raises(StepFailed, match="no disk left"):
        run(
            {
                "slow": Step("slow", lambda: commands.run(["sleep", "60"], log=tmp_path / "log") and None),
                "bad": Step("bad", fail),
                "after": Step("after", lambda: pytest.fail("must not run"), ("bad",)),
            },
            commands,
        )
    assert time.monotonic() - began < 10


def test_a_failing_command_is_told_with_the_end_of_its_log(tmp_path: Path) -> None:
    with pytest.raises(StepFailed, match=r"(?s)sh ended with 7.*log:\nthe reason"):
        Commands().run(["sh", "-c", "echo the reason; exit 7"], log=tmp_path / "log")


def test_terse_says_nothing_of_steps_without_work(capsys: pytest.CaptureFixture[str]) -> None:
    run({"a": Step("a", lambda: UNCHANGED), "b": Step("b", lambda: None)}, Commands(), terse=True)
    assert [line.split()[2] for line in capsys.readouterr().out.splitlines()] == ["b"]


def test_steps_that_wait_for_each_other_are_an_error() -> None:
    with pytest.raises(StepFailed, match="a, b"):
        run({"a": Step("a", lambda: None, ("b",)), "b": Step("b", lambda: None, ("a",))}, Commands())
