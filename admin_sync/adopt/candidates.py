"""What of a realm this format has words for, and why it has none for the rest."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from admin_sync.check.references import RESERVED_CLIENTS, RESERVED_ROLES
from admin_sync.model import Current, Ref, Resource
from admin_sync.refs import (
    CLIENT,
    CLIENT_ROLE,
    GROUP,
    ORGANIZATION,
    ORGANIZATION_GROUP,
    PROVIDER,
    PROVIDER_MAPPER,
    RIGHT,
    ROLE,
)

_NAME: Final = re.compile(r"[a-z][a-z0-9_.-]{0,254}")
_NAMES: Final = "a name here is lower-case ASCII: a letter, then letters, digits, _ . -"
_WHOLLY: Final[Mapping[str, str]] = {
    PROVIDER: "its secret is not known here; declare it with a reference to the secret to take it over",
    PROVIDER_MAPPER: "it belongs to an identity provider that is not declared",
    ORGANIZATION: "a partner has a persona and a salt of its vault, which only declaring it in partners.yaml makes",
    ORGANIZATION_GROUP: "it belongs to an organization that is not declared",
    RIGHT: "this configuration has no word for it",
}
KINDS: Final = (ROLE, GROUP, CLIENT, CLIENT_ROLE)
"""What can be declared from what a realm says alone, and thus taken over."""


@dataclass(frozen=True, slots=True, order=True)
class Left:
    """One object that is left as it is, and why. `declared` says whether it is written down and compared."""

    ref: Ref
    why: str
    declared: bool = False


def built_in(ref: Ref) -> bool:
    """Whether an object is Keycloak's own, which every realm has and nobody adopts."""
    if ref.kind == ROLE:
        return ref.name in RESERVED_ROLES or ref.name.startswith("default-roles-")
    if ref.kind == CLIENT:
        return ref.name in RESERVED_CLIENTS
    return ref.kind == CLIENT_ROLE and ref.name.partition("/")[0] in RESERVED_CLIENTS


def candidates(current: Current) -> tuple[set[Ref], list[Left]]:
    """The objects that have a name here, and the others with the reason why not."""
    found: set[Ref] = set()
    left: list[Left] = []
    for ref, one in current.resources.items():
        if built_in(ref):
            continue
        if ref.kind in _WHOLLY:
            left.append(Left(ref, _WHOLLY[ref.kind]))
        elif ref.kind in KINDS:
            why = _unspeakable(ref, one)
            if why is None:
                found.add(ref)
            else:
                left.append(Left(ref, why))
    return found, left


def _unspeakable(ref: Ref, one: Resource) -> str | None:
    odd = [part for part in ref.name.split("/") if not _NAME.fullmatch(part)]
    if odd:
        return f"{odd[0]!r} is no name here ({_NAMES})"
    if ref.kind == CLIENT:
        return _client(one.attrs)
    return None


def _client(attrs: Mapping[str, Any]) -> str | None:
    if attrs["public"]:
        return (
            None if attrs["standard_flow"] or _device(attrs) else "a public client here has a login or the device flow"
        )
    if attrs["authenticator"] == "client-jwt":
        return None
    return (
        f"it authenticates by {attrs['authenticator'] or 'nothing'}; a client here holds a key (client-jwt) "
        "or is public, and a static secret is never made or written down"
    )


def _device(attrs: Mapping[str, Any]) -> bool:
    return bool(attrs["attributes"].get("oauth2.device.authorization.grant.enabled") == "true")


def orphans(declared: set[Ref]) -> Iterator[Left]:
    """What cannot be declared because that which it stands in is not."""
    for ref in sorted(declared):
        parent = ref.name.rpartition("/")[0]
        kind = CLIENT if ref.kind == CLIENT_ROLE else GROUP
        if ref.kind in (GROUP, CLIENT_ROLE) and parent and Ref(kind, parent) not in declared:
            yield Left(ref, f"{Ref(kind, parent)}, in which it stands, is not declared")
