"""The state that is being put together, with what every part of it needs to know."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from admin_sync.check.addresses import allowed
from admin_sync.desired.facts import Facts
from admin_sync.load.document import Document
from admin_sync.model import Current, Json, Pending, Position, Ref, Resource


@dataclass(slots=True)
class Parts:
    """Collects resources, pending items and warnings for one environment."""

    document: Document
    environment: str
    current: Current
    facts: Facts
    resources: dict[Ref, Resource] = field(default_factory=dict)
    pending: list[Pending] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    @property
    def local(self) -> bool:
        """Whether the accounts of this environment are made by us."""
        return self.document.policies.people.get(self.environment) == "local"

    def here(self, environments: list[str] | None) -> bool:
        """Whether something that is limited to some environments exists in this one."""
        return environments is None or self.environment in environments

    def allowed(self, url: str, *, redirect: bool = False) -> bool:
        """Whether this environment takes a URL; plain http is for environments of local people."""
        return allowed(self.document, self.environment, url, redirect=redirect)

    def add(self, ref: Ref, origin: Position | None, attrs: Mapping[str, Json], secrets: Iterable[str] = ()) -> None:
        """Something that should exist. What is declared twice is meant once."""
        self.resources.setdefault(ref, Resource(ref, attrs, secrets=frozenset(secrets), origin=origin))

    def has(self, ref: Ref) -> bool:
        """Whether something that should exist has been added already."""
        return ref in self.resources

    def wait(self, ref: Ref, origin: Position | None, reason: str) -> None:
        """Something that cannot be made yet. What already exists of it stays as it is."""
        self.pending.append(Pending(ref, reason, origin))
        self.keep(ref)

    def keep(self, ref: Ref) -> None:
        """Leave an object as the server has it."""
        if ref in self.current.resources:
            self.add(ref, None, {})
