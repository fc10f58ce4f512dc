"""A machine that lacks something is told so once, in one line per thing."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from stack import prerequisites, proxy
from stack.layout import CHECKOUT, STATE_VARIABLE


@pytest.fixture
def bare_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A PATH with nothing on it."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setattr(proxy, "PLACES", ())
    return tmp_path


def program(folder: Path, name: str, body: str) -> None:
    (folder / name).write_text(f"#!/bin/sh\n{body}\n")
    (folder / name).chmod(0o755)


def test_everything_missing_is_named_in_one_run(bare_path: Path) -> None:
    lines = prerequisites.missing(bare_path)
    assert [line.split(":")[0] for line in lines] == [
        "no java",
        "no mvn",
        "no opa of version 1.21.3 or newer, and no go 1.19 or newer to build it",
        "no nginx",
    ]
    assert all("install" in line and "\n" not in line for line in lines)


def test_an_old_java_is_named_with_its_version(bare_path: Path) -> None:
    program(bare_path, "java", "echo 'openjdk version \"11.0.2\"' >&2")
    assert [line for line in prerequisites.missing(bare_path) if "Java 11" in line and "17" in line]


def test_a_java_without_a_compiler_is_not_enough(bare_path: Path) -> None:
    program(bare_path, "java", "echo 'openjdk version \"21.0.1\"' >&2")
    assert [line for line in prerequisites.missing(bare_path) if "JDK" in line]


def test_an_opa_with_the_signature_bypass_does_not_count(bare_path: Path) -> None:
    program(bare_path, "opa", "echo 'Version: 1.21.2'")
    assert [line for line in prerequisites.missing(bare_path) if "no opa" in line]
    program(bare_path, "opa", "echo 'Version: 1.21.3'")
    assert not [line for line in prerequisites.missing(bare_path) if "no opa" in line]


def test_a_go_that_cannot_build_opa_does_not_count(bare_path: Path) -> None:
    program(bare_path, "go", "echo 'go version go1.18.10 linux/amd64'")
    assert [line for line in prerequisites.missing(bare_path) if "no opa" in line]
    program(bare_path, "go", "echo 'go version go1.19.8 linux/amd64'")
    assert not [line for line in prerequisites.missing(bare_path) if "no opa" in line]


def test_make_up_stops_before_it_starts_anything(tmp_path: Path) -> None:
    environment = {**os.environ, "PATH": str(tmp_path), STATE_VARIABLE: str(tmp_path / "state")}
    environment.pop("JAVA_HOME", None)
    done = subprocess.run(
        [sys.executable, "-m", "stack", "up"],
        cwd=CHECKOUT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert [line.split(":")[0] for line in done.stderr.strip().splitlines()[:2]] == ["no java", "no mvn"]
    assert not (tmp_path / "state").exists()
