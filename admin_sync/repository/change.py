"""What one change does to the bindings, and what its commit says.

The edits are recorded as they are made: if somebody else commits first, they are made again on the new head.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from admin_sync.errors import AdminSyncError
from admin_sync.load.document import Document
from admin_sync.load.schema import Barred, Binding
from admin_sync.repository.bindings import Bindings
from admin_sync.repository.selector import Selector
from admin_sync.repository.writing import harmless, instant

Edit = Callable[[Bindings], list[Binding]]


@dataclass(frozen=True, slots=True)
class Committed:
    """What became of a change."""

    commit: str
    """The commit's full name."""
    pull_request: str | None = None
    """The address of the pull request that has to be merged before anything takes effect; None where it already has."""


class NothingSaid(AdminSyncError):
    """A change has no author or no message."""

    exit_code = 3


@dataclass(slots=True)
class Change:
    """Edits of the bindings, to become one commit."""

    author: str
    """The e-mail address of the person on whose behalf this happens."""
    message: str
    reason: str = ""
    document: Document = field(kw_only=True, repr=False)
    """The configuration that the edits are made on, valid; decide by it what to edit."""
    trailers: list[tuple[str, str]] = field(default_factory=list, kw_only=True)
    committed: Committed | None = field(default=None, init=False)
    """Set when the block has ended; None then means that nothing had to be changed."""
    _edits: list[Edit] = field(default_factory=list, init=False, repr=False)
    _draft: Bindings = field(kw_only=True, repr=False)

    def add(self, binding: Binding) -> None:
        """Grant this. What a person wrote in it is kept from meaning anything to a reader of the file."""
        reason = None if binding.justification is None else harmless(binding.justification)
        grant = binding.model_copy(update={"justification": reason})

        def edit(bindings: Bindings) -> list[Binding]:
            bindings.add(grant)
            return []

        self._make(edit)
        if grant.request is not None:
            self.trailer("Request", grant.request)
        for approval in grant.approvals:
            self.trailer("Approved-by", f"{approval.by} ({approval.capacity})")

    def remove(self, selector: Selector, *, environments: Iterable[str] | None = None) -> list[Binding]:
        """Take grants back, everywhere or only in some environments; those that were touched, as they were."""
        if environments is None:
            gone = self._make(lambda bindings: bindings.remove(selector.fits))
        else:
            away = frozenset(environments)

            def entirely(binding: Binding) -> bool:
                return selector.fits(binding) and away >= set(binding.environments)

            def edit(bindings: Bindings) -> list[Binding]:
                return [*bindings.remove(entirely), *bindings.narrow(selector.fits, away)]

            gone = self._make(edit)
        for binding in gone:
            if binding.request is not None:
                self.trailer("Ended-request", binding.request)
        return gone

    def shorten(self, selector: Selector, until: datetime) -> list[Binding]:
        """Let grants end at an instant that is earlier than theirs; those that were touched, as they were."""
        return self._make(lambda bindings: bindings.shorten(selector.fits, until))

    def bar(self, email: str, since: datetime, reason: str | None = None) -> None:
        """Bar somebody: from the next bundle on they are denied everything, whatever is declared for them."""
        said = None if reason is None else harmless(reason)
        one = Barred.model_validate({"user": email, "since": instant(since), "reason": said})

        def edit(bindings: Bindings) -> list[Binding]:
            bindings.bar(one)
            return []

        self._make(edit)
        self.trailer("Barred", email)

    def unbar(self, email: str) -> None:
        """Let what is declared for somebody count again."""

        def edit(bindings: Bindings) -> list[Binding]:
            bindings.unbar(email)
            return []

        self._make(edit)
        self.trailer("Reinstated", email)

    def trailer(self, name: str, value: str) -> None:
        """Say something more at the end of the commit's message, once."""
        if (name, value) not in self.trailers:
            self.trailers.append((name, value))

    def text(self) -> str:
        """The commit's message: a summary, the reason quoted, and trailers that only we can have written."""
        summary = _line(self.message)[:200]
        if not summary or not self.author:
            raise NothingSaid("a change of access needs an author and a message that says what it is for")
        # A line of the reason that looks like a trailer stays a quotation.
        paragraphs = [summary, *([f"> {_line(self.reason)}"] if self.reason.strip() else [])]
        if self.trailers:
            paragraphs.append("\n".join(f"{name}: {_line(value)}" for name, value in self.trailers))
        return "\n\n".join(paragraphs) + "\n"

    def made_on(self, bindings: Bindings) -> Bindings:
        """The same edits on another head."""
        for edit in self._edits:
            edit(bindings)
        return bindings

    @property
    def draft(self) -> Bindings:
        """The bindings with the edits made so far."""
        return self._draft

    def _make(self, edit: Edit) -> list[Binding]:
        touched = edit(self._draft)
        self._edits.append(edit)
        return touched


def grants(bindings: Sequence[Binding]) -> str:
    """Bindings in words, for a message: who and what."""
    return ", ".join(f"{one.subject.user} {one.target}" for one in bindings)


def _line(text: str) -> str:
    """Text on one line, nothing in it that a terminal would act upon."""
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())
