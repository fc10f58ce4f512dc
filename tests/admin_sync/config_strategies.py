"""Random configurations that are valid, written as the files a user writes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

ROLES = [f"r{number}" for number in range(8)]
GROUPS = [f"g{number}" for number in range(6)]
CLIENT_ROLES = ["x", "y", "z", "w"]
PEOPLE = [f"u{number}@x.example" for number in range(9)]

_POLICIES: dict[str, Any] = {
    "version": 1,
    "people": {"dev": "local"},
    "assurance": {
        "levels": {"aal1": "password", "aal2": "totp", "aal3": "webauthn"},
        "interactive": "aal2",
        "sensitive": {"level": "aal2", "max_age": "5m"},
        "remember_me": {"max_age": "1d", "level": "aal1"},
    },
    "access_requests": {
        "default": {"approvals": ["manager"], "max_duration": "90d"},
        "elevated": {"approvals": ["manager"], "max_duration": "8h"},
        "mfa_before_grant": False,
        "approvers": {"manager": {"from": "hr_roster"}},
    },
    "certification": {"every": "90d", "stale_after": "90d", "orphan": "nobody"},
    "service_accounts": {"static_secrets": "forbidden"},
    "break_glass": {
        "accounts": ["b"],
        "max_duration": "1h",
        "review_within": "24h",
        "approvals": ["manager"],
        "mfa_bypass": {"max_duration": "4h", "approvals": ["manager"]},
    },
}


@st.composite
def configurations(draw: st.DrawFn) -> Any:
    """Roles with includes that make no cycle, trees of groups, clients with roles, and who is given what of it."""
    roles = draw(st.lists(st.sampled_from(ROLES), unique=True).map(sorted))
    includes = {
        name: {"includes": draw(st.lists(st.sampled_from(after), unique=True, max_size=2)) if after else []}
        for number, name in enumerate(roles)
        for after in [roles[number + 1 :]]
    }
    some_roles = st.lists(st.sampled_from(roles), unique=True, max_size=2) if roles else st.just([])
    leaf = st.fixed_dictionaries({"roles": some_roles})
    inner = st.dictionaries(st.sampled_from(GROUPS), leaf, max_size=3)
    tree = st.fixed_dictionaries({"roles": some_roles, "groups": inner})
    groups = draw(st.dictionaries(st.sampled_from(GROUPS), tree, max_size=6))
    clients = draw(
        st.dictionaries(st.sampled_from(["c0", "c1"]), st.lists(st.sampled_from(CLIENT_ROLES), unique=True), max_size=2)
    )
    paths = [*groups, *(f"{top}/{one}" for top, found in groups.items() for one in found["groups"])]
    targets = [("role", name) for name in roles] + [("group", path) for path in paths]
    targets += [("client_role", f"{client}/{name}") for client, names in clients.items() for name in names]
    pairs = st.tuples(st.sampled_from(PEOPLE), st.sampled_from(targets)) if targets else st.nothing()
    given = draw(st.lists(pairs, unique=True, max_size=25)) if targets else []
    grants = [{"user": person, sort: name} for person, (sort, name) in given]
    return {"roles": includes, "groups": groups, "clients": clients, "grants": grants}


def write(configuration: Any, directory: Path, realm: str = "model") -> None:
    """The five files. JSON is YAML, and the loader takes it as such."""
    roles = {
        name: {
            "description": f"Role {name}.",
            "permissions": [f"{name}:use"],
            "owners": ["o"],
            "includes": one["includes"],
        }
        for name, one in configuration["roles"].items()
    }
    clients = {
        name: {
            "type": "public",
            "flows": ["authorization_code"],
            "redirect_uris": {"web": [f"https://{name}.example/cb"]},
            "roles": {one: {"description": f"Role {one}."} for one in names},
        }
        for name, names in configuration["clients"].items()
    }
    bindings = [
        {"subject": {"user": one["user"]}, "environments": ["dev"], **{k: v for k, v in one.items() if k != "user"}}
        for one in configuration["grants"]
    ]
    files = {
        "roles.yaml": {
            "version": 1,
            "realm": {"name": realm, "display_name": "Model", "audience": "internal"},
            "environments": {"dev": {}},
            "permissions": {f"{name}:use": {"description": "Use."} for name in roles},
            "roles": roles,
            "partner_roles": {},
            "groups": configuration["groups"],
            "clients": clients,
            "identity_providers": {},
        },
        "role_bindings.yaml": {"version": 1, "bindings": bindings},
        "policies.yaml": _POLICIES,
        "partners.yaml": {"version": 1, "personas": {}, "partners": {}},
        "brokers.yaml": {"version": 1, "brokers": {}},
    }
    for name, content in files.items():
        (directory / name).write_text(json.dumps(content, indent=1), "utf-8")
