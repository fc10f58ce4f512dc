"""explain and who-can: what the configuration grants, without asking any server."""

from __future__ import annotations

from typing import Annotated

import typer

from admin_sync.answers import explained, holders
from admin_sync.commands.arguments import command, group
from admin_sync.commands.options import Options
from admin_sync.console import DONE
from admin_sync.errors import Finding, InvalidInput
from admin_sync.load.document import ROLES
from admin_sync.model import Json, printable

app = group()

User = Annotated[str, typer.Argument(metavar="USER", help="An e-mail address, or a client id.")]
Asked = Annotated[str, typer.Argument(metavar="PERMISSION")]


@command(app)
def explain(options: Options, *, user: User) -> int:
    """Say what a person or a workload is granted, where, until when, and by which way."""
    document = options.document()
    report = [explained(document, one, user.lower()) for one in options.wanted(document)]
    if options.console.as_json:
        options.console.json({"version": 1, "subject": user, "environments": report})
        return DONE
    for one in report:
        options.console.data(f"{printable(user)} in {one['environment']}:\n")
        if not any(one[part] for part in ("roles", "client_roles", "partners", "accepted", "expired")):
            options.console.data("  nothing is granted by the configuration\n")
        for line in _explained(one):
            options.console.data(f"  {printable(line)}\n")
    return DONE


def _explained(one: dict[str, Json]) -> list[str]:
    lines = [f"role {role['role']} by {_shown(role['way'])} ({role['at']}){_end(role)}" for role in one["roles"]]
    lines += [
        f"  {held['permission']} by {_shown(held['way'])}{_end(held)}; {_needed(held)}" for held in one["permissions"]
    ]
    lines += [f"client role {held['client_role']} ({held['at']}){_end(held)}" for held in one["client_roles"]]
    for partner in one["partners"]:
        lines.append(f"partner {partner['partner']}: {', '.join(partner['roles'])} ({partner['at']})")
        lines += [
            f"  {held['permission']} by {_shown(held['way'])}; {_needed(held)}" for held in partner["permissions"]
        ]
    lines += [f"accepted: {held['grant']}, {held['reason']} ({held['at']}){_end(held)}" for held in one["accepted"]]
    lines += [f"expired: {expired['what']} on {expired['expires']} ({expired['at']})" for expired in one["expired"]]
    return lines


@command(app)
def who_can(options: Options, *, permission: Asked) -> int:
    """List everybody who is granted a permission, and by which way."""
    document = options.document()
    if permission not in document.roles.permissions:
        place = document.at(ROLES, "permissions", key=True)
        message = f"there is no permission {permission!r}; they are listed here"
        raise InvalidInput([Finding.at(place, "unknown-permission", message)])
    report: list[dict[str, Json]] = [
        {"environment": one, "subjects": holders(document, one, permission)} for one in options.wanted(document)
    ]
    if options.console.as_json:
        options.console.json({"version": 1, "permission": permission, "environments": report})
        return DONE
    for one in report:
        options.console.data(f"{permission} in {one['environment']}:\n")
        if not one["subjects"]:
            options.console.data("  nobody\n")
        for held in one["subjects"]:
            line = f"{held['subject']} by {_shown(held['way'])}{_end(held)}; {_needed(held)}"
            options.console.data(f"  {printable(line)}\n")
    return DONE


def _needed(held: dict[str, Json]) -> str:
    """What a login has to prove."""
    recent = f" at most {held['max_age']} s ago" if held["max_age"] is not None else ""
    window = f", in the window of {' and '.join(held['windows'])}" if held["windows"] else ""
    return f"needs {held['assurance']}{recent}{window}"


def _end(held: dict[str, Json]) -> str:
    return f", until {held['expires']}" if held["expires"] else ""


def _shown(way: list[str]) -> str:
    return " → ".join(way)
