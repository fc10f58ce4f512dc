"""mfa-bypass: one login without the second factor, with a code of which two people have a half each."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from admin_sync.commands.arguments import command, group
from admin_sync.commands.options import Options
from admin_sync.commands.requesting import access_service, needed
from admin_sync.console import DONE, NOT_ALLOWED, REFUSED
from admin_sync.desired import realm_name
from admin_sync.errors import AdminSyncError, Misconfigured
from admin_sync.settings import seconds

if TYPE_CHECKING:
    from admin_sync.bypass.account import Accounts, Code
    from admin_sync.bypass.client import BypassCalls
    from identity.login import PersonSession

app = group("Emergency MFA bypass: one login without the second factor, after two people agreed.")

Person = Annotated[str, typer.Argument(metavar="EMAIL", help="Whom the code is of.")]
Subject = Annotated[str | None, typer.Option("--user", metavar="EMAIL", help="Whom it is for. Default: you.")]
Request = Annotated[str, typer.Argument(metavar="REQUEST", help="The request, such as REQ-000042.")]
Why = Annotated[str, typer.Option("--why", metavar="TEXT", help="What happened; at least ten characters.")]
Comment = Annotated[str | None, typer.Option("--comment", metavar="TEXT", help="How you know who asks.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask again.")]
Duration = Annotated[
    str | None, typer.Option("--for", metavar="DURATION", help="How long, such as 1h. Default: as long as may be.")
]


class NoCode(AdminSyncError):
    """The account has no such code."""

    exit_code = NOT_ALLOWED


@command(app, "request")
def request_(options: Options, *, why: Why, user: Subject = None, duration: Duration = None) -> int:
    """Ask for a code, in the environment of --env, and get the person's half of it. It is shown once."""
    environment = _one(options)
    asked = None if duration is None else seconds("--for", duration)
    with _calls(options) as (calls, session):
        span = timedelta(seconds=calls.longest() if asked is None else asked)
        subject = user or session.who().email
        if not subject:
            raise Misconfigured("your login has no e-mail address; say with --user whom it is for")
        made = calls.ask(subject, environment, why, datetime.now(UTC) + span)
    told = made.request
    _tell(
        options,
        {"request": dict(told), "own_half": made.text},
        [
            f"{told['id']}: one login of {told['subject']} in {environment}, until {told['expires']}",
            f"your half of the code: {made.text}   (it is not shown again)",
            f"it takes {needed(told['waiting_for'])}; the other half comes from whoever of security agrees",
        ],
    )
    return DONE


@command(app, "approve")
def approve(options: Options, *, request: Request, comment: Comment = None, yes: Yes = False) -> int:
    """Agree to a request for security, and get the half that you hand to the person. It is shown once."""
    from admin_sync.access.client import AccessProblem  # noqa: PLC0415 - with an HTTP client that few commands need

    with _calls(options) as (calls, _):
        found = calls.find(request)
        if found["kind"] != "mfa_bypass":
            raise NoCode(f"{request} is no bypass; agree to it with `admin-sync approve {request}`")
        if not yes:
            options.console.say("\n".join([f"{found['id']}: {found['subject']}", f"  why: {found['justification']}"]))
            if not sys.stdin.isatty():
                raise Misconfigured("give --yes: without a terminal nobody can be asked")
            if not typer.confirm("Approve this?", err=True):
                return REFUSED
        try:
            made = calls.approve(found, comment)
        except AccessProblem as problem:
            # It agrees for security, which hands a half over; whoever may speak as an owner alone has none.
            hint = f"Owners of roles agree by `admin-sync approve {request}`."
            raise problem.hinted("approval-not-needed", hint) from None
    told = made.request
    _tell(
        options,
        {"request": dict(told), "handed_half": made.text},
        [
            f"{told['id']}: {told['state']}; {told['subject']} in {told['environments'][0]}, until {told['expires']}",
            f"the half to hand over: {made.text}   (it is not shown again)",
            f"tell it to {told['subject']} in person or by a call that you make, and never by mail or chat",
        ],
    )
    return DONE


@command(app, "status")
def status(options: Options, *, person: Person) -> int:
    """Say what became of somebody's latest code, in the environment of --env."""
    found = _accounts(options).find(person)
    if found is None:
        raise NoCode(f"{person} never had a code there")
    _told(options, person, found)
    return DONE


@command(app, "withdraw")
def withdraw(options: Options, *, person: Person, request: Request) -> int:
    """Close somebody's code at once, in the environment of --env. A session that it proved is ended by `offboard`,
    `bundle freeze`, or Keycloak's console."""
    found = _accounts(options).withdraw(person, request)
    if found is None:
        raise NoCode(f"{person} has no code of {request} there")
    _told(options, person, found)
    return DONE


def _one(options: Options) -> str:
    if len(set(options.environments)) != 1:
        raise Misconfigured("name one environment with --env: a code is for one login in one of them")
    return options.environments[0]


def _accounts(options: Options) -> Accounts:
    from admin_sync.bypass.account import Accounts  # noqa: PLC0415 - with an HTTP client that few commands need
    from admin_sync.keycloak.connection import Connection  # noqa: PLC0415

    environment, document = _one(options), options.document()
    realm = realm_name(document, environment)
    return Accounts(Connection(options.settings().account()), realm)


@contextmanager
def _calls(options: Options) -> Iterator[tuple[BypassCalls, PersonSession]]:
    """The person at the keyboard, at the access service. Raises Misconfigured, LoginProblem and AccessProblem."""
    from admin_sync.bypass.client import BypassCalls  # noqa: PLC0415
    from identity.login import PersonSession, folder, registration  # noqa: PLC0415

    with access_service(options) as service:
        session = PersonSession(registration(options.environ), folder(options.environ))
        yield BypassCalls(service), session


def _told(options: Options, person: str, code: Code) -> None:
    told = {"user": person, "request": code.request, "state": code.state, "ends": code.ends.isoformat()}
    line = f"{code.request}: {code.state}, until {code.ends:%Y-%m-%d %H:%M} UTC, {code.failures} wrong"
    _tell(options, {**told, "failures": code.failures}, [line])


def _tell(options: Options, told: dict[str, Any], lines: list[str]) -> None:
    if options.console.as_json:
        options.console.json(told)
    else:
        options.console.data("".join(f"{line}\n" for line in lines))
