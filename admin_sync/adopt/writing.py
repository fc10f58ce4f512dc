"""Sections as YAML that the strict loader takes, and a directory that is there as a whole or not at all."""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from admin_sync.errors import Misconfigured
from admin_sync.model import Json, Ref

Path_ = tuple[str | int, ...]

_PLAIN: Final = re.compile(r"[a-z][a-z_.-]{3,60}")
_WORDS: Final = frozenset({"true", "false", "null"})


class Lines:
    """A YAML file in the making, with the object that each line is about."""

    def __init__(self, data: Mapping[str, Json], about: Mapping[Path_, Ref], comment: str) -> None:
        self._lines = [f"# {line}" for line in comment.splitlines()]
        self._owners: list[tuple[int, Ref]] = []
        self._about = about
        self._mapping(data, (), 0)
        self.text = "\n".join(self._lines) + "\n"

    def owner(self, line: int) -> Ref | None:
        """The object that a line (from one) is about: the last one that began before it or on it."""
        return next((ref for start, ref in reversed(self._owners) if start <= line), None)

    def _note(self, path: Path_) -> None:
        if path in self._about:
            self._owners.append((len(self._lines) + 1, self._about[path]))

    def _mapping(self, data: Mapping[str, Json], path: Path_, depth: int) -> None:
        for key, value in data.items():
            here = (*path, key)
            self._note(here)
            if isinstance(value, Mapping) and value:
                self._lines.append(f"{'  ' * depth}{scalar(key)}:")
                self._mapping(value, here, depth + 1)
            elif isinstance(value, list) and value and isinstance(value[0], Mapping):
                self._lines.append(f"{'  ' * depth}{scalar(key)}:")
                for number, one in enumerate(value):
                    self._note((*here, number))
                    self._lines.append(f"{'  ' * (depth + 1)}- {flow(one)}")
            else:
                self._lines.append(f"{'  ' * depth}{scalar(key)}: {flow(value)}")


def scalar(value: Json) -> str:
    """A scalar that every YAML reader takes for what it is."""
    if isinstance(value, str):
        if _PLAIN.fullmatch(value) and value not in _WORDS:
            return value
        return json.dumps(value, ensure_ascii=False)
    return json.dumps(value)


def flow(value: Json) -> str:
    """A value on one line."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{scalar(key)}: {flow(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(flow, value)) + "]"
    return scalar(value)


def put_in_place(files: Mapping[str, str], directory: Path, *, force: bool) -> None:
    """Make `directory` hold the files, all of them or none. Raises Misconfigured where it holds some already.

    With `force` the five files are replaced and everything else that stands there is kept.
    """
    standing = sorted(_inside(directory))
    taken = [name for name in standing if name in files]
    if taken and not force:
        raise Misconfigured(f"{directory} already has {', '.join(taken)}; give --force to replace, or another --config")
    if directory.is_symlink():
        raise Misconfigured(f"{directory} is a link; name the directory itself")
    directory.parent.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(prefix=f".{directory.name}.new-", dir=directory.parent))
    try:
        if directory.exists():
            shutil.copytree(directory, fresh, dirs_exist_ok=True, symlinks=True)
        for name, text in files.items():
            write(fresh / name, text)
        fresh.chmod(0o755)
        _switch(fresh, directory)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def write(path: Path, text: str) -> None:
    """A file that is on the disk when this returns."""
    with path.open("w", encoding="utf-8") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())


def _inside(directory: Path) -> Iterator[str]:
    if directory.exists():
        yield from (entry.name for entry in directory.iterdir())


def _switch(fresh: Path, directory: Path) -> None:
    if not any(_inside(directory)):
        # Onto nothing, or onto an empty directory, a rename is one step.
        fresh.replace(directory)
        return
    old = Path(tempfile.mkdtemp(prefix=f".{directory.name}.old-", dir=directory.parent))
    directory.replace(old)
    try:
        fresh.replace(directory)
    except OSError:
        old.replace(directory)
        raise
    shutil.rmtree(old)
