"""Clients that prove themselves with a secret which has to be copied, kept twice and rotated by hand. Pure.

Our own never do (docs/decisions/0005), so what is found here was made by somebody else. `policies.yaml` forbids it,
and names in `service_accounts.exceptions` what may stay for a while.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from admin_sync.load.document import Document
from admin_sync.model import Current, Resource
from admin_sync.refs import CLIENT

GRANT: Final = "a static secret"
"""How a plan calls it, and `accepted_grants`."""

SECRETS: Final = frozenset({"client-secret", "client-secret-jwt"})
"""Keycloak's client authenticators that compare or sign with a shared secret."""

KEYS: Final = frozenset({"client-jwt", "client-x509"})
"""Those that prove a private key."""

FEDERATED: Final = "federated-jwt"
"""The one where a platform vouches for its workload, which holds nothing at all."""


def confidential(current: Current) -> Iterator[Resource]:
    """The clients of a realm that can authenticate: enabled, neither public nor bearer-only."""
    for ref, one in sorted(current.resources.items()):
        attrs: Any = one.attrs
        if ref.kind == CLIENT and attrs.get("enabled") and not attrs.get("public") and not attrs.get("bearer_only"):
            yield one


def held(document: Document, current: Current) -> list[str]:
    """The ids of clients with a static secret that no exception in force allows."""
    return [
        one.ref.name
        for one in confidential(current)
        if one.attrs.get("authenticator") in SECRETS and one.ref.name not in excepted(document)
    ]


def excepted(document: Document) -> frozenset[str]:
    """The clients that may have a secret today."""
    exceptions = document.policies.service_accounts.exceptions
    return frozenset(one.client for one in exceptions if one.expires > document.now)
