"""How the objects of a realm are called: one function per kind, so that both sides agree.

Names are what a person would write. A binding's name is a sentence: who, then what.
"""

from __future__ import annotations

from typing import Final

from admin_sync.model import Ref

REALM_RULE: Final = "realm_rule"
ROLE: Final = "role"
GROUP: Final = "group"
CLIENT: Final = "client"
CLIENT_ROLE: Final = "client_role"
PROVIDER: Final = "identity_provider"
PROVIDER_MAPPER: Final = "identity_provider_mapper"
ORGANIZATION: Final = "organization"
ORGANIZATION_GROUP: Final = "organization_group"
USER: Final = "user"
BINDING: Final = "binding"
RIGHT: Final = "right"

IAM_ORDER: Final = (
    REALM_RULE,
    ROLE,
    GROUP,
    PROVIDER,
    PROVIDER_MAPPER,
    CLIENT,
    CLIENT_ROLE,
    ORGANIZATION,
    ORGANIZATION_GROUP,
    USER,
    BINDING,
    RIGHT,
)
"""The kinds of this configuration; each comes after those it depends on."""


def user(email: str) -> Ref:
    """A person, by e-mail address without regard to case."""
    return Ref(USER, email.lower())


def role_binding(email: str, role: str) -> Ref:
    """A person's direct grant of a realm role."""
    return Ref(BINDING, f"{email.lower()} role {role}")


def client_role_binding(email: str, client: str, role: str) -> Ref:
    """A person's direct grant of a client's role."""
    return Ref(BINDING, f"{email.lower()} client {client} role {role}")


def group_binding(email: str, path: str) -> Ref:
    """A person's membership of a group."""
    return Ref(BINDING, f"{email.lower()} group {path}")


def partner_binding(email: str, alias: str, role: str) -> Ref:
    """A person's membership of a partner, with a role there."""
    return Ref(BINDING, f"{email.lower()} partner {alias} {role}")


def service_binding(client: str, role: str) -> Ref:
    """A realm role of a client's service account."""
    return Ref(BINDING, f"client {client} role {role}")


def service_right(client: str, owner: str, role: str) -> Ref:
    """A client role (a right in the realm) of a client's service account."""
    return Ref(BINDING, f"client {client} right {owner}:{role}")


def service_membership(client: str, path: str) -> Ref:
    """A client's service account in a group."""
    return Ref(BINDING, f"client {client} group {path}")


def default_group(path: str) -> Ref:
    """A group that every new account is put in."""
    return Ref(BINDING, f"every new account group {path}")


def stray_binding(kind: str, holder: str, role: str) -> Ref:
    """One of our roles given to a group or a role that is not ours."""
    return Ref(BINDING, f"{kind} {holder} role {role}")


def right(holder: str, gives: str) -> Ref:
    """Something of somebody else's that a holder has, and that this configuration has no word for."""
    return Ref(RIGHT, f"{holder} has {gives}")
