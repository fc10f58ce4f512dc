"""request, requests, approve, deny, cancel and grants: the person at the keyboard and the access service."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from admin_sync.commands.arguments import command, group
from admin_sync.commands.login import LoginProblem
from admin_sync.commands.options import Options
from admin_sync.console import DONE, REFUSED
from admin_sync.errors import Misconfigured
from admin_sync.settings import seconds

if TYPE_CHECKING:
    from admin_sync.access.client import AccessClient

app = group()


class View(StrEnum):
    """Which requests are listed."""

    MINE = "mine"
    TO_DECIDE = "to-decide"
    ALL = "all"


Role = Annotated[str | None, typer.Argument(metavar="[ROLE]", help="The role; or name a group with --group.")]
Group = Annotated[str | None, typer.Option("--group", metavar="GROUP", help="A group instead of a role.")]
Why = Annotated[str, typer.Option("--why", metavar="TEXT", help="What it is needed for, or the reason of a no.")]
Until = Annotated[str | None, typer.Option("--until", metavar="TIME", help="When it ends, such as 2027-01-31T18:00Z.")]
For = Annotated[str | None, typer.Option("--for", metavar="DURATION", help="How long, such as 8h.")]
Starts = Annotated[str | None, typer.Option("--starts", metavar="TIME", help="When it begins. Default: once approved.")]
Rules = Annotated[
    list[str] | None, typer.Option("--exception", metavar="RULE", help="A rule of segregation to set aside.")
]
User = Annotated[str | None, typer.Option("--user", metavar="EMAIL", help="For somebody else than yourself.")]
Preview = Annotated[bool, typer.Option("--preview", help="Show what would come of it, and ask for nothing.")]
Name = Annotated[str, typer.Argument(metavar="ID", help="The request, such as REQ-000042.")]
MaybeName = Annotated[str | None, typer.Argument(metavar="[ID]", help="One request; without it a list.")]
Which = Annotated[View, typer.Option("--view", help="Yours, those that wait for your yes, or all.")]
InState = Annotated[str | None, typer.Option("--state", metavar="STATE", help="Only those in this state.")]
Hash = Annotated[
    str | None, typer.Option("--hash", metavar="HASH", help="The text that you read; no other is approved.")
]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask again.")]
Comment = Annotated[str | None, typer.Option("--comment", metavar="TEXT", help="Something to remember with it.")]
Capacity = Annotated[str | None, typer.Option("--as", metavar="CAPACITY", help="Default: the first that is missing.")]


@command(app)
def request(
    options: Options,
    *,
    role: Role = None,
    group_: Group = None,
    why: Why,
    until: Until = None,
    for_: For = None,
    starts: Starts = None,
    exception: Rules = None,
    user: User = None,
    preview: Preview = False,
) -> int:
    """Ask for a role or a group in named environments until an end. Whoever has to agree is shown."""
    if (role is None) == (group_ is None):
        raise Misconfigured("name a role, or a group with --group, and not both")
    if not options.environments:
        raise Misconfigured("--env: say where it is needed, such as --env staging")
    target = {"role": role} if role is not None else {"group": group_}
    body = {
        "kind": "exception" if exception else "grant",
        "payload": {**target, **({"rules": exception} if exception else {})},
        "environments": list(options.environments),
        "justification": why,
        "expires": _end(until, for_, starts),
        "starts": starts,
        "subject": user,
    }
    with access_service(options) as service:
        told = service.post("/requests/preview" if preview else "/requests", body)
        return _show(options, told, _previewed(told) if preview else _lines(told))


@command(app)
def requests(options: Options, *, name: MaybeName = None, view: Which = View.MINE, state: InState = None) -> int:
    """Show one request, or those that are yours, wait for you, or all."""
    with access_service(options) as service:
        if name is not None:
            told = service.get(f"/requests/{_named(name)}")
            return _show(options, told, _lines(told))
        found: list[Any] = []
        after: str | None = None
        while True:
            page = service.get("/requests", view=view.value.replace("-", "_"), state=state, after=after, limit=200)
            found += page["requests"]
            options.console.progress(f"{len(found)} requests")
            after = page["next"]
            if after is None:
                return _show(options, {"requests": found}, [_line(one) for one in found] or ["none"])


@command(app)
def approve(
    options: Options,
    *,
    name: Name,
    hash_: Hash = None,
    yes: Yes = False,
    comment: Comment = None,
    capacity: Capacity = None,
) -> int:
    """Say yes to a request, after reading it: exactly this text, with a fresh login."""
    with access_service(options) as service:
        told = service.get(f"/requests/{_named(name)}")
        if hash_ is None and not yes:
            if not sys.stdin.isatty():
                raise Misconfigured("give --hash with the hash that `admin-sync requests ID` shows, or --yes")
            options.console.say("\n".join(_lines(told)))
            if not typer.confirm("Approve this?", err=True):
                return REFUSED
        body = {"hash": hash_ or told["hash"], "comment": comment, "as": capacity}
        told = service.post(f"/requests/{_named(name)}/approvals", body)
        return _show(options, told, _lines(told))


@command(app)
def deny(options: Options, *, name: Name, why: Why) -> int:
    """Say no to a request; that ends it."""
    with access_service(options) as service:
        told = service.post(f"/requests/{_named(name)}/denials", {"comment": why})
        return _show(options, told, _lines(told))


@command(app)
def cancel(options: Options, *, name: Name, comment: Comment = None) -> int:
    """Take a request back that is not carried out yet."""
    with access_service(options) as service:
        told = service.post(f"/requests/{_named(name)}/cancellation", {"comment": comment})
        return _show(options, told, _lines(told))


@command(app)
def grants(options: Options, *, user: User = None) -> int:
    """Show what you were granted, where and until when; or what somebody was whom you lead."""
    with access_service(options) as service:
        told = service.get("/grants", user=user)
        lines = [
            f"{one['target']:<28} {', '.join(one['environments']):<20} "
            f"{'' if one['in_force'] else 'ended '}{one['expires'] or 'no end'}  {one['request'] or ''}".rstrip()
            for one in told["grants"]
        ]
        return _show(options, told, lines or [f"nothing is granted to {told['user']}"])


@contextmanager
def access_service(options: Options) -> Iterator[AccessClient]:
    """The access service, as the person who is logged in. Raises Misconfigured, LoginProblem and AccessProblem."""
    from admin_sync.access.client import AccessClient  # noqa: PLC0415
    from identity.login import LoginFailed, PersonSession, folder, registration  # noqa: PLC0415
    from identity.login.commands import exit_code  # noqa: PLC0415

    url = options.environ.get("ADMIN_SYNC_ACCESS_URL")
    if not url:
        raise Misconfigured("set ADMIN_SYNC_ACCESS_URL to the access service (docs/access-requests.md)")
    try:
        service = AccessClient(url, PersonSession(registration(options.environ), folder(options.environ)))
        try:
            yield service
        finally:
            service.close()
    except LoginFailed as failed:
        raise LoginProblem(str(failed), exit_code(failed.code)) from None


def _named(name: str) -> str:
    from admin_sync.access.request import number_of  # noqa: PLC0415

    if number_of(name) is None:
        raise Misconfigured("a request is called REQ- and a number, such as REQ-000042")
    return name


def _end(until: str | None, for_: str | None, starts: str | None) -> str:
    if (until is None) == (for_ is None):
        raise Misconfigured("say when it ends: --until TIME or --for DURATION")
    if until is not None:
        return until
    try:
        begin = datetime.now(UTC) if starts is None else datetime.fromisoformat(starts)
    except ValueError:
        raise Misconfigured("--starts: write a time such as 2027-01-31T18:00Z") from None
    return (begin + timedelta(seconds=seconds("--for", for_ or ""))).isoformat()


def _show(options: Options, told: Any, lines: list[str]) -> int:
    if options.console.as_json:
        options.console.json(told)
    else:
        options.console.data("".join(f"{line}\n" for line in lines))
    return DONE


def _line(one: dict[str, Any]) -> str:
    mark = "*" if one["may_decide"] else " "
    what = (
        " ".join(f"{name} {value}" for name, value in one["payload"].items() if isinstance(value, str)) or one["kind"]
    )
    where = ", ".join(one["environments"])
    return f"{mark} {one['id']}  {one['state']:<9}  {one['subject']}  {what}  {where}  until {one['expires']}"


def _lines(one: dict[str, Any]) -> list[str]:
    told = [_line(one).lstrip("* "), f"  why: {one['justification']}"]
    if one["requester"] != one["subject"]:
        told.append(f"  asked by {one['requester']}")
    told += [f"  approved by {yes['by']} as {yes['as']} at {yes['at']}" for yes in one["approvals"]]
    told += _needs(one["waiting_for"])
    told += _gains(one["gains"])
    if one["reason"]:
        told.append(f"  {one['state']} by {one['changed_by']}: {one['reason']}")
    return [*told, f"  hash {one['hash']}"]


def needed(needs: Sequence[Mapping[str, Any]]) -> str:
    """Who has to agree, in one line: `2 of security (a@x.example, b@x.example)`."""
    people: dict[tuple[str, tuple[str, ...]], int] = {}
    for one in needs:
        key = str(one["capacity"]), tuple(one["who"])
        people[key] = people.get(key, 0) + 1
    found = [f"{count} of {capacity} ({', '.join(who) or 'nobody'})" for (capacity, who), count in people.items()]
    return " and ".join(found) or "nobody more"


def _previewed(told: dict[str, Any]) -> list[str]:
    refused = [f"refused: {one['code']}: {one['detail']}" for one in told["refusals"]]
    return [*(refused or ["this can be asked for"]), *_needs(told["approvals"]), *_gains(told["gains"])]


def _needs(needs: list[dict[str, Any]]) -> list[str]:
    return [f"  needs {one['capacity']}: {', '.join(one['who']) or 'nobody'}" for one in needs]


def _gains(gains: list[dict[str, Any]]) -> list[str]:
    return [
        f"  + {one['environment']}: {one['permission']}{' (sensitive)' if one['sensitive'] else ''} by "
        f"{' → '.join(one['way'])}"
        for one in gains
    ]
