"""The configuration repository as a place to write: every change of `role_bindings.yaml` is a Git commit.

    author + edits ─ change ─▶ text of HEAD ─ splice ─▶ new text ─ load, check ─▶ commit ─ compare-and-set ─▶ HEAD
                                     ▲                                                        │ moved: again
                                     └────────────────────────────────────────────────────────┘

    repository.py   `Repository`: the head, snapshots of it, and `change`, the one way to write
    change.py       what a change may do: add, remove, narrow, shorten; and what it says in the commit
    barring.py      who is barred, line by line
    bindings.py     the file as text around bindings: what is not edited stays byte for byte
    writing.py      a binding as YAML in the style of the sample
    selector.py     which bindings are meant
    incoming.py     what operators changed in a directory elsewhere, merged binding by binding
    snapshot.py     the configuration of one commit
    objects.py      blobs, trees, commits and references through Git's plumbing
    follow.py       the work tree comes after the head, and an operator's uncommitted edit is kept
    git.py          Git as a child process that reads no configuration of the machine
    remote.py       a remote that takes commits, or a forge that takes pull requests
    settings.py     ADMIN_SYNC_REPOSITORY and what belongs to it

Nothing here talks to Keycloak. What a commit brings about is the reconciler's work (`admin_sync/reconciler`).
"""

from __future__ import annotations

from admin_sync.repository.change import Change, Committed
from admin_sync.repository.repository import Repository
from admin_sync.repository.selector import Selector
from admin_sync.repository.settings import RepositorySettings, repository_settings
from admin_sync.repository.snapshot import Snapshot

__all__ = ["Change", "Committed", "Repository", "RepositorySettings", "Selector", "Snapshot", "repository_settings"]
