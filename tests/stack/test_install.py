"""What installing must leave alone."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from stack.install import python_environment
from stack.layout import Layout
from stack.steps import Commands, StepFailed


def test_an_environment_that_is_a_link_to_another_is_not_emptied(tmp_path: Path) -> None:
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    (theirs / "pyvenv.cfg").write_text("home = /usr/bin\n")
    checkout = tmp_path / "checkout"
    checkout.mkdir()
    (checkout / ".venv").symlink_to(theirs)
    layout = dataclasses.replace(Layout(checkout / ".stack"), checkout=checkout)
    with pytest.raises(StepFailed, match="is a link to"):
        python_environment(layout, Commands())
    assert (theirs / "pyvenv.cfg").exists()
