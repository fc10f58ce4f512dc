"""Grants that ended: OPA denies them at once by its data; here they leave the file, and the next end is known.

They leave it after they have left Keycloak, because until then the file is what says that their removal is
meant: a guard would take thirty grants that end together for an accident.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from admin_sync.load.document import Document
from admin_sync.load.schema import Binding
from admin_sync.repository import Committed, Repository, Selector


@dataclass(frozen=True, kw_only=True)
class _These(Selector):
    """These grants, word for word: one like it elsewhere, or with another end, is somebody's access."""

    bindings: Sequence[Binding]

    def fits(self, binding: Binding) -> bool:
        return binding in self.bindings


def next_end(document: Document) -> datetime | None:
    """When the next grant ends; None if none that stands ever does."""
    ends = [one.expires for one in document.bindings.bindings if one.expires is not None]
    return min((end for end in ends if end > document.now), default=None)


def ended(document: Document, environments: Collection[str]) -> list[Binding]:
    """The grants of the file that ended and that reach no other than these environments."""
    return [
        one
        for one in document.bindings.bindings
        if one.expires is not None and one.expires <= document.now and set(one.environments) <= set(environments)
    ]


def clear(repository: Repository, document: Document, environments: Collection[str]) -> Committed | None:
    """Take the ended grants of these environments out of the file, if there are any.

    document:      the configuration that has been applied to them; what ends later is left to the next turn
    environments:  where Keycloak does not have the ended grants any more
    """
    gone = ended(document, environments)
    if not gone:
        return None
    author = repository.settings.committer_email
    many = "1 grant that has" if len(gone) == 1 else f"{len(gone)} grants that have"
    with repository.change(author, f"Take out {many} ended", branch="access-ended") as change:
        change.remove(_These(bindings=gone))
    return change.committed
