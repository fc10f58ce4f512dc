"""Where bindings begin and end in the text of `role_bindings.yaml`, and one value of one binding replaced.

The text has passed the strict loader: no aliases, no tags, no line breaks but LF and CRLF, no tabs outside
of quotes. Places come from the YAML parser; how text may be written is never guessed from its looks.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate
from typing import Final, cast

import yaml

from admin_sync.errors import Finding, InvalidInput
from admin_sync.load.document import BINDINGS

_LOADER: Final = yaml.CSafeLoader if getattr(yaml, "__with_libyaml__", False) else yaml.SafeLoader
_KEY: Final = "bindings"
_INDENT: Final = 2


@dataclass(frozen=True, slots=True)
class Parts:
    """The file taken apart: put together in this order, with `[]` before `after_colon` where no item is left."""

    before: str
    """Up to and with the colon of `bindings:`."""
    after_colon: str
    items: list[tuple[str, str]]
    """Whole lines of each binding, and what stands between it and the next."""
    rest: str
    indent: int
    """The column, from 0, of the dashes."""


class _Text:
    """Text that can be cut at the places that the parser names."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.lines = text.split("\n")
        lengths = (len(line) + 1 for line in self.lines)
        self._starts = [0, *accumulate(lengths)]

    def line(self, number: int) -> int:
        """Where a line begins; the end of the text for one behind the last."""
        return min(self._starts[min(number, len(self._starts) - 1)], len(self.text))

    def place(self, mark: yaml.Mark) -> int:
        return self.line(mark.line) + mark.column


def part(text: str, name: str = _KEY) -> Parts:
    """The parts of a file around the list `name`. Raises InvalidInput where its items cannot be edited one by one."""
    cut = _Text(text)
    root = cast(yaml.MappingNode, yaml.compose(text, Loader=_LOADER))
    key, listed = next((key, value) for key, value in root.value if key.value == name)
    if root.flow_style or not isinstance(listed, yaml.SequenceNode) or (listed.flow_style and listed.value):
        raise InvalidInput([_unfit(key)])
    colon = text.index(":", cut.place(key.end_mark)) + 1
    if listed.flow_style:
        end = cut.place(listed.end_mark)
        rest = cut.line(listed.end_mark.line + 1)
        behind = text[end:rest]
        return Parts(text[:colon], behind, [], text[rest:], _INDENT)
    starts, ends = [], []
    free = listed.start_mark.line
    for node in listed.value:
        starts.append(_dash(cut, listed.start_mark.column, free, node.start_mark.line))
        free = _last_line(node) + 1
        ends.append(free)
    following = [*starts[1:], ends[-1]]
    items = [
        (text[cut.line(start) : cut.line(end)], text[cut.line(end) : cut.line(after)])
        for start, end, after in zip(starts, ends, following, strict=True)
    ]
    after_colon = text[colon : cut.line(starts[0])]
    return Parts(text[:colon], after_colon, items, text[cut.line(ends[-1]) :], listed.start_mark.column)


def with_value(chunk: str, name: str, value: str, newline: str) -> str:
    """The lines of one binding with another value of a key, which is added if it is not there."""
    cut = _Text(chunk)
    item = cast(yaml.MappingNode, cast(yaml.SequenceNode, yaml.compose(chunk, Loader=_LOADER)).value[0])
    for key, node in item.value:
        if key.value == name:
            colon = chunk.index(":", cut.place(key.end_mark)) + 1
            return f"{chunk[:colon]} {value}{chunk[_end(cut, node) :]}"
    if item.flow_style:
        end = _end(cut, item.value[-1][1])
        return f"{chunk[:end]}, {name}: {value}{chunk[end:]}"
    indent = " " * item.value[0][0].start_mark.column
    whole = chunk if chunk.endswith("\n") else chunk + newline
    return f"{whole}{indent}{name}: {value}{newline}"


def _unfit(key: yaml.ScalarNode) -> Finding:
    return Finding(
        BINDINGS,
        key.start_mark.line + 1,
        key.start_mark.column + 1,
        "flow-bindings",
        f"write the {key.value} as lines that begin with a dash, so that one of them can be edited by itself",
    )


def _dash(cut: _Text, column: int, first: int, last: int) -> int:
    """The line of the dash that a value belongs to: the value's own, or one before it that holds the dash alone."""
    for number in range(last, first - 1, -1):
        line = cut.lines[number]
        if line[column : column + 1] == "-" and not line[:column].strip(" "):
            return number
    raise ValueError(f"there is no dash before line {last + 1}")


def _end(cut: _Text, node: yaml.Node) -> int:
    """Where the text of a value ends. A block collection's own mark stands at whatever comes next."""
    last = _last_leaf(node)
    if not _is_block_scalar(last):
        return cut.place(last.end_mark)
    # The line before the one that follows; its line break is not the value's.
    return cut.line(_last_line(last) + 1) - 1


def _last_line(node: yaml.Node) -> int:
    last = _last_leaf(node)
    if _is_block_scalar(last) and last.end_mark.column == 0:
        return last.end_mark.line - 1
    return last.end_mark.line


def _last_leaf(node: yaml.Node) -> yaml.Node:
    while isinstance(node, yaml.CollectionNode) and not node.flow_style and node.value:
        node = node.value[-1] if isinstance(node, yaml.SequenceNode) else node.value[-1][1]
    return node


def _is_block_scalar(node: yaml.Node) -> bool:
    return isinstance(node, yaml.ScalarNode) and node.style in ("|", ">")
