"""As much of Keycloak's admin API as roles, groups, clients, people and grants need, in memory.

It stands where the HTTP connections stand, so that everything above them is the real thing, and it
keeps to what Keycloak 26 does: 409 for a name that is taken, 404 for what is not there, what hangs
on a deleted object goes with it, a partial import skips what exists and knows nothing of defaults.
The integration tests hold the same promises against Keycloak itself.
"""

from __future__ import annotations

import itertools
import re
import threading
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl, unquote

import orjson

from admin_sync.keycloak.connection import Connection
from admin_sync.keycloak.http import Answer

REALM = "model-dev"


class Killed(BaseException):
    """The client died at this write."""


class _Status(Exception):
    def __init__(self, status: int) -> None:
        self.status = status


class _Token:
    """One that never ends."""

    def value(self, refused: str | None = None) -> str:
        return "token"


VETOED = "400 vetoed"
"""What our provider in the server answers for roles that are kept apart."""


class Model:
    """One realm. `fault` is asked at each write, counted from 1, for what happens to it: a `Fault` or None."""

    def __init__(self) -> None:
        self.fault: Callable[[int], str | None] = lambda number: None
        self.writes = 0
        self.roles: dict[str, dict[str, Any]] = {}
        self.groups: dict[str, dict[str, Any]] = {}
        self.clients: dict[str, dict[str, Any]] = {}
        self.users: dict[str, dict[str, Any]] = {}
        self.attributes: dict[str, str] = {}
        self._ids = itertools.count(1)
        self._lock = threading.RLock()
        self._dead = False
        self._role("default-roles-model-dev", {})

    def connection(self) -> Connection:
        """A client that has not died."""
        self._dead = False
        made = Connection.__new__(Connection)
        made.__dict__ |= {
            "_pool": self,
            "_token": _Token(),
            "_count_lock": threading.Lock(),
            "parallel": 2,
            "budget": 0.0,
            "requests": 0,
        }
        return made

    def dump(self) -> dict[str, Any]:
        """Everything, by names instead of ids."""

        def named(ids: set[str]) -> list[str]:
            return sorted(self._called(one) for one in ids)

        return {
            "attributes": dict(self.attributes),
            "roles": {
                self._called(key): {**plain(one), "composites": named(one["composites"])}
                for key, one in self.roles.items()
            },
            "groups": {
                self._path(key): {**plain(one), "roles": named(one["roles"])} for key, one in self.groups.items()
            },
            "clients": {one["clientId"]: plain(one) for one in self.clients.values()},
            "users": {
                one["username"]: {
                    **plain(one),
                    "roles": named(one["roles"]),
                    "groups": sorted(self._path(group) for group in one["groups"]),
                }
                for one in self.users.values()
            },
        }

    # What a pool of connections offers.

    def send(self, method: str, target: str, body: bytes | None, headers: Mapping[str, str]) -> Answer:
        """One request."""
        path, _, query = target.removeprefix(f"/admin/realms/{REALM}").partition("?")
        given = None if body is None else orjson.loads(body)
        with self._lock:
            if self._dead:
                raise Killed
            fault = None
            if method != "GET" and path != "/partial-export":
                self.writes += 1
                fault = self.fault(self.writes)
            if fault in ("killed before", "503 before", VETOED):
                return self._fail(fault)
            answer = self._answered(method, path, dict(parse_qsl(query)), given)
            if fault is not None:
                return self._fail(fault)
            return answer

    def _fail(self, fault: str) -> Answer:
        if fault.startswith("killed"):
            self._dead = True
            raise Killed
        if fault == VETOED:
            return _answer(400, {"error": "segregation_of_duties", "error_description": "somebody would hold both"})
        return _answer(503, {"error": "injected"})

    def _answered(self, method: str, path: str, query: Mapping[str, str], body: Any) -> Answer:
        for verb, pattern, handler in _ROUTES:
            match = re.fullmatch(pattern, path)
            if verb == method and match:
                try:
                    found = handler(self, *(unquote(part) for part in match.groups()), query=query, body=body)
                except _Status as problem:
                    return _answer(problem.status, {"error": str(problem.status)})
                if isinstance(found, Answer):
                    return found
                return _answer(200, found) if method == "GET" or found is not None else _answer(204, None)
        raise AssertionError(f"the model has no {method} {path}")

    # Roles, of the realm and of clients.

    def _role(self, name: str, body: Mapping[str, Any], client: str | None = None) -> str:
        if any(one["name"] == name and one["client"] == client for one in self.roles.values()):
            raise _Status(409)
        made = {
            "name": name,
            "client": client,
            "description": body.get("description"),
            "attributes": body.get("attributes") or {},
            "composites": set(),
        }
        return self._add(self.roles, made)

    def _find_role(self, name: str, client: str | None = None) -> str:
        return _only(key for key, one in self.roles.items() if one["name"] == name and one["client"] == client)

    def role_get(self, name: str, *, query: Any, body: Any, client: str | None = None) -> Any:
        key = self._find_role(name, client)
        return {"id": key, **{part: self.roles[key][part] for part in ("name", "description", "attributes")}}

    def role_post(self, *, query: Any, body: Any) -> Answer:
        self._role(body["name"], body)
        return _answer(201, None, body["name"])

    def role_put(self, name: str, *, query: Any, body: Any) -> None:
        self.roles[self._find_role(name)].update(description=body["description"], attributes=body["attributes"])

    def role_delete(self, key: str, *, query: Any, body: Any) -> None:
        self._there(self.roles, key)
        del self.roles[key]
        for one in self.roles.values():
            one["composites"].discard(key)
        for one in (*self.groups.values(), *self.users.values()):
            one["roles"].discard(key)

    def composites(self, key: str, *, query: Any, body: Any) -> None:
        self._there(self.roles, key)["composites"].update(self._ids_of(body))

    def not_composites(self, key: str, *, query: Any, body: Any) -> None:
        self._there(self.roles, key)["composites"].difference_update(self._ids_of(body))

    def role_users(self, name: str, *, query: Any, body: Any) -> Any:
        return self._holders("roles", self._find_role(name), query)

    def client_role_post(self, client: str, *, query: Any, body: Any) -> Answer:
        self._there(self.clients, client)
        self._role(body["name"], body, client)
        return _answer(201, None, body["name"])

    def client_role_put(self, client: str, name: str, *, query: Any, body: Any) -> None:
        found = self.roles[self._find_role(name, client)]
        found.update(description=body["description"], attributes=body["attributes"])

    def client_role_get(self, client: str, name: str, *, query: Any, body: Any) -> Any:
        return self.role_get(name, query=query, body=body, client=client)

    def client_role_users(self, client: str, name: str, *, query: Any, body: Any) -> Any:
        return self._holders("roles", self._find_role(name, client), query)

    # Groups.

    def _group(self, body: Mapping[str, Any], parent: str | None) -> str:
        if any(one["name"] == body["name"] and one["parent"] == parent for one in self.groups.values()):
            raise _Status(409)
        made = {"name": body["name"], "parent": parent, "attributes": body.get("attributes") or {}, "roles": set()}
        return self._add(self.groups, made)

    def _find_group(self, path: str) -> str:
        return _only(key for key in self.groups if self._path(key) == path)

    def _path(self, key: str) -> str:
        one = self.groups[key]
        return f"{self._path(one['parent']) if one['parent'] else ''}/{one['name']}"

    def group_post(self, *, query: Any, body: Any) -> Answer:
        return _answer(201, None, self._group(body, None))

    def child_post(self, parent: str, *, query: Any, body: Any) -> Answer:
        self._there(self.groups, parent)
        return _answer(201, None, self._group(body, parent))

    def group_get(self, key: str, *, query: Any, body: Any) -> Any:
        return {"id": key, **{part: self._there(self.groups, key)[part] for part in ("name", "attributes")}}

    def group_put(self, key: str, *, query: Any, body: Any) -> None:
        self._there(self.groups, key)["attributes"] = body["attributes"]

    def group_by_path(self, path: str, *, query: Any, body: Any) -> Any:
        return self.group_get(self._find_group(f"/{path}"), query=query, body=body)

    def group_delete(self, key: str, *, query: Any, body: Any) -> None:
        self._there(self.groups, key)
        for child in [one for one, found in self.groups.items() if found["parent"] == key]:
            self.group_delete(child, query=query, body=body)
        del self.groups[key]
        for person in self.users.values():
            person["groups"].discard(key)

    def group_roles(self, key: str, *, query: Any, body: Any) -> None:
        self._there(self.groups, key)["roles"].update(self._ids_of(body))

    def group_no_roles(self, key: str, *, query: Any, body: Any) -> None:
        self._there(self.groups, key)["roles"].difference_update(self._ids_of(body))

    def group_members(self, key: str, *, query: Any, body: Any) -> Any:
        self._there(self.groups, key)
        return self._holders("groups", key, query)

    # Clients.

    def client_get(self, *, query: Any, body: Any) -> Any:
        wanted = query["clientId"]
        return [{"id": key, **one} for key, one in self.clients.items() if one["clientId"] == wanted]

    def client_post(self, *, query: Any, body: Any) -> Answer:
        if any(one["clientId"] == body["clientId"] for one in self.clients.values()):
            raise _Status(409)
        return _answer(201, None, self._add(self.clients, _kept(body)))

    def client_put(self, key: str, *, query: Any, body: Any) -> None:
        self._there(self.clients, key).update(_kept(body))

    def client_delete(self, key: str, *, query: Any, body: Any) -> None:
        self._there(self.clients, key)
        for role in [one for one, found in self.roles.items() if found["client"] == key]:
            self.role_delete(role, query=query, body=body)
        del self.clients[key]

    # People.

    def _user(self, body: Mapping[str, Any]) -> str:
        if any(body["username"] == one["username"] or body["email"] == one["email"] for one in self.users.values()):
            raise _Status(409)
        kept = ("username", "email", "emailVerified", "enabled", "requiredActions", "attributes")
        return self._add(self.users, {**{part: body.get(part) for part in kept}, "roles": set(), "groups": set()})

    def user_post(self, *, query: Any, body: Any) -> Answer:
        key = self._user(body)
        self.users[key]["roles"].add(self._find_role("default-roles-model-dev"))
        return _answer(201, None, key)

    def user_list(self, *, query: Any, body: Any) -> Any:
        found = [self._person(key) for key, one in self.users.items() if query.get("email") in (None, one["email"])]
        first = int(query.get("first", 0))
        return found[first : first + int(query.get("max", 100))]

    def user_count(self, *, query: Any, body: Any) -> Any:
        return len(self.users)

    def user_delete(self, key: str, *, query: Any, body: Any) -> None:
        self._there(self.users, key)
        del self.users[key]

    def user_roles(self, key: str, *, query: Any, body: Any) -> None:
        self._there(self.users, key)["roles"].update(self._ids_of(body))

    def user_no_roles(self, key: str, *, query: Any, body: Any) -> None:
        self._there(self.users, key)["roles"].difference_update(self._ids_of(body))

    def user_client_roles(self, key: str, _: str, *, query: Any, body: Any) -> None:
        self.user_roles(key, query=query, body=body)

    def user_no_client_roles(self, key: str, _: str, *, query: Any, body: Any) -> None:
        self.user_no_roles(key, query=query, body=body)

    def user_join(self, key: str, group: str, *, query: Any, body: Any) -> None:
        self._there(self.groups, group)
        self._there(self.users, key)["groups"].add(group)

    def user_leave(self, key: str, group: str, *, query: Any, body: Any) -> None:
        self._there(self.users, key)["groups"].discard(group)

    def user_groups(self, key: str, *, query: Any, body: Any) -> Any:
        return [{"id": group} for group in self._there(self.users, key)["groups"]]

    def user_mappings(self, key: str, *, query: Any, body: Any) -> Any:
        held = [self.roles[one] for one in self._there(self.users, key)["roles"]]
        by_client: dict[str, Any] = {}
        for one in held:
            if one["client"]:
                client = self.clients[one["client"]]["clientId"]
                by_client.setdefault(client, {"mappings": []})["mappings"].append({"name": one["name"]})
        return {
            "realmMappings": [{"name": one["name"]} for one in held if not one["client"]],
            "clientMappings": by_client,
        }

    # The whole realm.

    def realm_get(self, *, query: Any, body: Any) -> Any:
        role = {"name": "default-roles-model-dev"}
        attributes = dict(self.attributes)
        return {"id": "r", "realm": REALM, "defaultRole": role, "defaultGroups": [], "attributes": attributes}

    def realm_put(self, *, query: Any, body: Any) -> None:
        self.attributes = dict(body["attributes"])

    def nothing(self, *, query: Any, body: Any) -> Any:
        return []

    def export(self, *, query: Any, body: Any) -> Any:
        by_client: dict[str, list[Any]] = {one["clientId"]: [] for one in self.clients.values()}
        realm = []
        for key, one in self.roles.items():
            inner = sorted(self.roles[child]["name"] for child in one["composites"])
            shown = {"id": key, **{part: one[part] for part in ("name", "description", "attributes")}}
            if one["client"]:
                by_client[self.clients[one["client"]]["clientId"]].append(shown)
            else:
                realm.append({**shown, "composites": {"realm": inner} if inner else {}})
        clients = [{"id": key, **one} for key, one in self.clients.items()]
        return {
            "roles": {"realm": realm, "client": by_client},
            "groups": self._tree(None),
            "clients": clients,
            "users": [],
        }

    def _tree(self, parent: str | None) -> list[Any]:
        return [
            {
                "id": key,
                "name": one["name"],
                "attributes": one["attributes"],
                "realmRoles": sorted(self.roles[role]["name"] for role in one["roles"]),
                "subGroups": self._tree(key),
            }
            for key, one in self.groups.items()
            if one["parent"] == parent
        ]

    def partial_import(self, *, query: Any, body: Any) -> Any:
        assert body["ifResourceExists"] == "SKIP"
        results: list[Any] = []

        def take(sort: str, name: str, work: Callable[[], str]) -> None:
            try:
                results.append({"action": "ADDED", "resourceType": sort, "resourceName": name, "id": work()})
            except _Status:
                results.append({"action": "SKIPPED", "resourceType": sort, "resourceName": name, "id": "x"})

        roles = body.get("roles") or {}
        for one in roles.get("realm") or ():
            take("REALM_ROLE", one["name"], lambda one=one: self._role(one["name"], one))
        for client, listed in (roles.get("client") or {}).items():
            key = _only(key for key, one in self.clients.items() if one["clientId"] == client)
            for one in listed:
                take(
                    "CLIENT_ROLE",
                    f"{client}-->{one['name']}",
                    lambda one=one, key=key: self._role(one["name"], one, key),
                )
        for one in body.get("groups") or ():
            take("GROUP", one["name"], lambda one=one: self._import_group(one, None))
        for one in body.get("users") or ():
            take("USER", one["username"], lambda one=one: self._import_user(one))
        return {"results": results}

    def _import_group(self, body: Mapping[str, Any], parent: str | None) -> str:
        key = self._group(body, parent)
        self.groups[key]["roles"].update(map(self._find_role, body["realmRoles"]))
        for child in body["subGroups"]:
            self._import_group(child, key)
        return key

    def _import_user(self, body: Mapping[str, Any]) -> str:
        key = self._user(body)
        found = self.users[key]
        found["roles"].update(map(self._find_role, body["realmRoles"]))
        for client, names in body["clientRoles"].items():
            [owner] = self.client_get(query={"clientId": client}, body=None)
            found["roles"].update(self._find_role(name, owner["id"]) for name in names)
        found["groups"].update(map(self._find_group, body["groups"]))
        return key

    # Small things.

    def _add(self, table: dict[str, dict[str, Any]], made: dict[str, Any]) -> str:
        key = f"id{next(self._ids)}"
        table[key] = made
        return key

    def _there(self, table: dict[str, dict[str, Any]], key: str) -> dict[str, Any]:
        if key not in table:
            raise _Status(404)
        return table[key]

    def _ids_of(self, listed: Any) -> list[str]:
        ids = [one["id"] for one in listed]
        for key in ids:
            self._there(self.roles, key)
        return ids

    def _called(self, key: str) -> str:
        one = self.roles[key]
        return f"{self.clients[one['client']]['clientId']}:{one['name']}" if one["client"] else one["name"]

    def _person(self, key: str) -> dict[str, Any]:
        return {"id": key, **plain(self.users[key])}

    def _holders(self, what: str, key: str, query: Mapping[str, str]) -> list[Any]:
        found = [self._person(one) for one, person in self.users.items() if key in person[what]]
        first = int(query.get("first", 0))
        return found[first : first + int(query.get("max", 100))]


