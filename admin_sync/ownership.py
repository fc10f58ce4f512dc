"""What people, clients and tokens of ours hold that nobody declared, and what becomes of it. Pure.

A role or a group of ours given by hand is simply not in the desired state and goes. This is about
the rest: rights in `realm-management`, other people's roles and groups, additions to what every new
account gets, settings of the realm and of our clients that the configuration has no word for. By default they are
reported, because whoever gave them may be no stranger; `undeclared_grants: remove` in
`policies.yaml` takes them away, and `accepted_grants` names those that may stay.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from admin_sync import static_secrets
from admin_sync.load.document import Document
from admin_sync.model import Current, Desired, Ref, Resource, index
from admin_sync.refs import BINDING, CLIENT, PROVIDER, RIGHT, USER

HARMLESS: Final = frozenset(
    {
        "backchannel.logout.session.required",
        "backchannel.logout.revoke.offline.tokens",
        "client.secret.creation.time",
        "client.use.lightweight.access.token.enabled",
        "display.on.consent.screen",
        "dpop.bound.access.tokens",
        "frontchannel.logout.session.required",
        "logoUri",
        "policyUri",
        "require.pushed.authorization.requests",
        "tls.client.certificate.bound.access.tokens",
        "token.response.type.bearer.lower-case",
        "tosUri",
        "use.refresh.tokens",
    }
)
"""Attributes of a client that open nothing: what Keycloak notes by itself, how things look, what only narrows."""

_OFF: Final = frozenset({"", "false"})

_NARROWEST: Final = {
    # The realm's own policy writes it on clients that it enforces PKCE for; `plain` would take S256's place.
    "pkce.code.challenge.method": "S256",
}
"""Attributes of a client that open nothing at one value only."""


@dataclass(frozen=True, slots=True, order=True)
class Undeclared:
    """One thing that is held and not declared."""

    holder: str
    grant: str
    removed: bool
    """Whether the plan takes it away."""

    def __str__(self) -> str:
        fate = "goes" if self.removed else "stays; declare it, accept it in accepted_grants, or take it away"
        return f"{self.holder} has {self.grant}, which nobody declared: it {fate}"


def settle(document: Document, desired: Desired, current: Current) -> tuple[Desired, Current, tuple[Undeclared, ...]]:
    """Both states as they are to be compared, and what nobody declared.

    Where policy removes, a right becomes ours to delete in the current state, and an attribute of a
    client one that must be absent in the desired state.
    """
    remove = document.policies.undeclared_grants == "remove"
    accepted = _accepted(document, desired.environment)
    wanted, had = dict(desired.resources), dict(current.resources)
    found: list[Undeclared] = []
    for ref, holder, grant in _rights(desired, current):
        if (holder, grant) not in accepted:
            # An opening goes by the hand of whoever made it: accounts, links and tokens hang on it.
            goes = remove and "opening" not in had[ref].attrs
            found.append(Undeclared(holder, grant, goes))
            if goes:
                had[ref] = replace(had[ref], managed=True)
    for ref, name in _attributes(desired, current):
        holder, grant = f"client {ref.name}", f"attribute {name}"
        if (holder, grant) not in accepted:
            found.append(Undeclared(holder, grant, remove))
            if remove:
                wanted[ref] = _without(wanted[ref], name)
    for client in static_secrets.held(document, current):
        # Never taken away by us: whoever runs that client has to give it a key first.
        if (f"client {client}", static_secrets.GRANT) not in accepted:
            found.append(Undeclared(f"client {client}", static_secrets.GRANT, removed=False))
    if not remove:
        return desired, current, tuple(sorted(found))
    settled = replace(current, resources=index(had.values()))
    return replace(desired, resources=index(wanted.values())), settled, tuple(sorted(found))


def people(desired: Desired, current: Current) -> frozenset[str]:
    """The people who are our concern: those we made, and those whom the configuration gives something."""
    made = {ref.name for ref, one in current.resources.items() if ref.kind == USER and one.managed}
    named = {str(one.attrs["user"]) for one in _known(desired, current) if "user" in one.attrs}
    return frozenset(made | named | {ref.name for ref in desired.resources if ref.kind == USER})


def _known(desired: Desired, current: Current) -> Iterator[Resource]:
    for ref, one in desired.resources.items():
        if ref.kind == BINDING:
            yield one if one.attrs else current.resources.get(ref, one)


def _rights(desired: Desired, current: Current) -> Iterator[tuple[Ref, str, str]]:
    ours = people(desired, current)
    for ref, one in current.resources.items():
        if ref.kind != RIGHT:
            continue
        holder, _, grant = ref.name.partition(" has ")
        if Ref(PROVIDER, str(one.attrs.get("provider"))) in desired.resources:
            continue
        if "user" not in one.attrs or one.attrs["user"] in ours:
            yield ref, holder, grant


def _attributes(desired: Desired, current: Current) -> Iterator[tuple[Ref, str]]:
    for ref, one in desired.resources.items():
        found = current.resources.get(ref)
        if ref.kind != CLIENT or found is None or not found.managed or "attributes" not in one.attrs:
            continue
        declared: Mapping[str, Any] = one.attrs["attributes"]
        for name, value in sorted(found.attrs.get("attributes", {}).items()):
            harmless = name in HARMLESS or str(value) in _OFF or value == _NARROWEST.get(name)
            if name not in declared and not harmless:
                yield ref, name


def _without(client: Resource, attribute: str) -> Resource:
    attributes = {**client.attrs["attributes"], attribute: None}
    return replace(client, attrs={**client.attrs, "attributes": attributes})


def _accepted(document: Document, environment: str) -> frozenset[tuple[str, str]]:
    return frozenset(
        (one.holder, one.grant)
        for one in document.policies.accepted_grants
        if (one.environments is None or environment in one.environments)
        and (one.expires is None or one.expires > document.now)
    )
