"""What all commands share: the options, the checked document, the session."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from admin_sync.check import checked
from admin_sync.console import Console
from admin_sync.desired.facts import gather
from admin_sync.errors import Finding, InvalidInput
from admin_sync.keycloak.choice import Choice
from admin_sync.keycloak.connection import Connection
from admin_sync.load.document import Document
from admin_sync.repository import Repository, repository_settings
from admin_sync.settings import Settings, settings
from admin_sync.sync import Session

DEFAULT_CONFIG: Final = Path("configs/iam")

Command = Callable[[], int]
"""A command with its options filled in; its result is the exit code."""


@dataclass(frozen=True, slots=True)
class Options:
    """The global options of a run, and the environment it runs in."""

    config: Path
    environments: tuple[str, ...]
    console: Console
    environ: Mapping[str, str] = field(default_factory=lambda: dict(os.environ), repr=False)

    def document(self) -> Document:
        """The valid configuration. Raises InvalidInput."""
        document = checked(self.config, self.environ)
        self.wanted(document)
        return document

    def in_force(self) -> Document:
        """The configuration that is in force: of the repository's head, where there is one and no --config was given.

        Of a file that somebody is just editing nobody should be frozen, offboarded or let in again. Raises InvalidInput
        and what the repository raises.
        """
        if not self.environ.get("ADMIN_SYNC_REPOSITORY") or self.config != DEFAULT_CONFIG:
            return self.document()
        document = Repository(repository_settings(self.environ)).document()
        self.wanted(document)
        return document

    def wanted(self, document: Document) -> tuple[str, ...]:
        """The environments that the run is about. Raises InvalidInput for one that is not declared."""
        unknown = [name for name in self.environments if name not in document.environments]
        if unknown:
            known = ", ".join(document.environments)
            place = document.at("roles.yaml", "environments", key=True)
            message = f"--env {unknown[0]}: there is no such environment; there are {known}"
            raise InvalidInput([Finding.at(place, "unknown-environment", message)])
        return tuple(dict.fromkeys(self.environments)) or document.environments

    def settings(self) -> Settings:
        """The settings. Raises Misconfigured."""
        return settings(self.environ)

    def session(self, document: Document, *, gateway: Choice | None = None, parallelism: int | None = None) -> Session:
        """A session with Keycloak; the settings say what is not given. Raises Misconfigured and KeycloakProblem."""
        made = self.settings()
        made = replace(made, gateway=gateway or made.gateway, parallelism=parallelism or made.parallelism)
        account = made.account()
        facts = gather(document, self.wanted(document), made.jwks_dir)
        connection = Connection(account, parallel=made.parallelism)
        return Session(document, made, connection, facts, note=self.console.progress, warn=self.console.say)
