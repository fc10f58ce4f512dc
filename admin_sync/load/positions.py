"""Plain data that knows where in its file every value stands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from admin_sync.model import Json, Position

PathPart = str | int


class Mark:
    """Where one value stands: its own place, its key's place, and the same of its children."""

    __slots__ = ("children", "column", "key_column", "key_line", "line")

    def __init__(self, line: int, column: int, key_line: int, key_column: int) -> None:
        self.line = line
        self.column = column
        self.key_line = key_line
        self.key_column = key_column
        self.children: dict[PathPart, Mark] | None = None

    def adopt(self, part: PathPart, child: Mark) -> None:
        """Record where the value under a key or an index stands."""
        if self.children is None:
            self.children = {}
        self.children[part] = child


@dataclass(frozen=True, slots=True)
class Source:
    """One parsed file: plain data (dict, list, str, int, float, bool, None) and where it stands."""

    file: str
    data: Json
    root: Mark

    def position(self, path: Sequence[PathPart], *, key: bool = False) -> Position:
        """The place of the value at `path`, or of the nearest parent that exists; `key` for its key's."""
        mark = self.root
        reached = 0
        for part in path:
            child = mark.children.get(part) if mark.children else None
            if child is None:
                break
            mark = child
            reached += 1
        # A thing that is missing is reported where its parent is named, not where its parent's value begins.
        if key or (reached < len(path) and reached > 0):
            return Position(self.file, mark.key_line, mark.key_column)
        return Position(self.file, mark.line, mark.column)
