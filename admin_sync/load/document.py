"""The five files as one value, or every finding of the run.

Each file is read to its end even if another is broken, so that one run reports all there is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, TypeVar

from pydantic import BaseModel

from admin_sync.errors import Finding, InvalidInput
from admin_sync.load.expand import expand
from admin_sync.load.positions import PathPart, Source
from admin_sync.load.schema import BindingsFile, BrokersFile, PartnersFile, PoliciesFile, RolesFile
from admin_sync.load.shape import shaped
from admin_sync.load.strict_yaml import scan_file
from admin_sync.model import Position

ROLES: Final = "roles.yaml"
POLICIES: Final = "policies.yaml"
BINDINGS: Final = "role_bindings.yaml"
PARTNERS: Final = "partners.yaml"
BROKERS: Final = "brokers.yaml"

FILES: Final[Mapping[str, type[BaseModel]]] = {
    ROLES: RolesFile,
    POLICIES: PoliciesFile,
    BINDINGS: BindingsFile,
    PARTNERS: PartnersFile,
    BROKERS: BrokersFile,
}
"""What each file of the configuration may hold."""

FileModel = TypeVar("FileModel", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Document:
    """The whole configuration, valid by shape; `admin_sync.check` says whether it makes sense."""

    roles: RolesFile
    policies: PoliciesFile
    bindings: BindingsFile
    partners: PartnersFile
    brokers: BrokersFile
    sources: Mapping[str, Source]
    environ: Mapping[str, str]
    """The environment variables that `${…}`, `enabled_if` and secret references are looked up in."""
    now: datetime
    """When it was loaded; expiry is judged by this one instant throughout a run."""
    dropped: frozenset[str] = frozenset()
    """Names whose declaration was malformed; empty in a document that `load` returns."""
    derived: dict[tuple[str, str], Any] = field(default_factory=dict, init=False, repr=False, compare=False)
    """What `admin_sync.holdings` worked out once; a document never changes."""

    @property
    def environments(self) -> tuple[str, ...]:
        """The names of the environments in the order of the file."""
        return tuple(self.roles.environments)

    def barred(self, email: str) -> bool:
        """Whether a person, called in any case, holds nothing here although something may be declared for them."""
        if ("barred", "") not in self.derived:
            self.derived["barred", ""] = frozenset(one.user.lower() for one in self.bindings.barred)
        return email.lower() in self.derived["barred", ""]

    def at(self, file: str, *path: PathPart, key: bool = False) -> Position:
        """Where the value at `path` of a file stands, or the nearest parent that exists."""
        return self.sources[file].position(path, key=key)

    def enabled(self, condition: str | None) -> bool:
        """Whether an `enabled_if` holds: its variable is set and not empty."""
        return condition is None or bool(self.environ.get(condition))


def load(directory: Path, environ: Mapping[str, str]) -> Document:
    """The configuration in a directory. Raises InvalidInput with all findings of all files."""
    document, findings = scan(directory, environ)
    if findings or document is None:
        raise InvalidInput(findings)
    return document


def scan(
    directory: Path, environ: Mapping[str, str], *, now: datetime | None = None
) -> tuple[Document | None, list[Finding]]:
    """What of a directory can be understood, and what is wrong with its shape.

    A document that comes with findings lacks the entries they are about (`Document.dropped`). It
    serves to check the rest in the same run and is never to be acted upon.
    """
    if not directory.is_dir():
        return None, [Finding(str(directory), 1, 1, "unreadable", "there is no such directory; see --config")]
    findings: list[Finding] = []
    sources: dict[str, Source] = {}
    models: dict[str, BaseModel] = {}
    dropped: set[str] = set()
    try:
        listed = sorted(directory.iterdir())
    except OSError as problem:
        reason = problem.strerror or type(problem).__name__
        return None, [Finding(str(directory), 1, 1, "unreadable", f"{reason}; the directory must be readable")]
    for stray in listed:
        if stray.suffix in {".yaml", ".yml"} and stray.name not in FILES:
            names = ", ".join(FILES)
            findings.append(
                Finding(stray.name, 1, 1, "unknown-file", f"nothing reads this file; the files are {names}")
            )
    for name, schema in FILES.items():
        source, wrong = scan_file(directory / name)
        findings.extend(wrong)
        if source is None:
            continue
        sources[name] = source
        data, wrong = expand(source, environ)
        findings.extend(wrong)
        model, wrong = shaped(source, data, schema, dropped)
        findings.extend(wrong)
        if model is not None:
            models[name] = model
    if len(models) < len(FILES):
        return None, findings
    document = Document(
        roles=_as(RolesFile, models[ROLES]),
        policies=_as(PoliciesFile, models[POLICIES]),
        bindings=_as(BindingsFile, models[BINDINGS]),
        partners=_as(PartnersFile, models[PARTNERS]),
        brokers=_as(BrokersFile, models[BROKERS]),
        sources=sources,
        environ=environ,
        now=now or datetime.now(UTC),
        dropped=frozenset(dropped),
    )
    return document, findings


def _as(model: type[FileModel], value: BaseModel) -> FileModel:
    if not isinstance(value, model):
        raise TypeError(f"{type(value).__name__} is not {model.__name__}")
    return value
