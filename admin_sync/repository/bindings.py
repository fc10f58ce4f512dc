"""`role_bindings.yaml` as text around bindings: whatever is not edited stays as it is, byte for byte.

    head │ chunk of a binding │ gap │ chunk │ gap │ … │ chunk │ rest

A chunk is the whole lines of one binding, from its dash to its last value, with the comments inside. What
stands between two bindings (comments, blank lines) belongs to neither and outlives both: a heading over
several bindings looks just like a remark on the next one, and only the first must not be lost.

A YAML writer that keeps comments still rewrites spacing, quotes and long lines, so nothing is written
anew but the lines that are edited. `Bindings.text` is to be read back by the strict loader afterwards.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial

from admin_sync.load.schema import Barred, Binding, BindingsFile, FormerApprover
from admin_sync.repository.barring import with_barred, with_former, without_barred, without_former
from admin_sync.repository.parting import part, with_value
from admin_sync.repository.writing import instant, lines, names


@dataclass(frozen=True, slots=True)
class _Item:
    """One binding and the text of its lines; `gap` is what stands between it and the next."""

    binding: Binding
    chunk: str
    gap: str


class Bindings:
    """The file in the making. It may be edited again and again; the text is put together when it is asked for."""

    def __init__(self, text: str, told: BindingsFile) -> None:
        """Take the file apart. `told` is what the loader read from this very text.

        Raises InvalidInput where the list is written in a way that cannot be edited line by line.
        """
        self._newline = "\r\n" if "\r\n" in text else "\n"
        parts = part(text)
        self._before, self._after_colon, self._rest = parts.before, parts.after_colon, parts.rest
        self._indent = parts.indent
        pairs = zip(told.bindings, parts.items, strict=True)
        self._items = [_Item(binding, chunk, gap) for binding, (chunk, gap) in pairs]
        self.barred = list(told.barred)
        """Who is barred as the file would be written now."""
        self.former = list(told.former_approvers)
        """Who was an approver, as the file would be written now."""
        self._behind: list[Callable[[str], str]] = []

    @property
    def bindings(self) -> list[Binding]:
        """What the file grants as it would be written now."""
        return [item.binding for item in self._items]

    @property
    def text(self) -> str:
        """The file as it would be written now."""
        text = self._granting()
        for edit in self._behind:
            text = edit(text)
        return text

    def _granting(self) -> str:
        colon = self._after_colon
        if not self._items:
            return f"{self._before} []{colon}{self._rest}"
        body = "".join(item.chunk + item.gap for item in self._items)
        return f"{self._before}{colon}{body}{self._rest}"

    def add(self, binding: Binding) -> None:
        """Append a binding after the last one, before whatever stands behind that."""
        chunk = "".join(f"{line}{self._newline}" for line in lines(binding, self._indent))
        if not self._items:
            if not self._after_colon.endswith("\n"):
                self._after_colon += self._newline
            self._items.append(_Item(binding, chunk, ""))
            return
        last = self._items[-1]
        # A last line without an end would swallow the first of ours.
        whole = last.chunk if last.chunk.endswith("\n") else last.chunk + self._newline
        self._items[-1] = replace(last, chunk=whole, gap="")
        self._items.append(_Item(binding, chunk, last.gap))

    def remove(self, meant: Callable[[Binding], bool]) -> list[Binding]:
        """Take bindings out; those that were."""
        gone = [item.binding for item in self._items if meant(item.binding)]
        kept: list[_Item] = []
        for item in self._items:
            if not meant(item.binding):
                kept.append(item)
            elif kept:
                kept[-1] = replace(kept[-1], gap=kept[-1].gap + item.gap)
            else:
                self._after_colon += item.gap
        self._items = kept
        return gone

    def bar(self, one: Barred) -> None:
        """Bar somebody. Who is barred already stays so, from when they were."""
        if all(known.user.lower() != one.user.lower() for known in self.barred):
            self.barred.append(one)
            self._behind.append(lambda text: with_barred(text, one, self._newline))

    def unbar(self, email: str) -> None:
        """Bar somebody no longer."""
        self.barred = [known for known in self.barred if known.user.lower() != email.lower()]
        self._behind.append(lambda text: without_barred(text, email, self._newline))

    def remember(self, former: Iterable[FormerApprover]) -> None:
        """Have exactly these former approvers."""
        wanted = list(former)
        for number in reversed(range(len(self.former))):
            if self.former[number] not in wanted:
                self._behind.append(partial(without_former, number=number, newline=self._newline))
                del self.former[number]
        for one in wanted:
            if one not in self.former:
                self._behind.append(partial(with_former, one=one, newline=self._newline))
                self.former.append(one)

    def narrow(self, meant: Callable[[Binding], bool], environments: Iterable[str]) -> list[Binding]:
        """Take environments away from bindings; those that were touched, as they were.

        A binding whose last environment is taken away is not meant: that is `remove`.
        """
        away = set(environments)

        def one(item: _Item) -> _Item:
            left = [name for name in item.binding.environments if name not in away]
            chunk = with_value(item.chunk, "environments", names(left), self._newline)
            return replace(item, binding=item.binding.model_copy(update={"environments": left}), chunk=chunk)

        return self._edited(lambda binding: meant(binding) and bool(away & set(binding.environments)), one)

    def shorten(self, meant: Callable[[Binding], bool], until: datetime) -> list[Binding]:
        """Let bindings end at an instant that is earlier than theirs; those that were touched, as they were."""

        def one(item: _Item) -> _Item:
            chunk = with_value(item.chunk, "expires", instant(until), self._newline)
            return replace(item, binding=item.binding.model_copy(update={"expires": until}), chunk=chunk)

        return self._edited(
            lambda binding: meant(binding) and (binding.expires is None or until < binding.expires), one
        )

    def _edited(self, meant: Callable[[Binding], bool], edit: Callable[[_Item], _Item]) -> list[Binding]:
        touched = [item.binding for item in self._items if meant(item.binding)]
        self._items = [edit(item) if meant(item.binding) else item for item in self._items]
        return touched
