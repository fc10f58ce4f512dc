"""The work tree comes after the head.

A commit takes effect when the branch names it; the files in the work tree, which other programs read, are
brought after it. A note of what is to be followed is durable before the branch moves, so that whoever is
killed in between is completed by the next change. Without the note, the old file would look like an
operator's edit that takes the new grant back.

An operator's own uncommitted edit is kept: it is merged with ours as `git merge` would, and where the two
meet in one line the change is refused before anything is committed.
"""

from __future__ import annotations

import json
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from admin_sync.errors import Refused
from admin_sync.repository.git import Git, GitFailed
from admin_sync.repository.objects import contents, is_ancestor
from identity.durable import replace_file, sync_directory

_STALE: Final = 60.0
"""Seconds after which the index's lock of a Git process that was killed is taken away; ours last milliseconds."""


@dataclass(frozen=True, slots=True)
class Step:
    """One file of the work tree that has to become another."""

    old: str
    new: str


class WorkTree:
    """The files of a repository's work tree. Used by whoever holds the repository's lock."""

    def __init__(self, git: Git, top: Path, git_dir: Path) -> None:
        self._git = git
        self._top = top
        self._git_dir = git_dir
        self._note = git_dir / "tradepulse-follow.json"

    def complete(self, head: str) -> None:
        """Finish what a killed process began, as far as the branch had moved."""
        try:
            told = json.loads(self._note.read_bytes())
            old, new = str(told["old"]), str(told["new"])
        except FileNotFoundError:
            return
        except (OSError, ValueError, KeyError, TypeError):
            # A note that is not whole was never followed by a move.
            self._forget()
            return
        if is_ancestor(self._git, new, head):
            self.follow(old, head)
        self._forget()

    def prepare(self, old: str, new: str) -> None:
        """Say what is about to be followed. Raises Refused where an uncommitted edit stands in the way."""
        for path, step in self._steps(old, new).items():
            if self._staged(path) not in (step.old, step.new):
                raise Refused(f"{self._top / path} is staged for a commit; commit it or unstage it, then try again")
            self._merged(path, step)
        replace_file(self._note, json.dumps({"old": old, "new": new}).encode())
        sync_directory(self._git_dir)

    def abandon(self) -> None:
        """The branch did not move after all."""
        self._forget()

    def follow(self, old: str, new: str) -> None:
        """Bring the work tree from one commit to another."""
        for path, step in self._steps(old, new).items():
            merged = self._merged(path, step)
            target = self._top / path
            if merged is None:
                target.unlink(missing_ok=True)
            elif merged != self._present(path):
                target.parent.mkdir(parents=True, exist_ok=True)
                replace_file(target, merged, mode=0o644)
        self._index(new, self._steps(old, new))
        self._forget()

    def _steps(self, old: str, new: str) -> dict[str, Step]:
        printed = self._git.run("diff-tree", "-r", "-z", "--no-renames", old, new).decode("utf-8", "surrogateescape")
        words = printed.split("\0")
        steps = {}
        for facts, path in zip(words[::2], words[1::2], strict=False):
            if facts.startswith(":"):
                _, _, before, after, _ = facts.split(" ")
                steps[path] = Step(before, after)
        return steps

    def _merged(self, path: str, step: Step) -> bytes | None:
        """What a file has to hold: the new content with whatever somebody edited; None where it has to go."""
        present = self._present(path)
        held = contents(self._git, [blob for blob in (step.old, step.new) if set(blob) != {"0"}])
        old, new = held.get(step.old), held.get(step.new)
        if present in (old, new):
            return new
        if old is None or new is None or present is None:
            raise Refused(f"{self._top / path} has been made or deleted without a commit; commit that first")
        with tempfile.TemporaryDirectory(prefix="tradepulse-merge-") as place:
            for name, content in (("mine", present), ("base", old), ("theirs", new)):
                (Path(place) / name).write_bytes(content)
            names = [str(Path(place) / name) for name in ("mine", "base", "theirs")]
            done = self._git.done("merge-file", "-p", *names, fine=tuple(range(256)))
        if done.returncode != 0:
            raise Refused(
                f"{self._top / path} has uncommitted edits on the lines that this change is about; commit them first"
            )
        return done.stdout

    def _present(self, path: str) -> bytes | None:
        try:
            return (self._top / path).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None

    def _staged(self, path: str) -> str:
        words = self._git.run("ls-files", "--stage", "-z", "--", path).decode("utf-8", "surrogateescape").split()
        return words[1] if len(words) > 1 else "0" * 40

    def _index(self, commit: str, steps: dict[str, Step]) -> None:
        """Let the index know of the new blobs, so that `git status` shows an operator only what they did."""
        lock = self._git_dir / "index.lock"
        with suppress(FileNotFoundError):
            if time.time() - lock.stat().st_mtime > _STALE:
                lock.unlink()
        lines = []
        for path, step in steps.items():
            if set(step.new) == {"0"}:
                lines.append(f"0 {'0' * 40}\t{path}\0")
            else:
                mode = self._git.text("ls-tree", commit, "--", path).split(" ", 1)[0]
                lines.append(f"{mode} {step.new}\t{path}\0")
        given = "".join(lines).encode("utf-8", "surrogateescape")
        for pause in (0.05, 0.2, 1.0, None):
            try:
                self._git.run("update-index", "-z", "--index-info", given=given)
                break
            except GitFailed:
                # An operator's own command holds the index for an instant.
                if pause is None:
                    raise
                time.sleep(pause)
        self._git.done("update-index", "-q", "--refresh", fine=(0, 1))

    def _forget(self) -> None:
        self._note.unlink(missing_ok=True)
