"""Which memberships a commit took back: lines that a realm was brought up with, and that are in the file no more.

An identity provider may give some groups too, and nobody can tell its gift from a line's. So the line's going is what
counts: each realm's last commit is kept as a ref of the repository, and a membership whose line went since is taken
away once. Where the provider gives it as well, the next login through it gives it back.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import quote

from admin_sync.errors import AdminSyncError
from admin_sync.load.document import Document, scan
from admin_sync.model import Ref
from admin_sync.refs import group_binding
from admin_sync.repository import Repository


@dataclass(slots=True)
class Lines:
    """The groups that lines gave when each environment was last brought up to a commit.

    Outlives the process in the repository; what is remembered here besides saves reading that commit again.
    """

    repository: Repository
    environ: Mapping[str, str] = field(repr=False)
    _known: dict[str, tuple[str, frozenset[Ref]]] = field(default_factory=dict, init=False)

    def released(self, environment: str, document: Document) -> frozenset[Ref]:
        """Memberships whose line went since. None where nobody knows what was there, as on a fresh clone."""
        commit = self._marked(environment)
        if not commit:
            return frozenset()
        if environment not in self._known or self._known[environment][0] != commit:
            self._known[environment] = commit, self._read(commit, environment, document)
        return self._known[environment][1] - _groups(document, environment, ended=True)

    def brought(self, environment: str, commit: str, document: Document) -> None:
        """Note that a realm is as a commit says. Raises GitFailed."""
        git, ref = self.repository.git, _ref(environment)
        if self._marked(environment) != commit:
            git.run("update-ref", ref, commit)
        self._known[environment] = commit, _groups(document, environment, ended=False)

    def _read(self, commit: str, environment: str, document: Document) -> frozenset[Ref]:
        try:
            with self.repository.snapshot(commit).directory() as place:
                # As it was: a file that no check would accept any more gave what it gave.
                before, _ = scan(place, self.environ, now=document.now)
        except AdminSyncError:
            # A commit that a rewritten history has lost.
            return frozenset()
        return frozenset() if before is None else _groups(before, environment, ended=False)

    def _marked(self, environment: str) -> str:
        return self.repository.git.text("for-each-ref", "--format=%(objectname)", _ref(environment))


def _groups(document: Document, environment: str, *, ended: bool) -> frozenset[Ref]:
    """What lines about groups say of an environment; those that ended are looked after by their end."""
    return frozenset(
        group_binding(one.subject.user, one.group)
        for one in document.bindings.bindings
        if one.group is not None
        and environment in one.environments
        and (ended or one.expires is None or one.expires > document.now)
    )


def _ref(environment: str) -> str:
    return f"refs/tradepulse/applied/{quote(environment, safe='').replace('.', '%2E')}"
