"""YAML that means one thing: a strict reader which keeps every value's position.

The configuration decides who may trade, so nothing in it may be read differently by two people or
two libraries. Refused, each at its position: bytes that are not UTF-8, a byte-order mark, control
characters, tabs, directives, several documents, anchors, aliases, merge keys, tags,
duplicate keys, keys that are not strings, and plain scalars that YAML 1.1 reads as something other
than the text (`yes`, `0777`, `1:30`). Timestamps stay text; the schema parses them where it wants one.

The input is bounded before it is built: size before parsing, depth and count on the event stream,
which is consumed iteratively. A bomb of aliases ends at its first anchor and deep nesting at level 51.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final, cast

import yaml

from admin_sync.errors import EMPTY_FILE, Finding, InvalidInput
from admin_sync.load.plain_scalars import looks_like_a_date, plain_value, short
from admin_sync.load.positions import Mark, Source
from admin_sync.model import Json

MAX_BYTES: Final = 8 * 1024 * 1024
MAX_DEPTH: Final = 50
MAX_VALUES: Final = 250_000
"""Values per file; a file of ten thousand bindings has half of it."""

_LOADER: Final = yaml.CSafeLoader if getattr(yaml, "__with_libyaml__", False) else yaml.SafeLoader

# A lone carriage return, U+0085 and U+2028 end a line, and with it a comment, for YAML 1.1 and for hardly any editor;
# marks of direction show a line in another order than it is read in. Both hide a grant from its reviewer.
_FORBIDDEN: Final = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufffe\uffff]|\r(?!\n)"
)


def read(path: Path, *, name: str | None = None) -> Source:
    """The file at `path`, called `name` in messages. Raises InvalidInput."""
    source, findings = scan_file(path, name=name)
    if findings or source is None:
        raise InvalidInput(findings)
    return source


def scan_file(path: Path, *, name: str | None = None) -> tuple[Source | None, list[Finding]]:
    """`scan` of the file at `path`, of which no more than the limit is ever read."""
    file = name or path.name
    try:
        with path.open("rb") as stream:
            raw = stream.read(MAX_BYTES + 1)
    except OSError as problem:
        reason = problem.strerror or type(problem).__name__
        return None, [Finding(file, 1, 1, "unreadable", f"{reason}; the file must be there and readable")]
    return scan(raw, file)


def parse(raw: bytes, file: str) -> Source:
    """Bytes of one YAML document. Raises InvalidInput with everything found in them."""
    source, findings = scan(raw, file)
    if findings or source is None:
        raise InvalidInput(findings)
    return source


def scan(raw: bytes, file: str) -> tuple[Source | None, list[Finding]]:
    """Bytes of one YAML document, as far as they can be understood, and everything wrong with them.

    A source comes with findings where those are local (a duplicate key, an ambiguous scalar), so
    that one run can report what is wrong elsewhere as well; it is never to be acted upon.
    """
    if len(raw) > MAX_BYTES:
        message = f"the file has more than {MAX_BYTES} bytes; split or shorten it"
        return None, [Finding(file, 1, 1, "too-large", message)]
    try:
        text = _decoded(raw, file)
        _check_characters(text, file)
    except InvalidInput as problem:
        return None, list(problem.findings)
    builder = _Builder(file)
    whole = False
    loader = _LOADER(text)
    try:
        while loader.check_event():
            builder.take(cast(yaml.Event, loader.get_event()))
        whole = True
    except yaml.MarkedYAMLError as problem:
        builder.findings.append(_syntax(problem, file))
    except yaml.YAMLError as problem:
        builder.findings.append(Finding(file, 1, 1, "syntax", str(problem).splitlines()[0]))
    except _Stop:
        pass
    finally:
        loader.dispose()
    if whole and builder.empty:
        message = "the file declares nothing, which would delete everything it once declared; restore it"
        builder.findings.append(Finding(file, 1, 1, EMPTY_FILE, message))
        whole = False
    return (Source(file, builder.data, builder.root) if whole else None), builder.findings


def _decoded(raw: bytes, file: str) -> str:
    if raw.startswith((b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")):
        raise InvalidInput([Finding(file, 1, 1, "byte-order-mark", "save the file as UTF-8 without a byte-order mark")])
    try:
        return raw.decode("utf-8", "strict")
    except UnicodeDecodeError as problem:
        before = raw[: problem.start]
        line = before.count(b"\n") + 1
        column = len(before.rsplit(b"\n", 1)[-1].decode("utf-8", "replace")) + 1
        finding = Finding(file, line, column, "not-utf-8", f"byte 0x{raw[problem.start]:02x} is not UTF-8 here")
        raise InvalidInput([finding]) from None


def _check_characters(text: str, file: str) -> None:
    findings = []
    bad = _FORBIDDEN.search(text)
    if bad:
        code = "NUL" if bad[0] == "\0" else f"U+{ord(bad[0]):04X}"
        place = _place(text, bad.start())
        findings.append(Finding(file, *place, "control-character", f"{code} is not allowed in a text file"))
    tab = text.find("\t")
    if tab >= 0:
        # A tab is white space of a width that every editor shows differently, in a language where width has meaning.
        findings.append(Finding(file, *_place(text, tab), "tab", 'indent with spaces; inside quotes write "\\t"'))
    if findings:
        raise InvalidInput(findings)


def _place(text: str, offset: int) -> tuple[int, int]:
    return text.count("\n", 0, offset) + 1, offset - text.rfind("\n", 0, offset)


def _syntax(problem: yaml.MarkedYAMLError, file: str) -> Finding:
    mark = problem.problem_mark or problem.context_mark
    said = problem.problem or problem.context or "cannot be read"
    line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
    began = f"; it began in line {problem.context_mark.line + 1}" if problem.context_mark else ""
    return Finding(file, line, column, "syntax", f"{' '.join(said.split())}{began}")


class _Stop(Exception):
    """Nothing that follows in this file can be understood or is worth its memory."""


class _Open:
    """A mapping or sequence whose end has not come yet."""

    __slots__ = ("first_lines", "key", "key_at", "mark", "skip", "value")

    def __init__(self, value: Json, mark: Mark) -> None:
        self.value = value
        self.mark = mark
        self.key: str | None = None
        self.key_at = (0, 0)
        self.skip = False
        """True while the value of a key that was already refused is read and dropped."""
        self.first_lines: dict[str, int] = {}


def _at(event: yaml.Event) -> tuple[int, int]:
    mark = event.start_mark
    return (mark.line + 1, mark.column + 1) if mark is not None else (1, 1)


class _Builder:
    """Turns parser events into data and marks without recursion."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.findings: list[Finding] = []
        self.data: Json = None
        self.root = Mark(1, 1, 1, 1)
        self.empty = True
        self._open: list[_Open] = []
        self._documents = 0
        self._values = 0

    def take(self, event: yaml.Event) -> None:
        match event:
            case yaml.ScalarEvent():
                self._scalar(event)
            case yaml.MappingStartEvent() | yaml.SequenceStartEvent():
                self._start(event)
            case yaml.MappingEndEvent() | yaml.SequenceEndEvent():
                self._open.pop()
            case yaml.AliasEvent():
                self._refuse(event, "alias", "aliases are not allowed; write the value out", stop=True)
            case yaml.DocumentStartEvent():
                self._documents += 1
                if self._documents > 1:
                    self._refuse(event, "documents", "one file holds one document; remove what follows", stop=True)
                if event.version or event.tags:
                    self._refuse(event, "directive", "directives are not allowed; remove the % line", stop=True)
            case _:
                pass

    def _scalar(self, event: yaml.ScalarEvent) -> None:
        self._check_node(event)
        parent = self._open[-1] if self._open else None
        if parent is not None and isinstance(parent.value, dict) and parent.key is None and not parent.skip:
            self._key(parent, event)
            return
        self._place(self._resolved(event), event)

    def _start(self, event: yaml.MappingStartEvent | yaml.SequenceStartEvent) -> None:
        self._check_node(event)
        if len(self._open) >= MAX_DEPTH:
            self._refuse(event, "too-deep", f"nesting is limited to {MAX_DEPTH} levels", stop=True)
        parent = self._open[-1] if self._open else None
        if parent is not None and isinstance(parent.value, dict) and parent.key is None and not parent.skip:
            self._refuse(event, "key-type", "a key must be a plain or quoted string", stop=True)
        value: Json = {} if isinstance(event, yaml.MappingStartEvent) else []
        self._open.append(_Open(value, self._place(value, event)))

    def _key(self, parent: _Open, event: yaml.ScalarEvent) -> None:
        name = event.value
        at = _at(event)
        if not event.style and name == "<<":
            self._refuse(event, "merge-key", "merge keys are not allowed; write the values out")
        elif not event.style and (not isinstance(self._resolved(event), str) or looks_like_a_date(name)):
            self._refuse(event, "key-type", f"{short(name)} is not a string to every reader; put it in quotes")
        elif name in parent.value:
            first = parent.first_lines[name]
            self._refuse(event, "duplicate-key", f"{short(name)} is already declared in line {first}; keep one of them")
        else:
            parent.first_lines[name] = at[0]
            parent.key, parent.key_at = name, at
            return
        parent.skip = True

    def _place(self, value: Json, event: yaml.NodeEvent) -> Mark:
        line, column = _at(event)
        if not self._open:
            self.data, self.empty = value, value is None
            self.root = Mark(line, column, line, column)
            return self.root
        parent = self._open[-1]
        if parent.skip:
            parent.skip = False
            return Mark(line, column, line, column)
        if isinstance(parent.value, list):
            mark = Mark(line, column, line, column)
            parent.mark.adopt(len(parent.value), mark)
            parent.value.append(value)
            return mark
        assert parent.key is not None  # noqa: S101  (`_scalar` and `_start` take the key before they place a value)
        mark = Mark(line, column, *parent.key_at)
        parent.value[parent.key] = value
        parent.mark.adopt(parent.key, mark)
        parent.key = None
        return mark

    def _resolved(self, event: yaml.ScalarEvent) -> Json:
        if event.style:
            return event.value
        value, refusal = plain_value(event.value)
        if refusal is not None:
            self._refuse(event, *refusal)
        return value

    def _check_node(self, event: yaml.NodeEvent) -> None:
        self._values += 1
        if self._values > MAX_VALUES:
            self._refuse(event, "too-many", f"a file holds at most {MAX_VALUES} values", stop=True)
        if event.anchor is not None:
            self._refuse(event, "anchor", "anchors are not allowed; write the value out", stop=True)
        if getattr(event, "tag", None) is not None:
            self._refuse(event, "tag", "tags are not allowed; remove it", stop=True)

    def _refuse(self, event: yaml.Event, code: str, message: str, *, stop: bool = False) -> None:
        self.findings.append(Finding(self.file, *_at(event), code, message))
        if stop:
            raise _Stop
