"""`${NAME}` and `${NAME:-default}` in strings, after parsing: a variable can never add structure.

An empty variable counts as unset, as in a shell's `:-`. Keys are never expanded.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from admin_sync.errors import Finding
from admin_sync.load.positions import PathPart, Source
from admin_sync.model import Json

# A string ends up in a plan, in a realm and in requests to whichever host a URL names; a secret must not.
_SECRET: Final = re.compile(r"(?i)(^|_)(secret|password|passwd|passphrase|token|credentials?|private|key)(_|$)")
_PLACE: Final = re.compile(r"(?i)_(file|dir|path|url|issuer|id)$")
_REFERENCE: Final = re.compile(r"\$\{(?:([A-Za-z_][A-Za-z0-9_]*)(?::-([^{}]*))?\})?")


def expand(source: Source, environ: Mapping[str, str]) -> tuple[Json, list[Finding]]:
    """The data with its variables filled in, and what could not be."""
    findings: list[Finding] = []

    def one(value: Json, path: tuple[PathPart, ...]) -> Json:
        if isinstance(value, dict):
            return {key: one(child, (*path, key)) for key, child in value.items()}
        if isinstance(value, list):
            return [one(child, (*path, number)) for number, child in enumerate(value)]
        if isinstance(value, str) and "${" in value:
            return _REFERENCE.sub(lambda match: filled(match, path), value)
        return value

    def filled(match: re.Match[str], path: tuple[PathPart, ...]) -> str:
        name, default = match[1], match[2]
        if name is None:
            refuse(path, "variable", "write a variable as ${NAME} or ${NAME:-default}")
            return ""
        if _SECRET.search(name) and not _PLACE.search(name):
            refuse(path, "secret-variable", f"{name} is named like a secret; refer to it as {{env: {name}}}")
            return ""
        found = environ.get(name) or default
        if found is None:
            refuse(path, "unset-variable", f"set the environment variable {name}, or write ${{{name}:-default}}")
            return ""
        if not found.isprintable():
            refuse(path, "variable", f"the environment variable {name} holds control characters")
            return ""
        return found

    def refuse(path: tuple[PathPart, ...], code: str, message: str) -> None:
        findings.append(Finding.at(source.position(path), code, message))

    return one(source.data, ()), findings