def plain(one: Mapping[str, Any]) -> dict[str, Any]:
    """What of an object names no other."""
    return {
        name: value for name, value in one.items() if name not in ("roles", "groups", "composites", "parent", "client")
    }


def _kept(client: Mapping[str, Any]) -> dict[str, Any]:
    """A client as it is kept: an empty value is how an attribute or an override is taken away."""
    maps = ("attributes", "authenticationFlowBindingOverrides")
    return {
        name: {key: inner for key, inner in value.items() if inner != ""} if name in maps else value
        for name, value in client.items()
    }


def _only(keys: Any) -> str:
    found = next(iter(keys), None)
    if found is None:
        raise _Status(404)
    return str(found)


def _answer(status: int, body: Any, location: str | None = None) -> Answer:
    headers = {"location": f"http://keycloak.invalid/x/{location}"} if location else {}
    return Answer(status, headers, b"" if body is None else orjson.dumps(body))


_ID = "/([^/]+)"
_ROUTES: list[tuple[str, str, Any]] = [
    ("GET", "", Model.realm_get),
    ("PUT", "", Model.realm_put),
    ("POST", "/partial-export", Model.export),
    ("POST", "/partialImport", Model.partial_import),
    ("GET", "/organizations", Model.nothing),
    ("GET", "/authentication/required-actions", Model.nothing),
    ("GET", "/client-scopes", Model.nothing),
    ("POST", "/roles", Model.role_post),
    ("GET", f"/roles{_ID}", Model.role_get),
    ("PUT", f"/roles{_ID}", Model.role_put),
    ("GET", f"/roles{_ID}/users", Model.role_users),
    ("DELETE", f"/roles-by-id{_ID}", Model.role_delete),
    ("POST", f"/roles-by-id{_ID}/composites", Model.composites),
    ("DELETE", f"/roles-by-id{_ID}/composites", Model.not_composites),
    ("POST", "/groups", Model.group_post),
    ("POST", f"/groups{_ID}/children", Model.child_post),
    ("GET", f"/groups{_ID}", Model.group_get),
    ("PUT", f"/groups{_ID}", Model.group_put),
    ("DELETE", f"/groups{_ID}", Model.group_delete),
    ("GET", f"/groups{_ID}/members", Model.group_members),
    ("POST", f"/groups{_ID}/role-mappings/realm", Model.group_roles),
    ("DELETE", f"/groups{_ID}/role-mappings/realm", Model.group_no_roles),
    ("GET", "/group-by-path/(.+)", Model.group_by_path),
    ("GET", "/clients", Model.client_get),
    ("POST", "/clients", Model.client_post),
    ("PUT", f"/clients{_ID}", Model.client_put),
    ("DELETE", f"/clients{_ID}", Model.client_delete),
    ("POST", f"/clients{_ID}/roles", Model.client_role_post),
    ("GET", f"/clients{_ID}/roles{_ID}", Model.client_role_get),
    ("PUT", f"/clients{_ID}/roles{_ID}", Model.client_role_put),
    ("GET", f"/clients{_ID}/roles{_ID}/users", Model.client_role_users),
    ("GET", "/users", Model.user_list),
    ("GET", "/users/count", Model.user_count),
    ("POST", "/users", Model.user_post),
    ("DELETE", f"/users{_ID}", Model.user_delete),
    ("GET", f"/users{_ID}/groups", Model.user_groups),
    ("GET", f"/users{_ID}/role-mappings", Model.user_mappings),
    ("POST", f"/users{_ID}/role-mappings/realm", Model.user_roles),
    ("DELETE", f"/users{_ID}/role-mappings/realm", Model.user_no_roles),
    ("POST", f"/users{_ID}/role-mappings/clients{_ID}", Model.user_client_roles),
    ("DELETE", f"/users{_ID}/role-mappings/clients{_ID}", Model.user_no_client_roles),
    ("PUT", f"/users{_ID}/groups{_ID}", Model.user_join),
    ("DELETE", f"/users{_ID}/groups{_ID}", Model.user_leave),
]
