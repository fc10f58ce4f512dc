"""What the runbooks say to type is typed here, on a running stack, from the top of each page to its end."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from offboarding_world import Offboarding, account

if TYPE_CHECKING:
    from tests.conftest import Stack

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGES = ("offboarding.md", "security/zero_trust_runbook.md", "incident_playbooks.md")
FENCE = re.compile(r"^```([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(page: str) -> list[tuple[str, str]]:
    """The fenced blocks of a page: what their fence says, and what is in them."""
    return FENCE.findall((DOCS / page).read_text())


@pytest.mark.parametrize("page", PAGES)
def test_every_block_of_a_runbook_is_one_that_is_run(page: str) -> None:
    assert {fence for fence, _ in blocks(page)} == {"sh runbook"}


@pytest.fixture(scope="module")
def typed(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, subprocess.Popen[str]]]:
    """All pages at once, each with a repository, a bundle and people of its own: mostly they wait for servers."""
    running = {page: start(stack, page, tmp_path_factory.mktemp("runbook")) for page in PAGES}
    yield running
    for process in running.values():
        process.kill()
        process.communicate()


def start(stack: Stack, page: str, folder: Path) -> subprocess.Popen[str]:
    world = Offboarding(stack, folder)
    script = ["set -eu"]
    for number, (_, text) in enumerate(blocks(page), 1):
        script.append(f"echo '== block {number}' >&2\n{text}")
    tools = folder / "bin"
    tools.mkdir()
    (tools / "admin-sync").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m admin_sync "$@"\n')
    (tools / "admin-sync").chmod(0o755)
    return subprocess.Popen(
        ["bash", "-c", "\n".join(script)],
        cwd=DOCS.parent,
        env={
            **world.env,
            "PATH": f"{tools}:{os.environ['PATH']}",
            "HOME": str(folder),
            "PERSON": account(stack, "person"),
            "OTHER": account(stack, "other"),
            "OPERATOR": "security.one@tradepulse.example",
            "REPORT": str(folder / "report.md"),
        },
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@pytest.mark.parametrize("page", PAGES)
def test_a_runbook_does_what_it_says(page: str, typed: dict[str, subprocess.Popen[str]]) -> None:
    said, _ = typed[page].communicate(timeout=400)
    assert typed[page].returncode == 0, said[-4000:]
    assert said.count("== block") == len(blocks(page))
