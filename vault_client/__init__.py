"""The vault for programs and for operators: a small typed client, and the command `vault`.

    from vault_client import VaultClient, ServiceKey
    with VaultClient("https://vault.example", ServiceKey(...)) as vault:
        token = vault.release("acme-capital", "main").token      # a Secret, which shows itself nowhere

    client.py       the calls, one method each; `transport.py` sends, retries and turns problems into exceptions
    models.py       what comes back; secrets are of type `Secret`
    errors.py       every problem of the vault as an exception, a step-up demand among them
    bearer.py       where the bearer token comes from: a file, a callable, a service's key
    person.py       or the person who logged in on this host, who is asked to prove more when the vault demands it
    cli.py          the command; `commands/` has its subcommands, `output.py` how they answer

It talks to the vault's public API only and imports nothing of the service. Requests are repeated only
where that changes nothing: reading, a release, and a store that carries its Idempotency-Key.
"""

from __future__ import annotations

from identity.secret import Secret
from vault_client.bearer import Bearer, BearerFile, BearerUnavailable, ServiceKey
from vault_client.client import VaultClient
from vault_client.errors import (
    BadRequest,
    Conflict,
    NotAllowed,
    NotAuthenticated,
    NotFound,
    StepUpRequired,
    Unavailable,
    Unreachable,
    VaultError,
)
from vault_client.models import Credential, Lease, LentCredential, Released, TokenSet
from vault_client.person import Person

__all__ = [
    "BadRequest",
    "Bearer",
    "BearerFile",
    "BearerUnavailable",
    "Conflict",
    "Credential",
    "Lease",
    "LentCredential",
    "NotAllowed",
    "NotAuthenticated",
    "NotFound",
    "Person",
    "Released",
    "Secret",
    "ServiceKey",
    "StepUpRequired",
    "TokenSet",
    "Unavailable",
    "Unreachable",
    "VaultClient",
    "VaultError",
]
