"""As keycloak-config-cli reads it: one realm representation in JSON."""

from __future__ import annotations

import json
from pathlib import Path

from bench.sync.workload import Workload


def write(workload: Workload, directory: Path) -> None:
    """The one file, `realm.json`."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "realm.json").write_text(json.dumps(representation(workload), indent=1), "utf-8")


def representation(workload: Workload) -> dict[str, object]:
    """The realm as Keycloak's own JSON."""
    return {
        "realm": workload.realm,
        "enabled": True,
        "roles": {
            "realm": [{"name": name, "description": text} for name, text in workload.roles.items()],
            "client": {
                client: [{"name": right, "description": f"A right of {client}."} for right in rights]
                for client, rights in workload.clients.items()
            },
        },
        "groups": [
            {"name": parent, "subGroups": [{"name": child} for child in children]}
            for parent, children in workload.groups.items()
        ],
        "clients": [
            {
                "clientId": client,
                "name": client,
                "enabled": True,
                "publicClient": True,
                "standardFlowEnabled": True,
                "directAccessGrantsEnabled": False,
                "fullScopeAllowed": False,
                "redirectUris": ["http://127.0.0.1/callback"],
            }
            for client in workload.clients
        ],
        "users": [
            {
                "username": person.email,
                "email": person.email,
                "emailVerified": True,
                "enabled": True,
                "groups": ["/" + "/".join(person.group)],
                "realmRoles": [person.role],
                "clientRoles": {person.right[0]: [person.right[1]]},
            }
            for person in workload.people
        ],
    }
