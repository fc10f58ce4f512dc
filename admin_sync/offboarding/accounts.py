"""Accounts: disabled first, because a disabled account gets no token any more, by whatever way it asks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from admin_sync.model import Json
from admin_sync.offboarding.case import Case, Item


class Accounts:
    """Disables the person's accounts. They stay: the audit names people by the ids of their accounts."""

    code = "account"
    says = "accounts disabled"

    def places(self, case: Case) -> Sequence[str]:
        """Every environment."""
        return case.environments

    def look(self, case: Case, place: str) -> Sequence[Item]:
        """Accounts that can log in."""
        return [
            Item(f"account {one.username}", {"id": one.id}) for one in case.accounts(place, again=True) if one.enabled
        ]

    def take(self, case: Case, place: str, item: Item) -> Mapping[str, Json]:
        """Disable one."""
        # Keycloak leaves everything as it is that a representation of an account does not name.
        case.connection.put(f"{case.path(place)}/users/{item.detail['id']}", {"enabled": False})
        return {}

    def left(self, case: Case, place: str) -> Sequence[Item]:
        """The same, asked anew."""
        return self.look(case, place)
