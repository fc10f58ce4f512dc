"""Where everything of one embedded stack lies.

Tools are shared by every stack of a checkout; data, secrets and logs belong to one state directory,
so that a second stack (the tests' own) runs beside the first.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent

STATE_VARIABLE = "TRADEPULSE_STACK_DIR"
"""Names another state directory than `.stack` of the checkout; relative paths count from the checkout."""


class StateUnusable(Exception):
    """The state directory holds what is not a stack's; the text says the next step."""


@dataclass(frozen=True)
class Layout:
    """The directories of one stack."""

    state: Path
    checkout: Path = CHECKOUT

    @classmethod
    def here(cls) -> Layout:
        """The layout that the environment asks for."""
        # An empty variable names nothing; joined to the checkout it would name the checkout itself.
        return cls(Path(os.path.normpath(CHECKOUT / (os.environ.get(STATE_VARIABLE) or ".stack"))))

    @property
    def is_default(self) -> bool:
        """Whether this is the checkout's own `.stack`."""
        return self.state == self.checkout / ".stack"

    @property
    def tools(self) -> Path:
        """Downloaded and built programs, shared by all stacks of this checkout."""
        return self.checkout / ".tools"

    @property
    def venv(self) -> Path:
        """The checkout's Python environment."""
        return self.checkout / ".venv"

    @property
    def python(self) -> Path:
        """The interpreter of that environment."""
        return self.venv / "bin" / "python"

    @property
    def run(self) -> Path:
        """What the supervisor and `make` tell each other: state.json, services.json, locks."""
        return self.state / "run"

    @property
    def logs(self) -> Path:
        """One file per service and per installation step."""
        return self.state / "logs"

    @property
    def secrets(self) -> Path:
        """Generated once; 0700, every file 0600."""
        return self.state / "secrets"

    @property
    def clients(self) -> Path:
        """Public JWKS of our confidential clients, one file per client id."""
        return self.state / "clients"

    @property
    def bundles(self) -> Path:
        """Where admin-sync publishes the signed policy bundle and OPA picks it up."""
        return self.state / "bundles"

    @property
    def iam(self) -> Path:
        """The repository of the configuration, with configs/iam in it: grants are committed here."""
        return self.state / "iam"

    @property
    def roster(self) -> Path:
        """The HR roster that this stack's requests go by."""
        return self.state / "hr" / "roster.csv"

    @property
    def audit(self) -> Path:
        """Audit files: the names that other systems rely on for `.stack`, the state directory's own for any other."""
        return self.checkout / "observability" / "audit" if self.is_default else self.state / "audit"

    @property
    def environment(self) -> Path:
        """KEY=VALUE lines with every setting of this stack; no secret, only paths of them."""
        return self.state / "env"

    @property
    def opa_config(self) -> Path:
        """OPA's configuration."""
        return self.state / "opa.yaml"

    def secret(self, name: str) -> Path:
        """The file that holds one secret."""
        return self.secrets / name

    @property
    def supervisor_lock(self) -> Path:
        """Held by the supervisor while it lives. Its presence also tells a stack's directory from any other."""
        return self.run / "supervisor.lock"

    def check(self) -> None:
        """Raise StateUnusable unless the state directory is a stack's, empty or not there.

        `make reset` deletes it with all that is in it, so it must hold nothing of anybody else's.
        """
        if self.state in (self.checkout, *self.checkout.parents):
            raise StateUnusable(
                f"{STATE_VARIABLE} names {self.state}, which holds the checkout; name a directory of its own"
            )
        try:
            foreign = self.state.exists() and any(self.state.iterdir()) and not self.supervisor_lock.exists()
        except OSError as problem:
            raise StateUnusable(f"{self.state}: {problem.strerror}; set {STATE_VARIABLE} to another place") from problem
        if foreign:
            raise StateUnusable(
                f"{self.state} holds something that is not a stack's; set {STATE_VARIABLE} to a new or empty directory"
            )

    def make(self) -> None:
        """Create the directories, private ones closed to everybody else."""
        # Others may pass through the state directory (PostgreSQL runs as another account) but not list it.
        self.state.mkdir(mode=0o711, parents=True, exist_ok=True)
        self.tools.mkdir(exist_ok=True)
        for private in (
            self.run,
            self.state / "keycloak",
            self.state / "opa",
            self.logs,
            self.secrets,
            self.clients,
            self.bundles,
            self.audit,
        ):
            private.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.supervisor_lock.touch()
