"""Linking: each name to the one account with its address. What is linked stays; nothing is guessed."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final
from urllib.parse import quote

from admin_sync.keycloak.connection import Connection, KeycloakProblem, Refused, segment
from admin_sync.links.listed import Name


class Outcome(StrEnum):
    """What came of one name; the values are stable."""

    LINKED = "linked"
    ALREADY = "already_linked"
    NO_ACCOUNT = "no_account"
    """Nobody here has that address; the account appears with its first login, so link again then."""
    UNVERIFIED = "address_not_verified"
    OTHER_SUBJECT = "account_linked_to_another_subject"
    OTHER_ACCOUNT = "subject_linked_to_another_account"


FINE: Final = frozenset({Outcome.LINKED, Outcome.ALREADY})

Observer = Callable[[Name, Outcome], None]


@dataclass(frozen=True, slots=True)
class Linker:
    """Links accounts of one realm to names of one provider. Without `write` it only looks."""

    connection: Connection
    realm: str
    provider: str
    write: bool = True

    def link(self, names: Iterable[Name], observe: Observer) -> None:
        """Links each name, and tells each outcome as soon as it is there. Raises KeycloakProblem."""
        for name in names:
            observe(name, self._one(name))

    def _one(self, name: Name) -> Outcome:
        users = f"/{segment(self.realm)}/users"
        # Keycloak keeps addresses in lower case and may match parts unless told otherwise.
        accounts = [one for one in self._ask(users, email=name.email, exact=True) if one.get("email") == name.email]
        if len(accounts) != 1:
            return Outcome.NO_ACCOUNT
        account = accounts[0]
        if not account.get("emailVerified"):
            # An address that nobody verified says nothing about whose account this is.
            return Outcome.UNVERIFIED
        path = f"{users}/{segment(account['id'])}/federated-identity"
        linked = [one["userId"] for one in self._ask(path) if one["identityProvider"] == self.provider]
        if linked:
            return Outcome.ALREADY if linked == [name.subject] else Outcome.OTHER_SUBJECT
        if self._ask(users, idpAlias=self.provider, idpUserId=name.subject):
            return Outcome.OTHER_ACCOUNT
        if self.write:
            body = {"identityProvider": self.provider, "userId": name.subject, "userName": name.email}
            try:
                self.connection.post(f"{path}/{quote(self.provider, safe='')}", body)
            except Refused as problem:
                # Somebody else linked it meanwhile, or our first attempt did and its answer was lost.
                if problem.status != 409:
                    raise
                return self._settled(path, name)
        return Outcome.LINKED

    def _settled(self, path: str, name: Name) -> Outcome:
        linked = [one["userId"] for one in self._ask(path) if one["identityProvider"] == self.provider]
        return Outcome.ALREADY if linked == [name.subject] else Outcome.OTHER_SUBJECT

    def _ask(self, path: str, **query: str | bool) -> list[dict[str, Any]]:
        found = self.connection.get(path, **query)
        if not isinstance(found, list):
            raise KeycloakProblem(f"{path}: Keycloak answered something else than a list")
        return found
