"""What operators changed in a directory elsewhere comes in as a merge, and no grant of ours is lost.

    base    what the directory held when it was last taken over (a reference remembers it)
    ours    the head: base, and the grants that were made and taken back since
    theirs  the directory now

A file that only one side changed is that side's. `role_bindings.yaml` is merged binding by binding: line by
line, two grants that were both added at the end would meet in a conflict, or worse, mix. Any other file that
both changed is merged as Git would, and is refused where they meet in one line.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

from admin_sync.errors import InvalidInput, Refused
from admin_sync.load.document import BINDINGS
from admin_sync.load.expand import expand
from admin_sync.load.schema import BindingsFile
from admin_sync.load.shape import shaped
from admin_sync.load.strict_yaml import scan
from admin_sync.repository import objects
from admin_sync.repository.bindings import Bindings
from admin_sync.repository.git import Git
from admin_sync.repository.settings import RepositorySettings
from admin_sync.repository.snapshot import Snapshot, snapshot_of

Line = TypeVar("Line")

REFERENCE: Final = "refs/tradepulse/incoming"
"""The commit that holds what was last taken over, in a line of its own."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """A merge that no branch names yet."""

    commit: str
    snapshot: Snapshot
    files: Mapping[str, objects.Entry | None]
    theirs: str
    before: str | None

    def remember(self, git: Git) -> None:
        """Note what has been taken over. If this is not reached, the next merge finds the same and changes nothing."""
        objects.move(git, REFERENCE, self.theirs, self.before or "0" * 40, "access: taken over")


def begin(git: Git, directory: Path, settings: RepositorySettings, message: str) -> str:
    """The first commit of a repository: the directory as it is, in configs/iam."""
    names = {name: objects.store(git, content) for name, content in _files(directory).items()}
    entries: dict[str, objects.Entry | None] = {
        f"configs/iam/{name}": objects.Entry("100644", blob) for name, blob in names.items()
    }
    made = objects.commit(git, [], entries, message=f"{message}\n", who=settings.signature(settings.committer_email))
    git.run("update-ref", REFERENCE, made)
    return made


def arrive(git: Git, ours: Snapshot, directory: Path, settings: RepositorySettings, message: str) -> Arrival | None:
    """The merge of a directory into the head; None where the directory is as it was. Raises Refused."""
    known = git.done("rev-parse", "--verify", "--quiet", REFERENCE, fine=(0, 1)).stdout.decode().strip() or None
    base: Mapping[str, bytes] = snapshot_of(git, known).files if known else {}
    theirs = _files(directory)
    if theirs == base:
        return None
    merged = {
        name: _merged(git, name, base.get(name), ours.files.get(name), theirs.get(name), environ=settings.environ)
        for name in sorted({*base, *ours.files, *theirs})
    }
    stored = {name: objects.Entry("100644", objects.store(git, content)) for name, content in theirs.items()}
    who = settings.signature(settings.committer_email)
    arrived = {ours.path(name): entry for name, entry in stored.items()}
    gone: dict[str, objects.Entry | None] = {ours.path(name): None for name in base if name not in theirs}
    side = objects.commit(git, [known] if known else [], {**arrived, **gone}, message=f"{message}\n", who=who)
    files: dict[str, objects.Entry | None] = {}
    for name, content in merged.items():
        if content != ours.files.get(name):
            files[ours.path(name)] = None if content is None else objects.Entry("100644", objects.store(git, content))
    made = objects.commit(git, [ours.commit, side], files, message=f"{message}\n", who=who)
    return Arrival(made, snapshot_of(git, made), files, side, known)


def _files(directory: Path) -> dict[str, bytes]:
    """The files of a directory that are the configuration's: whatever an editor leaves beside them is not."""
    return {
        path.name: path.read_bytes()
        for path in sorted(directory.iterdir())
        if path.is_file() and not path.is_symlink() and not path.name.startswith((".", "#")) and path.name[-1] != "~"
    }


def _merged(
    git: Git,
    name: str,
    base: bytes | None,
    ours: bytes | None,
    theirs: bytes | None,
    *,
    environ: Mapping[str, str],
) -> bytes | None:
    if theirs in (base, ours):
        return ours
    if ours == base:
        return theirs
    if ours is None or theirs is None:
        raise Refused(f"{name} was deleted on one side and changed on the other; decide by a commit of your own")
    if name == BINDINGS:
        return _bindings_merged(base, ours, theirs, environ)
    with tempfile.TemporaryDirectory(prefix="tradepulse-merge-") as place:
        for side, content in (("ours", ours), ("base", base or b""), ("theirs", theirs)):
            (Path(place) / side).write_bytes(content)
        names = [str(Path(place) / side) for side in ("ours", "base", "theirs")]
        done = git.done("merge-file", "-p", *names, fine=tuple(range(256)))
    if done.returncode != 0:
        raise Refused(f"{name} was changed on both sides in the same lines; change it there by a commit of your own")
    return done.stdout


def _bindings_merged(base: bytes | None, ours: bytes, theirs: bytes, environ: Mapping[str, str]) -> bytes:
    """Their text with our grants: those that we added are added, those that we took back are taken out."""
    before = _read(base, environ) if base is not None else None
    mine, yours = _read(ours, environ), _read(theirs, environ)
    draft = Bindings(theirs.decode(), yours)
    was = before.bindings if before is not None else []
    ended = _without(was, mine.bindings)
    draft.remove(lambda binding: binding in ended)
    for one in _without(_without(mine.bindings, was), yours.bindings):
        draft.add(one)
    barred = before.barred if before is not None else []
    for one_barred in mine.barred:
        # Nobody is let in again by a merge; whoever unbars somebody does it here.
        draft.bar(one_barred)
    for one_barred in barred:
        if one_barred not in mine.barred:
            draft.unbar(one_barred.user)
    draft.remember([*yours.former_approvers, *_without(mine.former_approvers, yours.former_approvers)])
    return draft.text.encode()


def _without(these: Iterable[Line], those: Iterable[Line]) -> list[Line]:
    left = list(those)
    found = []
    for one in these:
        if one in left:
            left.remove(one)
        else:
            found.append(one)
    return found


def _read(raw: bytes, environ: Mapping[str, str]) -> BindingsFile:
    source, findings = scan(raw, BINDINGS)
    if source is not None:
        data, more = expand(source, environ)
        findings += more
        model, wrong = shaped(source, data, BindingsFile, set())
        findings += wrong
        if isinstance(model, BindingsFile) and not findings:
            return model
    raise InvalidInput(findings)
