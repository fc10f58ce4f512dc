"""A small realm with rules of separation, what can be done to it, and a model of what the rules then say."""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest

from admin_sync.keycloak.connection import Connection

CODE = "segregation_of_duties"

RULES = [
    {"name": "build-or-run", "roles": ["quant", "trader"]},
    {"name": "research-or-desk", "roles": ["partner-trader", "quant"]},
]


def document(*exceptions: Mapping[str, Any], rules: list[Any] = RULES) -> str:
    return orjson.dumps({"exceptions": list(exceptions), "rules": rules}).decode()


def exception(user: str, **changed: Any) -> dict[str, Any]:
    until = (datetime.now(UTC) + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {"roles": ["trader"], "rule": "build-or-run", "until": until, "user": user, **changed}


@dataclass(frozen=True)
class Step:
    """Something that is done: to a person, or to an outer role or a group."""

    act: str
    person: str
    role: str
    group: str
    outer: str


@dataclass
class Apart:
    """A realm of its own with rules, and short words for what is done to it."""

    admin: Connection
    audit: Path
    name: str = field(default_factory=lambda: f"apart-{secrets.token_hex(4)}")
    bulk: bool = False

    @property
    def path(self) -> str:
        return f"/{self.name}"

    def make(self, *, whole: bool = True) -> None:
        settings = {"enabled": True, "organizationsEnabled": True, "adminEventsEnabled": True}
        self.admin.post("", {"realm": self.name, **settings, "attributes": {"tradepulse.separation": document()}})
        for role in ("quant", "trader", "harmless"):
            self.role(role)
        if not whole:
            return
        self.role("lead", "trader")
        self.role("head", "lead")
        for path, roles in (("research", ["quant"]), ("trading", ["lead"])):
            self.group(path, *roles)
        self.group("trading/night")

    def send(self, method: str, path: str, body: Any = None) -> str | None:
        """One admin call, by itself or in a batch of one. Raises Refused and NotAllowed."""
        if self.bulk:
            call = {
                "ref": f"{method} {path}",
                "method": method,
                "path": path,
                **({} if body is None else {"body": body}),
            }
            whole = {"protocol": 1, "nonce": "0123456789abcdef" * 2, "names": {}, "operations": [call]}
            created: list[str | None] = self.admin.ask(f"{self.path}/tradepulse-bulk/apply", whole)["created"]
            return created[0]
        target = f"{self.path}/{path}"
        if method == "POST":
            return self.admin.post(target, body)
        self.admin.put(target, body) if method == "PUT" else self.admin.delete(target, body)
        return None

    def of_role(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self.admin.get(f"{self.path}/roles/{name}")
        return {"id": found["id"], "name": found["name"]}

    def of_group(self, path: str) -> str:
        found: dict[str, Any] = self.admin.get(f"{self.path}/group-by-path/{path}")
        return str(found["id"])

    def role(self, name: str, *included: str) -> None:
        self.send("POST", "roles", {"name": name})
        if included:
            self.include(name, *included)

    def include(self, name: str, *included: str) -> None:
        inner = [self.of_role(one) for one in included]
        self.send("POST", f"roles-by-id/{self.of_role(name)['id']}/composites", inner)

    def group(self, path: str, *roles: str) -> str:
        parent, _, name = path.rpartition("/")
        place = f"groups/{self.of_group(parent)}/children" if parent else "groups"
        made = self.send("POST", place, {"name": name}) or self.of_group(path)
        if roles:
            self.send("POST", f"groups/{made}/role-mappings/realm", [self.of_role(one) for one in roles])
        return made

    def equip(self, path: str, role: str) -> None:
        """Give a group a role."""
        self.send("POST", f"groups/{self.of_group(path)}/role-mappings/realm", [self.of_role(role)])

    def move(self, path: str, parent: str) -> None:
        """Put a group under another."""
        body = {"id": self.of_group(path), "name": path.rpartition("/")[2]}
        self.send("POST", f"groups/{self.of_group(parent)}/children", body)

    def person(self, **more: Any) -> tuple[str, str]:
        email = f"{secrets.token_hex(5)}@apart.example"
        body = {"username": email, "email": email, "emailVerified": True, "enabled": True, **more}
        made = self.admin.post(f"{self.path}/users", body)
        assert made is not None
        return made, email

    def grant(self, user: str, role: str) -> None:
        self.send("POST", f"users/{user}/role-mappings/realm", [self.of_role(role)])

    def join(self, user: str, path: str) -> None:
        self.send("PUT", f"users/{user}/groups/{self.of_group(path)}")

    def give(self, user: str, what: str) -> None:
        """`role x` or `group x`."""
        kind, _, name = what.partition(" ")
        self.grant(user, name) if kind == "role" else self.join(user, name)

    def has(self, user: str) -> set[str]:
        roles = self.admin.get(f"{self.path}/users/{user}/role-mappings/realm") or []
        groups = self.admin.get(f"{self.path}/users/{user}/groups") or []
        listed = {f"role {one['name']}" for one in roles} | {f"group {one['path'][1:]}" for one in groups}
        return {one for one in listed if not one.startswith("role default-roles-")}

    def rules(self, text: str | None, admin: Connection | None = None) -> None:
        whole = self.admin.get(self.path)
        attributes = {name: value for name, value in whole["attributes"].items() if name != "tradepulse.separation"}
        changed = attributes if text is None else {**attributes, "tradepulse.separation": text}
        (admin or self.admin).put(self.path, {**whole, "attributes": changed})

    def recorded(self, *words: str) -> dict[str, Any]:
        deadline = time.monotonic() + 15
        while time.monotonic() < deadline:
            for line in reversed(self.audit.read_text().splitlines()):
                if f"realm={self.name}" in line and all(word in line for word in words):
                    found: dict[str, Any] = orjson.loads(line)
                    return found
            time.sleep(0.1)
        pytest.fail(f"no line of the audit log has {words}")

    def take(self, step: Step) -> None:
        """One step on the server. Raises Refused."""
        mapping = f"users/{step.person}/role-mappings/realm"
        match step.act:
            case "grant":
                self.grant(step.person, step.role)
            case "join":
                self.join(step.person, step.group)
            case "include":
                self.include(step.outer, step.role)
            case "equip":
                self.equip(step.group, step.role)
            case "revoke":
                self.send("DELETE", mapping, [self.of_role(step.role)])
            case "leave":
                self.send("DELETE", f"users/{step.person}/groups/{self.of_group(step.group)}")


@dataclass
class Model:
    """What the rules say about a realm, worked out beside it."""

    composites: dict[str, set[str]] = field(default_factory=dict)
    groups: dict[str, set[str]] = field(default_factory=dict)
    people: dict[str, set[str]] = field(default_factory=dict)

    def after(self, step: Step) -> Model:
        """The model once a step has been taken; this one stays as it is."""
        found = Model(
            *({name: set(one) for name, one in part.items()} for part in (self.composites, self.groups, self.people))
        )
        match step.act:
            case "grant":
                found.people[step.person].add(f"role {step.role}")
            case "join":
                found.people[step.person].add(f"group {step.group}")
            case "include":
                found.composites[step.outer].add(step.role)
            case "equip":
                found.groups[step.group].add(step.role)
            case "revoke":
                found.people[step.person].discard(f"role {step.role}")
            case "leave":
                found.people[step.person].discard(f"group {step.group}")
        return found

    def closure(self, role: str) -> set[str]:
        """A role and all it includes."""
        found, waiting = {role}, [role]
        while waiting:
            for inner in self.composites.get(waiting.pop(), ()):
                if inner not in found:
                    found.add(inner)
                    waiting.append(inner)
        return found

    def holds(self, person: str) -> set[str]:
        """Every role of a person."""
        found: set[str] = set()
        for what in self.people[person]:
            kind, _, name = what.partition(" ")
            found |= self.closure(name) if kind == "role" else self.given(name)
        return found

    def given(self, path: str) -> set[str]:
        """What a group gives its members."""
        parts = path.split("/")
        above = {"/".join(parts[:length]) for length in range(1, len(parts) + 1)}
        return {inner for one in above for role in self.groups.get(one, ()) for inner in self.closure(role)}

    def broken(self) -> bool:
        """Whether a role, a group or a person has what must not meet."""
        closures = [self.closure(role) for role in self.composites]
        given = [self.given(path) for path in self.groups]
        people = [self.holds(person) for person in self.people]
        return any({"quant", "trader"} <= held for held in (*closures, *given, *people))
