"""As a script of kcadm.sh commands, which is how a realm is made with what Keycloak brings along."""

from __future__ import annotations

import shlex
from pathlib import Path

from bench.sync.workload import Workload


def write(workload: Workload, directory: Path) -> None:
    """`apply.sh` and `change.sh`; they take $KCADM, the program with its login in a file of its own."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "apply.sh").write_text("set -eu\n" + "\n".join(_create(workload)) + "\n", "utf-8")
    role = next(iter(workload.roles))
    change = _line("update", f"roles/{role}", "-r", workload.realm, "-s", "description=Changed after the first apply.")
    (directory / "change.sh").write_text(f"set -eu\n{change}\n", "utf-8")


def _create(workload: Workload) -> list[str]:
    here = ("-r", workload.realm)
    lines = [_line("create", "realms", *_settings(f"realm={workload.realm}", "enabled=true"))]
    lines += [
        _line("create", "roles", *here, *_settings(f"name={role}", f"description={text}"))
        for role, text in workload.roles.items()
    ]
    for parent, children in workload.groups.items():
        lines.append(f"id=$({_line('create', 'groups', *here, *_settings(f'name={parent}'), '-i')})")
        lines += [_below("groups/$id/children", *here, *_settings(f"name={child}")) for child in children]
    for client, rights in workload.clients.items():
        given = _settings(f"clientId={client}", "publicClient=true", 'redirectUris=["http://127.0.0.1/callback"]')
        lines.append(f"id=$({_line('create', 'clients', *here, *given, '-i')})")
        lines += [_below("clients/$id/roles", *here, *_settings(f"name={right}")) for right in rights]
    for person in workload.people:
        group = '["/' + "/".join(person.group) + '"]'
        given = _settings(f"username={person.email}", f"email={person.email}", "enabled=true", f"groups={group}")
        lines.append(_line("create", "users", *here, *given))
        to = (*here, "--uusername", person.email)
        lines.append(_line("add-roles", *to, "--rolename", person.role))
        lines.append(_line("add-roles", *to, "--cclientid", person.right[0], "--rolename", person.right[1]))
    return lines


def _settings(*settings: str) -> list[str]:
    return [word for setting in settings for word in ("-s", setting)]


def _line(*words: str) -> str:
    return f'"$KCADM" {shlex.join(words)} --config "$KCADM_CONFIG"'


def _below(resource: str, *words: str) -> str:
    # Quoted so that the shell puts the id of what was created last into it.
    return f'"$KCADM" create "{resource}" {shlex.join(words)} --config "$KCADM_CONFIG"'
