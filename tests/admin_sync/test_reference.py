"""The command line is written down, and shells complete it: both from the program itself, both proved on it."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from admin_sync.cli import app
from admin_sync.completion import SHELLS, script
from admin_sync.interface import Command, commands
from admin_sync.reference import EXITS, VARIABLES, generated, main, page

CHECKOUT = Path(__file__).resolve().parents[2]
COMMANDS = commands(app)


def help_of(command: Command) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "admin_sync", *command.path, "--help"],
        capture_output=True, text=True, check=True, cwd=CHECKOUT, env={"COLUMNS": "200", "PATH": "", "NO_COLOR": "1"},
    )  # fmt: skip
    return done.stdout


def test_what_is_generated_is_current(capsys: pytest.CaptureFixture[str]) -> None:
    """`make docs` writes it anew."""
    assert main(["--check"]) == 0, capsys.readouterr().err
    assert (CHECKOUT / "docs/reference/admin-sync.md").read_text() == page()
    assert {path.suffix for path in generated()} == {".md", ".json"}


@pytest.mark.parametrize("path", [(), ("plan",), ("bundle", "freeze"), ("audit", "verify")], ids=" ".join)
def test_the_reference_says_what_help_says(path: tuple[str, ...]) -> None:
    command = next(one for one in COMMANDS if one.path == path)
    shown = help_of(command)
    assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", shown)) - {"--help"} == {
        name for one in command.options for name in one.names
    }
    for name in (*command.subcommands, *(one.names[0] for one in command.parameters)):
        assert name in shown
        assert name in page()


def test_every_variable_that_is_read_is_written_down_and_no_other() -> None:
    sources = [path for path in (CHECKOUT / "admin_sync").rglob("*.py") if path.name != "reference.py"]
    named = r'"((?:ADMIN_SYNC|TRADEPULSE)_[A-Z0-9_]+|NO_COLOR|CI)"'
    read = {name for path in sources for name in re.findall(named, path.read_text())}
    assert read == set(VARIABLES)


def test_every_exit_code_is_written_down() -> None:
    assert set(EXITS) == set(range(7))


def complete(*words: str) -> list[str]:
    """What bash offers for the last word, asked the way bash asks."""
    line = " ".join(f"'{word}'" for word in words)
    text = f"""
source /dev/stdin <<'SCRIPT'
{script("bash", COMMANDS)}
SCRIPT
COMP_WORDS=({line}); COMP_CWORD={len(words) - 1}
$(complete -p admin-sync | sed 's/.*-F \\([^ ]*\\) .*/\\1/')
printf '%s\\n' "${{COMPREPLY[@]}}"
"""
    done = subprocess.run(["bash", "--norc", "-c", text], capture_output=True, text=True, check=True, cwd=CHECKOUT)
    assert done.stderr == ""
    return done.stdout.split()


def test_bash_completes_commands_groups_options_and_values() -> None:
    top = next(one for one in COMMANDS if one.path == ())
    assert set(top.subcommands) <= set(complete("admin-sync", ""))
    assert complete("admin-sync", "bundle", "fr") == ["freeze"]
    assert "--detailed-exitcode" in complete("admin-sync", "plan", "--de")
    assert complete("admin-sync", "plan", "--format", "") == ["text", "json", "markdown", "github"]
    assert complete("admin-sync", "completion", "z") == ["zsh"]
    assert "configs" in complete("admin-sync", "plan", "--config", "con")
    assert complete("admin-sync", "audit", "verify", "READM") == ["README.md"]
    assert complete("admin-sync", "bundle", "publish", "--freeze") == []


def test_the_command_prints_the_script() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "admin_sync", "completion", "bash"],
        capture_output=True,
        text=True,
        check=True,
        cwd=CHECKOUT,
    )
    assert done.stdout == script("bash", COMMANDS)


@pytest.mark.parametrize("shell", SHELLS)
def test_every_command_and_option_is_in_every_script(shell: str) -> None:
    text = script(shell, COMMANDS)
    for command in COMMANDS:
        for word in (*command.path, *(name.lstrip("-") for one in command.options for name in one.names)):
            assert word in text
    # Where the shell is there, it also says that the script is one.
    program = shutil.which(shell)
    if program is not None:
        subprocess.run([program, "-n", "/dev/stdin"], input=text, text=True, check=True)
