"""Accounts and bindings.

Where people are local we make the account: no password, two required actions. Where they are
federated they appear by themselves at their first login, and their bindings wait until then. Who an
account belongs to is its e-mail address, so only a verified one is given anything.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from admin_sync.desired.parts import Parts
from admin_sync.desired.providers import mapped_groups
from admin_sync.load.document import BINDINGS
from admin_sync.load.schema import Binding
from admin_sync.model import MANAGED_BY, Pending, Position, Ref, Resource
from admin_sync.refs import BINDING, CLIENT_ROLE, client_role_binding, group_binding, role_binding, user

FIRST_ACTIONS: Final = ("UPDATE_PASSWORD", "tradepulse-choose-factor")


def people(parts: Parts) -> None:
    """Every binding that is in force here, the accounts they need, and the memberships that providers keep."""
    ended: set[Ref] = set()
    for number, binding in enumerate(parts.document.bindings.bindings):
        if parts.environment not in binding.environments:
            continue
        email = binding.subject.user
        if parts.document.barred(email):
            continue
        origin = parts.document.at(BINDINGS, "bindings", number)
        ref, target = _grant(binding)
        present = person(parts, email, origin, ref)
        if binding.expires is not None and binding.expires <= parts.document.now:
            ended.add(ref)
            parts.pending = [pending for pending in parts.pending if pending.ref != ref or pending.origin != origin]
            parts.warnings.append(
                f"{ref}: expired on {binding.expires:%Y-%m-%d %H:%M} UTC and is not granted ({origin})"
            )
            continue
        if present and "owner" in target and not parts.has(Ref(CLIENT_ROLE, f"{target['owner']}/{target['role']}")):
            parts.wait(ref, origin, f"client {target['owner']} is not in {parts.environment}")
        elif present and not parts.has(ref):
            parts.add(ref, origin, {"user": email.lower(), **target})
    _barred(parts)
    _keep_federated_memberships(parts, ended)


def _barred(parts: Parts) -> None:
    """Accounts of people who are barred stay, disabled: what they did is told by the account's id for years."""
    for number, one in enumerate(parts.document.bindings.barred):
        ref = user(one.user)
        if ref in parts.current.resources:
            origin = parts.document.at(BINDINGS, "barred", number)
            parts.resources[ref] = Resource(ref, {"enabled": False}, origin=origin)


def _grant(binding: Binding) -> tuple[Ref, dict[str, str]]:
    """What a binding is called, and what it gives."""
    email = binding.subject.user
    if binding.role is not None:
        return role_binding(email, binding.role), {"role": binding.role}
    if binding.group is not None:
        return group_binding(email, binding.group), {"group": binding.group}
    client, _, role = (binding.client_role or "").partition("/")
    return client_role_binding(email, client, role), {"owner": client, "role": role}


def person(parts: Parts, email: str, origin: Position, ref: Ref) -> bool:
    """Whether the account that `ref` is for exists or will; otherwise `ref` is noted as pending."""
    account = user(email)
    found = parts.current.resources.get(account)
    if found is not None and not found.attrs.get("email_verified"):
        # Not `wait`: a grant that it already has is not to be kept either.
        reason = "the account's e-mail address is not verified, so it may be somebody else's"
        parts.pending.append(Pending(ref, reason, origin))
        parts.keep(account)
        return False
    if parts.local:
        if not parts.has(account):
            parts.resources[account] = _account(account, origin, found)
    elif found is None:
        parts.wait(ref, origin, "the person has not logged in yet")
        return False
    return True


def _account(ref: Ref, origin: Position, found: Resource | None) -> Resource:
    if found is not None:
        # An account that exists belongs to its person; we gave it its first actions and nothing since.
        return Resource(ref, {}, origin=origin)
    attrs = {
        "email": ref.name,
        "email_verified": True,
        "required_actions": list(FIRST_ACTIONS),
        "managed_by": MANAGED_BY,
    }
    return Resource(ref, attrs, origin=origin)


def _keep_federated_memberships(parts: Parts, ended: Collection[Ref]) -> None:
    """Group memberships that an identity provider gave and takes away again itself.

    One that a binding gave and that has ended goes, and so does one whose line is known to have left the file: nobody
    can tell it from the provider's, and kept it would outlive its end for as long as a session. Where the provider
    gives it too, the next login through it gives it back.
    """
    mapped = mapped_groups(parts)
    released = parts.facts.released.get(parts.environment, ())
    for ref, found in parts.current.resources.items():
        if ref.kind != BINDING or "group" not in found.attrs or "user" not in found.attrs or parts.has(ref):
            continue
        if ref in ended or ref in released:
            continue
        if parts.document.barred(found.attrs["user"]):
            continue
        account = parts.current.resources.get(user(found.attrs["user"]))
        linked = account.attrs.get("providers", ()) if account is not None else ()
        if any(found.attrs["group"] in mapped.get(alias, ()) for alias in linked):
            parts.keep(ref)
