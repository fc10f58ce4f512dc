"""`python -m stack.images [NAME…]`: build the images whose names contain one of NAME, or all.

DOCKER      the client, `docker` unless set
KEEP_BASE   set: take the Debian image that the engine has already
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from stack import install
from stack.images import base, gather
from stack.images.recipes import BASE, RECIPES
from stack.layout import Layout
from stack.steps import Commands, StepFailed, say


def main(wanted: Sequence[str]) -> int:
    """Exit 0 when every image is built, 1 with the end of the log of what failed."""
    layout = Layout.here()
    names = [name for name in RECIPES if not wanted or any(part in name for part in wanted)]
    if not names:
        say(f"no image is called like {', '.join(wanted)}; there are {', '.join(RECIPES)}")
        return 3
    docker = shlex.split(os.environ.get("DOCKER", "docker"))
    try:
        _build(layout, docker, names)
    except StepFailed as problem:
        say(f"make images: {problem}")
        return 1
    return 0


def _build(layout: Layout, docker: Sequence[str], names: Sequence[str]) -> None:
    if shutil.which(docker[0]) is None:
        raise StepFailed("no container engine: install one (Debian: docker.io), or name its client in DOCKER")
    layout.make()
    commands = Commands()
    place = layout.tools / "images"
    install.python_environment(layout, commands)
    install.opa_binary(layout, commands)
    if not (os.environ.get("KEEP_BASE") or _has(docker, BASE)):
        _timed(BASE, partial(base.build, docker, place, commands, layout.logs))
    contexts = {}
    for name in names:
        recipe = RECIPES[name]
        if recipe.context not in contexts:
            contexts[recipe.context] = gather.context(recipe.context, layout, commands)
        words: list[str | Path] = [*docker, "build", "--tag", name, "--file", layout.checkout / recipe.dockerfile]
        words += ["--target", recipe.stage] if recipe.stage else []
        words.append(contexts[recipe.context])
        log = layout.logs / f"image-{name.replace('/', '-').replace(':', '-')}.log"
        # The classic builder is in every engine; the newer one is a plugin that may be missing.
        _timed(name, partial(commands.run, words, log=log, environment={"DOCKER_BUILDKIT": "0"}))


def _has(docker: Sequence[str], name: str) -> bool:
    asked = subprocess.run([*docker, "image", "inspect", name], capture_output=True, check=False)
    return asked.returncode == 0


def _timed(name: str, work: Callable[[], object]) -> None:
    started = time.monotonic()
    say(f"          building {name}")
    work()
    say(f"{time.monotonic() - started:7.1f} s  {name}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
