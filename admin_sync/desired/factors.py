"""A second factor before any grant (`access_requests.mfa_before_grant`).

A new grant to a person who has no second factor waits until they register one: their password alone, which
may have come by mail, must not be worth a role. A factor is a security key, a passkey, an authenticator
app, or an account at an identity provider whose word about a second factor is trusted here
(`identity_providers.<alias>.assurance`). Recovery codes prove a factor that was lost and are none themselves.

What somebody holds already stays when they lose their factors: a broken phone must not take the on-call
engineer's roles at the next tick, and without a factor no login reaches the level that any role needs. Taking
the grant away is a decision, made in `role_bindings.yaml`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from admin_sync.desired.parts import Parts
from admin_sync.model import Current, Desired, Pending, Ref
from admin_sync.refs import BINDING, PROVIDER, user

NO_FACTOR: Final = "no second factor is registered yet; it takes effect when the person registers one"

_PROVES: Final = frozenset({"aal2", "aal3"})


def wait_for_factors(parts: Parts) -> None:
    """New grants to people without a second factor become pending. To be called when all grants are there.

    Whatever made a grant desired, it comes by here: bindings, partners' administrators, and what is added later.
    """
    if not parts.document.policies.access_requests.mfa_before_grant:
        return
    trusted = _trusted(parts)
    for ref, resource in list(parts.resources.items()):
        person = resource.attrs.get("user") if ref.kind == BINDING else None
        if person is None or ref in parts.current.resources or _has_factor(parts, person, trusted):
            continue
        del parts.resources[ref]
        parts.pending.append(Pending(ref, NO_FACTOR, resource.origin, awaits=person))


def undecided(desired: Desired, current: Current) -> Mapping[str, str]:
    """The accounts whose second factor decides about a grant: server ids by e-mail address.

    Nobody who holds everything already is among them, so asking costs nothing in a realm that is settled.
    """
    people = {one.awaits for one in desired.pending if one.awaits is not None}
    accounts = {person: current.resources.get(user(person)) for person in sorted(people)}
    return {person: found.server_id for person, found in accounts.items() if found is not None and found.server_id}


def _trusted(parts: Parts) -> frozenset[str]:
    """The identity providers here whose word can be worth a second factor."""
    return frozenset(
        alias
        for alias, provider in parts.document.roles.identity_providers.items()
        if provider.assurance is not None
        and parts.has(Ref(PROVIDER, alias))
        and not _PROVES.isdisjoint(provider.assurance.levels.values())
    )


def _has_factor(parts: Parts, person: str, trusted: frozenset[str]) -> bool:
    account = parts.current.resources.get(user(person))
    if account is None:
        return False
    return person in parts.current.second_factors or not trusted.isdisjoint(account.attrs.get("providers", ()))
