"""The repository of the configuration: its head, and `change`, the one way to write to it.

One change at a time holds the repository's lock. Whoever commits past the lock (an operator in the work
tree, another host at the remote) moves the head, and then the edits are made again on the new one. Nothing
is committed that the loader and every check do not accept.
"""

from __future__ import annotations

import fcntl
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from admin_sync.check.approvers import remembered
from admin_sync.errors import AdminSyncError, Interrupted, Refused
from admin_sync.load.document import BINDINGS, Document
from admin_sync.repository import objects
from admin_sync.repository.bindings import Bindings
from admin_sync.repository.change import Change, Committed
from admin_sync.repository.follow import WorkTree
from admin_sync.repository.git import Git, GitFailed
from admin_sync.repository.incoming import arrive
from admin_sync.repository.remote import Remote
from admin_sync.repository.settings import RepositorySettings
from admin_sync.repository.snapshot import Snapshot, snapshot_of

ATTEMPTS: Final = 8
"""How often a change is made again on a head that somebody moved."""

_REQUEST: Final = re.compile(r"[A-Za-z0-9-]{1,64}")


class RepositoryBusy(AdminSyncError):
    """Somebody else is changing the repository, and did not end in time."""

    exit_code = 6


class Repository:
    """A Git repository that holds the configuration. Raises GitFailed where there is none."""

    def __init__(
        self, settings: RepositorySettings, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self.settings = settings
        self._now = now
        self.git = Git(settings.place)
        printed = self.git.text("rev-parse", "--path-format=absolute", "--git-common-dir", "--is-bare-repository")
        common, _, bare = printed.rpartition("\n")
        self._git_dir = Path(common)
        self._tree: WorkTree | None = None
        if bare == "false":
            self._top = Path(self.git.text("rev-parse", "--path-format=absolute", "--show-toplevel"))
            self.git = Git(self._top)
            self._tree = WorkTree(self.git, self._top, self._git_dir)
        self._remote = Remote(self.git, settings) if settings.remote else None

    def head(self) -> str:
        """The commit that is in force. With a remote this asks it, and follows it."""
        if self._remote is None:
            return objects.head(self.git)
        with self._locked():
            return self._synchronised(objects.branch(self.git))

    def snapshot(self, commit: str | None = None) -> Snapshot:
        """The configuration in a commit; in force if none is given. Uncommitted edits are no part of it."""
        return snapshot_of(self.git, commit or self.head())

    def document(self) -> Document:
        """The checked configuration that is in force. Raises InvalidInput."""
        return self.snapshot().document(self.settings.environ, self._now())

    def granted_by(self, request: str) -> str | None:
        """The commit that granted a request, if one in force ever did; it may have been taken back since."""
        if not _REQUEST.fullmatch(request):
            raise ValueError("a request's id has letters, digits and dashes alone")
        pattern = f"^Request: {request}$"
        found = self.git.text("log", "-1", "--format=%H", "--basic-regexp", f"--grep={pattern}", "HEAD")
        return found or None

    @contextmanager
    def change(
        self,
        author: str,
        message: str,
        *,
        reason: str = "",
        trailers: Mapping[str, str] | None = None,
        branch: str | None = None,
    ) -> Iterator[Change]:
        """Edits that become one commit when the block ends well; nothing is committed where they change nothing.

        author:   e-mail address of the person on whose behalf it happens; the committer is the service
        message:  the commit's summary; `reason` is quoted below it
        branch:   where a forge takes pull requests: the name of the branch, the same for the same purpose

        Raises InvalidInput where the result would not be valid, Refused where an operator's uncommitted edit
        stands in the way, RepositoryBusy, Interrupted and GitFailed. In none of these cases is anything changed.
        """
        with self._locked():
            name = objects.branch(self.git)
            snapshot = self.snapshot(self._synchronised(name))
            document, draft = self._opened(snapshot)
            change = Change(author, message, reason, document=document, _draft=draft)
            for trailer, value in (trailers or {}).items():
                change.trailer(trailer, value)
            yield change
            change.text()
            change.committed = self._commit(name, snapshot, change, branch)

    def _opened(self, snapshot: Snapshot) -> tuple[Document, Bindings]:
        document = snapshot.document(self.settings.environ, self._now())
        return document, Bindings(snapshot.files[BINDINGS].decode(), document.bindings)

    def _commit(self, branch: str, snapshot: Snapshot, change: Change, proposal: str | None) -> Committed | None:
        document, draft = change.document, change.draft
        for attempt in range(ATTEMPTS):
            if attempt:
                snapshot = self.snapshot(self._synchronised(branch))
                document, fresh = self._opened(snapshot)
                draft = change.made_on(fresh)
            if draft.text.encode() == snapshot.files[BINDINGS]:
                return None
            # What a leaver agreed to stands, although nothing in the bindings says any more that they could.
            draft.remember(remembered(document, draft.bindings, self._now()))
            content = draft.text.encode()
            self._verify(snapshot, content, draft)
            made = self._made(snapshot, content, change)
            if self._remote is not None and self._remote.proposes:
                return Committed(made, self._remote.propose(made, branch, proposal or f"access-{made[:12]}", change))
            if self._moved(branch, snapshot.commit, made):
                return Committed(made)
        raise Interrupted(f"{self.git.place}: the head moved {ATTEMPTS} times while a change was made; try again")

    def _verify(self, snapshot: Snapshot, content: bytes, draft: Bindings) -> None:
        """The new file is valid, and says what was meant and nothing else."""
        fresh = Snapshot(snapshot.commit, snapshot.folder, snapshot.entries, {**snapshot.files, BINDINGS: content})
        document = fresh.document(self.settings.environ, self._now())
        told = document.bindings
        if (told.bindings, told.barred, told.former_approvers) != (draft.bindings, draft.barred, draft.former):
            raise Interrupted(f"{BINDINGS} would not be read back as it was meant; nothing was committed, report this")

    def _made(self, snapshot: Snapshot, content: bytes, change: Change) -> str:
        entry = objects.Entry(snapshot.entries[BINDINGS].mode, objects.store(self.git, content))
        files = {snapshot.path(BINDINGS): entry}
        who = self.settings.signature(change.author)
        return objects.commit(self.git, [snapshot.commit], files, message=change.text(), who=who)

    def merged(self, directory: Path, message: str) -> Committed | None:
        """Take over what changed in a directory of the configuration since it was last taken over, as a merge commit.

        None where nothing did. Grants that were made here meanwhile stay (`incoming.py`). Raises what `change` does.
        """
        with self._locked():
            name = objects.branch(self.git)
            for _ in range(ATTEMPTS):
                snapshot = self.snapshot(self._synchronised(name))
                arrival = arrive(self.git, snapshot, directory, self.settings, message)
                if arrival is None:
                    return None
                if arrival.files:
                    arrival.snapshot.document(self.settings.environ, self._now())
                if self._moved(name, snapshot.commit, arrival.commit):
                    arrival.remember(self.git)
                    return Committed(arrival.commit)
        raise Interrupted(f"{self.git.place}: the head moved {ATTEMPTS} times during a merge; try again")

    def _moved(self, branch: str, old: str, new: str) -> bool:
        """Make a commit the one that is in force, unless somebody was faster."""
        try:
            if self._tree is not None:
                self._tree.prepare(old, new)
        except Refused:
            # Whoever has just committed is no longer in the way: their edit is in the head now.
            if objects.head(self.git) != old:
                return False
            raise
        try:
            pushed = self._remote is not None and self._remote.push(new, branch)
            moved = (pushed or self._remote is None) and objects.move(self.git, branch, new, old, "access: a change")
        except GitFailed:
            self._abandon()
            raise
        if pushed and not moved:
            # The remote has it, so it must not be made again; the next change follows the remote.
            raise Interrupted(f"{self.git.place}: pushed, while somebody moved {branch} here; a re-run is safe")
        if not moved:
            self._abandon()
        elif self._tree is not None:
            self._tree.follow(old, new)
        return moved

    def _synchronised(self, branch: str) -> str:
        """The head that is in force, after the work tree follows it. Called under the lock."""
        here = objects.head(self.git)
        if self._tree is not None:
            self._tree.complete(here)
        if self._remote is None:
            return here
        there = self._remote.head(branch)
        if there == here:
            return here
        if not objects.is_ancestor(self.git, here, there):
            raise GitFailed(f"{self.git.place} has commits that {self.settings.remote} has not; push or drop them")
        if self._tree is not None:
            self._tree.prepare(here, there)
        if not objects.move(self.git, branch, there, here, "access: follow the remote"):
            self._abandon()
            raise GitFailed(f"{self.git.place}: somebody else moves {branch}; try again")
        if self._tree is not None:
            self._tree.follow(here, there)
        return there

    def _abandon(self) -> None:
        if self._tree is not None:
            self._tree.abandon()

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """One change at a time. The lock ends with the process that holds it, however that ends."""
        with ExitStack() as stack:
            file = stack.enter_context((self._git_dir / "tradepulse.lock").open("a"))
            until = time.monotonic() + self.settings.lock_wait
            while True:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() > until:
                        raise RepositoryBusy(f"{self.git.place}: another change is under way; try again") from None
                    time.sleep(0.05)
            yield
