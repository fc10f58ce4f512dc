"""The checkout's own Python environment and OPA: installed once, again only when their inputs change."""

from __future__ import annotations

import sys
from pathlib import Path

from stack import opa
from stack.files import digest, locked, read_json, write_json
from stack.layout import Layout
from stack.steps import UNCHANGED, Commands, StepFailed


def python_environment(layout: Layout, commands: Commands) -> str | None:
    """Have `.venv` with exactly what requirements/dev.txt pins by hash, and this project's commands in it."""
    if layout.venv.is_symlink():
        raise StepFailed(
            f"{layout.venv} is a link to {layout.venv.resolve()}, which belongs to somebody else and would be "
            "emptied; remove the link"
        )
    wanted = layout.checkout / "requirements" / "dev.txt"
    stamp = layout.venv / "installed.json"
    inputs = {
        "requirements": digest([wanted]),
        "project": digest([layout.checkout / "pyproject.toml"]),
        # An environment that was moved or copied points to programs that are elsewhere.
        "place": str(layout.venv),
        "python": sys.version,
    }
    with locked(layout.tools / "venv.lock"):
        before = read_json(stamp)
        if before == inputs and layout.python.exists():
            return UNCHANGED
        log = layout.logs / "venv.log"
        if any(before.get(key) != inputs[key] for key in ("place", "python")) or not layout.python.exists():
            commands.run([sys.executable, "-m", "venv", "--clear", layout.venv], log=log)
        pip: list[str | Path] = [
            layout.python,
            "-m",
            "pip",
            "--disable-pip-version-check",
            "--no-input",
            "install",
            "--no-deps",
        ]
        if before.get("requirements") != inputs["requirements"]:
            # Modules are compiled when they are first imported; most never are.
            commands.run([*pip, "--no-compile", "--require-hashes", "-r", wanted], log=log)
        # Built with the pinned setuptools of this environment and not with whatever is newest today.
        commands.run([*pip, "--no-build-isolation", "--editable", layout.checkout], log=layout.logs / "editable.log")
        write_json(stamp, inputs)
    return None


def opa_binary(layout: Layout, commands: Commands) -> str | None:
    """Have an OPA: on PATH, built before, or built now with Go."""
    with locked(layout.tools / "opa.lock"):
        found = opa.find(layout.tools)
        if found is not None:
            return UNCHANGED if found.is_relative_to(layout.tools) else str(found)
        opa.build(layout.tools, commands, layout.logs / "opa-build.log")
    return None
