"""Data against its schema: pydantic's errors as findings at the place in the file.

Where something is malformed it is cut out and the rest is tried again, so that the checks of
meaning can still run on everything else and one run reports all there is to correct.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any, Final, TypeVar

from pydantic import BaseModel, ValidationError

from admin_sync.errors import Finding
from admin_sync.load.positions import PathPart, Source
from admin_sync.model import Json

_CODES: Final = {
    "missing": ("missing", "this has to be declared"),
    "extra_forbidden": ("unknown-field", "there is no such field here"),
    "union_tag_not_found": ("missing", "declare its type"),
}
_ROUNDS: Final = 100
"""How often a malformed part is cut out before the file is given up."""

Model = TypeVar("Model", bound=BaseModel)


def shaped(source: Source, data: Json, schema: type[Model], dropped: set[str]) -> tuple[Model | None, list[Finding]]:
    """The data as a model, without what is malformed; the names of what was cut out go to `dropped`."""
    findings: list[Finding] = []
    rest = data
    first = True
    for _ in range(_ROUNDS):
        try:
            return schema.model_validate(rest), findings
        except ValidationError as problem:
            errors = problem.errors(include_url=False, include_input=False, include_context=False)
        if first:
            # What a cut leaves behind is not the author's mistake: only the first round is reported.
            findings = [_finding(source, error) for error in errors]
            rest = deepcopy(data)
            first = False
        paths = {_path(rest, error["loc"]) for error in errors}
        # Later elements of a list go first, so that the indices of the earlier ones stay true.
        for path in sorted(paths, key=lambda one: [(str(type(part)), part) for part in one], reverse=True):
            if not _cut(rest, path, dropped):
                return None, findings
    return None, findings


def _finding(source: Source, error: Mapping[str, Any]) -> Finding:
    kind = str(error["type"])
    path = _path(source.data, error["loc"])
    field = ".".join(map(str, path))
    if kind in _CODES:
        code, message = _CODES[kind]
    else:
        # Codes of our own are words with dashes; pydantic's have an underscore.
        code, message = (kind if "_" not in kind else "wrong-value"), str(error["msg"])
    # A mapping is named by its key; where its first line happens to be says nothing.
    at_key = kind == "extra_forbidden" or "[key]" in error["loc"] or isinstance(_at(source.data, path), dict)
    return Finding.at(source.position(path, key=at_key), code, f"{field}: {message}" if field else message)


def _path(data: Json, loc: Sequence[PathPart]) -> tuple[PathPart, ...]:
    """pydantic's location without what is not in the file: union tags, and the mark of a bad key."""
    path: list[PathPart] = []
    here = data
    parts = [part for part in loc if part != "[key]"]
    for number, part in enumerate(parts):
        if _has(here, part):
            here = here[part]
        elif number + 1 < len(parts):
            continue
        else:
            here = None
        path.append(part)
    return tuple(path)


def _at(data: Json, path: Sequence[PathPart]) -> Json:
    for part in path:
        data = data[part] if _has(data, part) else None
    return data


def _has(value: Json, part: PathPart) -> bool:
    if isinstance(value, list):
        return isinstance(part, int) and part < len(value)
    return isinstance(value, dict) and part in value


def _cut(data: Json, path: tuple[PathPart, ...], dropped: set[str]) -> bool:
    """Remove what stands at `path`, or for what is missing there, that which lacks it."""
    here = data
    holders = []
    for part in path:
        if not _has(here, part):
            break
        holders.append((here, part))
        here = here[part]
    if not holders:
        return False
    holder, part = holders[-1]
    removed = holder.pop(part)
    dropped.update(str(one) for one in (part, removed) if isinstance(one, str))
    return True
