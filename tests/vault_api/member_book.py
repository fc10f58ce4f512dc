"""What Keycloak's extension `tradepulse-members` answers, for tests of what the vault makes of it.

That the extension itself does so is shown on a real Keycloak, by tests/realm and tests/workspace.
"""

from __future__ import annotations

import secrets
import threading
import time
from dataclasses import dataclass, field
from typing import Any

ROLES = ["partner-admin", "partner-analyst", "partner-trader"]
DOMAIN = "example.test"


@dataclass
class MemberBook:
    """Accounts of a realm, and what each holds at each partner: `held[partner][account][role] = until`."""

    accounts: dict[str, str] = field(default_factory=dict)
    held: dict[str, dict[str, dict[str, int | None]]] = field(default_factory=dict)
    passwords: dict[str, str] = field(default_factory=dict)
    refuses: tuple[int, str] | None = None
    """What every change is answered with, if anything."""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, partner: str, email: str, *roles: str, account: str | None = None) -> str:
        """Somebody who is a member already."""
        identity = account or secrets.token_hex(8)
        self.accounts[identity] = email
        self.held.setdefault(partner, {})[identity] = dict.fromkeys(roles)
        return identity

    def answer(self, method: str, path: list[str], query: dict[str, str], body: dict[str, Any]) -> tuple[int, Any]:
        """As the extension answers: a status and a document."""
        with self._lock:
            if method != "GET" and self.refuses is not None:
                return self.refuses[0], {"error": self.refuses[1]}
            return self._answer(method, path, query, body)

    def _answer(self, method: str, path: list[str], query: dict[str, str], body: dict[str, Any]) -> tuple[int, Any]:
        partner, rest = path[0], path[1:]
        members = self.held.get(partner, {}) if partner == "-" else self.held.setdefault(partner, {})
        match method, rest:
            case "GET", []:
                listed = [self._shown(partner, one) for one in members]
                return 200, {"name": partner, "domains": [DOMAIN], "roles": ROLES, "members": listed}
            case "GET", ["accounts"]:
                known = [one for one, email in self.accounts.items() if email == query["email"]]
                return (200, self._shown(partner, known[0])) if known else (404, {"error": "unknown_account"})
            case "POST", ["people"]:
                if body["email"] in self.accounts.values():
                    return 409, {"error": "account_exists"}
                identity = self.add(partner, body["email"])
                self.passwords[identity] = body["password"]
                members[identity][body["role"]] = body["until"]
                return 201, self._shown(partner, identity)
            case "POST", ["endings"]:
                ended = [
                    {"partner": alias, "id": one, "email": self.accounts.get(one, ""), "role": role, "until": until}
                    for alias, people in self.held.items()
                    for one, roles in people.items()
                    for role, until in roles.items()
                    if until is not None and until <= time.time()
                ]
                for one in ended:
                    del self.held[one["partner"]][one["id"]][one["role"]]
                return 200, {"ended": ended}
            case "PUT", ["people", identity, "roles", role]:
                members.setdefault(identity, {})[role] = body["until"]
                return 200, self._shown(partner, identity)
            case "DELETE", ["people", identity, "roles", role]:
                members[identity].pop(role, None)
                return 200, self._shown(partner, identity)
            case "DELETE", ["people", identity]:
                del members[identity]
                return 204, None
        return 404, {"error": "unknown_account"}

    def _shown(self, partner: str, identity: str) -> dict[str, Any]:
        email = self.accounts.get(identity, f"{identity}@example.test")
        roles = self.held.get(partner, {}).get(identity)
        return {
            "id": identity, "email": email, "first_name": email.partition("@")[0], "last_name": "Example",
            "enabled": True, "member": roles is not None, "declared": False, "factors": ["password", "webauthn"],
            # As Keycloak writes JSON: what is null is left out.
            "roles": [
                {"role": role, **({} if until is None else {"until": until})} for role, until in (roles or {}).items()
            ],
        }  # fmt: skip
