"""Blobs, trees, commits and references, through plumbing that touches neither the work tree nor the index."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from admin_sync.errors import Refused
from admin_sync.load.document import BINDINGS
from admin_sync.repository.git import Git, GitFailed

_REGULAR = ("100644", "100755")
_FOLDERS = ("configs/iam", "")


@dataclass(frozen=True, slots=True)
class Entry:
    """One file of a commit."""

    mode: str
    blob: str


def branch(git: Git) -> str:
    """The full name of the branch that is checked out. Raises Refused where there is none."""
    done = git.done("symbolic-ref", "--quiet", "HEAD", fine=(0, 1))
    name = done.stdout.decode().strip()
    if not name:
        raise Refused(f"{git.place}: no branch is checked out, so a commit would belong to none; check one out")
    return name


def head(git: Git) -> str:
    """The commit of the branch that is checked out. Raises Refused where there is none yet."""
    done = git.done("rev-parse", "--verify", "--quiet", "HEAD^{commit}", fine=(0, 1, 128))
    name = done.stdout.decode().strip()
    if not name:
        raise Refused(f"{git.place}: there is no commit yet; commit the configuration first")
    return name


def folder(git: Git, commit: str) -> str:
    """Where the configuration lies in a commit: configs/iam, or the root (an empty name). Raises Refused."""
    for name in _FOLDERS:
        if BINDINGS in entries(git, commit, name):
            return name
    raise Refused(f"{git.place}: neither configs/iam nor the root of commit {commit[:12]} has {BINDINGS}")


def entries(git: Git, commit: str, directory: str) -> dict[str, Entry]:
    """The regular files directly in a directory of a commit. Raises Refused for a link: it leads out of the commit."""
    place = f"{commit}:{directory}" if directory else f"{commit}^{{tree}}"
    done = git.done("ls-tree", "-z", place, fine=(0, 128))
    found: dict[str, Entry] = {}
    for line in filter(None, done.stdout.decode("utf-8", "surrogateescape").split("\0")):
        facts, _, name = line.partition("\t")
        mode, _, blob = facts.split(" ")
        if mode == "120000" and name.endswith((".yaml", ".yml")):
            raise Refused(f"{git.place}: {name} is a symbolic link in commit {commit[:12]}; commit the file itself")
        if mode in _REGULAR:
            found[name] = Entry(mode, blob)
    return found


def contents(git: Git, blobs: Iterable[str]) -> dict[str, bytes]:
    """What blobs hold, in one process."""
    wanted = list(dict.fromkeys(blobs))
    printed = git.run("cat-file", "--batch", given="".join(f"{blob}\n" for blob in wanted).encode())
    found: dict[str, bytes] = {}
    for blob in wanted:
        header, _, printed = printed.partition(b"\n")
        words = header.split()
        if len(words) != 3 or words[1] != b"blob":
            raise GitFailed(f"{git.place}: object {blob} cannot be read; run git fsck")
        size = int(words[2])
        found[blob], printed = printed[:size], printed[size + 1 :]
    return found


def store(git: Git, content: bytes) -> str:
    """A blob with this content."""
    return git.text("hash-object", "-w", "--no-filters", "--stdin", given=content)


def commit(
    git: Git,
    parents: Sequence[str],
    files: Mapping[str, Entry | None],
    *,
    message: str,
    who: Mapping[str, str],
) -> str:
    """A commit on the first of `parents` in which some files are other blobs or gone; no reference names it yet.

    `who` is Git's own variables for author and committer. Without a parent the files are all there is.
    """
    lines = [
        f"0 {'0' * 40}\t{path}" if entry is None else f"{entry.mode} {entry.blob}\t{path}"
        for path, entry in files.items()
    ]
    with tempfile.TemporaryDirectory(prefix="tradepulse-index-") as place:
        index = {"GIT_INDEX_FILE": str(Path(place) / "index")}
        git.run("read-tree", *(parents[:1] or ["--empty"]), environ=index)
        given = "".join(f"{line}\0" for line in lines).encode()
        git.run("update-index", "-z", "--index-info", given=given, environ=index)
        tree = git.text("write-tree", environ=index)
    named = [word for parent in parents for word in ("-p", parent)]
    return git.text("commit-tree", tree, *named, "-F", "-", given=message.encode(), environ=who)


def move(git: Git, reference: str, new: str, old: str, why: str) -> bool:
    """Let a reference name another commit if it still names `old`; whether it did. The one instant of a change."""
    done = git.done("update-ref", "-m", why, reference, new, old, fine=(0, 1, 128))
    if done.returncode == 0:
        return True
    # Either somebody was faster, or the reference cannot be written at all; only the first is to be tried again.
    if git.text("rev-parse", "--verify", reference) != old:
        return False
    said = " ".join(done.stderr.decode("utf-8", "replace").split())[-400:]
    raise GitFailed(f"{git.place}: {reference} cannot be moved: {said}")


def is_ancestor(git: Git, old: str, new: str) -> bool:
    """Whether one commit is in the history of another, or is the same."""
    return git.done("merge-base", "--is-ancestor", old, new, fine=(0, 1, 128)).returncode == 0
