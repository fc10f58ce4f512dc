"""vault-api as the stack runs it."""

from __future__ import annotations

from collections.abc import Mapping

from stack.files import digest
from stack.layout import Layout
from stack.service import Service
from stack.steps import UNCHANGED, Commands


def root_key(layout: Layout, commands: Commands, environment: Mapping[str, str]) -> str | None:
    """Have the root key of the development KMS. It is never made twice: what it seals would be lost."""
    if layout.secret("kms.json").exists():
        return UNCHANGED
    commands.run(
        [layout.python, "-m", "vault_api", "kms-init"],
        log=layout.logs / "kms-init.log",
        environment=environment,
        cwd=layout.checkout,
    )
    return None


def migrate(layout: Layout, commands: Commands, environment: Mapping[str, str]) -> None:
    """Bring the vault's schema to the revision of the code."""
    commands.run(
        [layout.python, "-m", "vault_api", "migrate"],
        log=layout.logs / "vault-migrate.log",
        environment=environment,
        cwd=layout.checkout,
    )


def service(layout: Layout, ports: Mapping[str, int], environment: Mapping[str, str]) -> Service:
    """The vault over HTTP. It gets time to finish requests: each ends with a commit."""
    # Only the worker may write salts and move rows; whoever serves requests cannot.
    serving = {key: value for key, value in environment.items() if not key.startswith("VAULT_ROTATOR_")}
    return _program(layout, "vault", ports["vault"], (), serving)


def worker(layout: Layout, ports: Mapping[str, int], environment: Mapping[str, str]) -> Service:
    """What the vault does without being asked. A round that is under way gets time to end."""
    return _program(layout, "vault-worker", ports["vault-worker"], ("worker",), environment)


def _program(
    layout: Layout, name: str, port: int, arguments: tuple[str, ...], environment: Mapping[str, str]
) -> Service:
    url = f"http://127.0.0.1:{port}"
    sources = [layout.checkout / package for package in ("vault_api", "identity")]
    owner = ("VAULT_OWNER_", "ADMIN_SYNC_", "ACCESS_")
    return Service(
        name=name,
        command=(str(layout.python), "-m", "vault_api", *arguments),
        url=url,
        health=f"{url}/health/ready",
        cwd=str(layout.checkout),
        # A running process gets neither the owner's access to its database nor admin-sync's to Keycloak.
        environment={key: value for key, value in environment.items() if not key.startswith(owner)},
        death=15,
        # Requests and rounds in flight get twenty seconds to end.
        stop_seconds=25.0,
        revision=digest(sources),
    )
