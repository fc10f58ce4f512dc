"""What an account holds in its realm: credentials, roles, groups, memberships of partners.

`apply` would take declared roles and groups away too, but only after every guard agrees; and what somebody
gave by hand is nobody's to take but ours here. What every account has (`default-roles-…`) stays.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from admin_sync.keycloak.connection import segment
from admin_sync.model import Json
from admin_sync.offboarding.case import Account, Case, Item, NotDone


class Credentials:
    """Removes passwords, security keys, one-time codes and recovery codes."""

    code = "credentials"
    says = "credentials removed"

    def places(self, case: Case) -> Sequence[str]:
        """Every environment."""
        return case.environments

    def look(self, case: Case, place: str) -> Sequence[Item]:
        """Every credential: its kind, and what its owner called it."""
        return [
            Item(
                f"{one['type']} {one['id']} of {account.username}",
                {"id": account.id, "credential": one["id"], "type": one["type"], "label": one.get("userLabel")},
            )
            for account in case.accounts(place)
            for one in case.connection.get(f"{case.path(place)}/users/{account.id}/credentials") or ()
        ]

    def take(self, case: Case, place: str, item: Item) -> Mapping[str, Json]:
        """Remove one."""
        credential = segment(item.detail["credential"])
        case.connection.delete(f"{case.path(place)}/users/{item.detail['id']}/credentials/{credential}")
        return {}

    def left(self, case: Case, place: str) -> Sequence[Item]:
        """The same, asked anew."""
        return self.look(case, place)


class Memberships:
    """Takes roles, groups and memberships of partners, with everything delegated through them."""

    code = "memberships"
    says = "roles, groups and memberships of partners taken"

    def places(self, case: Case) -> Sequence[str]:
        """Every environment."""
        return case.environments

    def look(self, case: Case, place: str) -> Sequence[Item]:
        """What each account has beyond what every account has."""
        return [item for one in case.accounts(place) for item in self._of(case, place, one)]

    def _of(self, case: Case, place: str, account: Account) -> Iterator[Item]:
        realm, ask = case.path(place), case.connection.get
        path = f"{realm}/users/{account.id}"
        mappings = ask(f"{path}/role-mappings") or {}
        for one in mappings.get("realmMappings") or ():
            if not one["name"].startswith("default-roles-"):
                yield _taken(account, f"role {one['name']}", f"{path}/role-mappings/realm", one)
        for client, listed in (mappings.get("clientMappings") or {}).items():
            for one in listed["mappings"]:
                name = f"client role {client}/{one['name']}"
                yield _taken(account, name, f"{path}/role-mappings/clients/{listed['id']}", one)
        for one in ask(f"{path}/groups") or ():
            yield _taken(account, f"group {one.get('path') or one['name']}", f"{path}/groups/{one['id']}")
        for one in ask(f"{realm}/organizations/members/{account.id}/organizations") or ():
            place_ = f"{realm}/organizations/{one['id']}/members/{account.id}"
            yield _taken(account, f"partner {one['alias']}", place_)

    def take(self, case: Case, place: str, item: Item) -> Mapping[str, Json]:
        """Take one away."""
        path, role = str(item.detail["path"]), item.detail["role"]
        if "/organizations/" in path:
            found = case.connection.get(path)
            if found is not None and found.get("membershipType") == "MANAGED":
                # Keycloak deletes an account that an organization manages together with its membership.
                raise NotDone(
                    f"{item.name} manages the account itself, and removing it would delete the account and its id; "
                    "unlink the partner's identity provider first"
                )
        case.connection.delete(path, None if role is None else [role])
        return {}

    def left(self, case: Case, place: str) -> Sequence[Item]:
        """The same, asked anew."""
        return self.look(case, place)


def _taken(account: Account, what: str, path: str, role: Json = None) -> Item:
    brief = None if role is None else {"id": role["id"], "name": role["name"]}
    return Item(f"{what} of {account.username}", {"id": account.id, "path": path, "role": brief})
