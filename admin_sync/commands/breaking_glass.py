"""break-glass: emergency accounts, from sealing their credentials to the review of what they were used for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from admin_sync.commands.arguments import command, group
from admin_sync.commands.login import LoginProblem
from admin_sync.commands.options import Options
from admin_sync.commands.requesting import needed
from admin_sync.console import DONE, FAILED
from admin_sync.errors import AdminSyncError, Misconfigured
from admin_sync.settings import seconds

if TYPE_CHECKING:
    from admin_sync.break_glass.client import Responder
    from admin_sync.break_glass.credential import Credential

app = group("Emergency accounts: sealed until two of security agree, and then open for an hour.")

Account = Annotated[str, typer.Argument(metavar="ACCOUNT", help="An account of policies.yaml, break_glass.accounts.")]
Request = Annotated[str, typer.Argument(metavar="REQUEST", help="The request, such as REQ-000042.")]
Why = Annotated[str, typer.Option("--why", metavar="TEXT", help="What the emergency is; at least ten characters.")]
Duration = Annotated[
    str | None, typer.Option("--for", metavar="DURATION", help="How long, such as 30m. Default: as long as may be.")
]
Findings = Annotated[str, typer.Option("--findings", metavar="TEXT", help="What it was used for.")]
Misused = Annotated[
    bool, typer.Option("--misused", help="It should not have been opened, or was used for other things.")
]
Only = Annotated[list[str] | None, typer.Argument(metavar="ACCOUNT", help="Only these accounts. Default: all.")]


@command(app, "seal")
def seal(options: Options, *, accounts: Only = None) -> int:
    """Give accounts a new credential, which nobody sees, and put it into the vault. Refused while one is open."""
    from admin_sync.break_glass.accounts import places  # noqa: PLC0415 - with HTTP and database clients
    from admin_sync.break_glass.kit import Kit  # noqa: PLC0415
    from admin_sync.break_glass.sealing import seal as sealed  # noqa: PLC0415
    from admin_sync.keycloak.connection import Connection, KeycloakProblem  # noqa: PLC0415

    document = options.document()
    made = options.settings()
    wanted = [one for one in places(document) if one[0] in options.wanted(document)]
    unknown = set(accounts or ()) - set(document.policies.break_glass.accounts)
    if unknown:
        raise Misconfigured(f"{', '.join(sorted(unknown))}: no emergency account; see policies.yaml, break_glass")
    kit = Kit(document, Connection(made.account()), options.environ, made.node)
    results: list[dict[str, Any]] = []
    with kit.custody() as custody:
        for environment, name in wanted:
            if accounts and name not in accounts:
                continue
            options.console.progress(f"{name} in {environment}")
            try:
                _not_open(kit, environment, name)
                version = sealed(kit.account(environment, name), custody, environment, name)
                results.append({"environment": environment, "account": name, "version": version})
            except (AdminSyncError, KeycloakProblem) as problem:
                results.append({"environment": environment, "account": name, "problem": str(problem)})
    _tell(options, {"sealed": results}, [_sealed_line(one) for one in results])
    return FAILED if any("problem" in one for one in results) else DONE


@command(app, "ask")
def ask(options: Options, *, account: Account, why: Why, duration: Duration = None) -> int:
    """Ask for an account to be opened, in the environment of --env. Two of security have to agree."""
    if len(set(options.environments)) != 1:
        raise Misconfigured("name one environment with --env: an account is opened in one at a time")
    environment = options.environments[0]
    asked = None if duration is None else seconds("--for", duration)
    with _responder(options) as responder:
        span = timedelta(seconds=responder.offered()["emergency_longest"] if asked is None else asked)
        made = responder.ask(account, environment, why, datetime.now(UTC) + span)
    _tell(
        options,
        made,
        [
            f"{made['id']}: {account} in {environment} until {made['expires']}",
            f"now `admin-sync approve {made['id']}` by {needed(made['waiting_for'])}",
            f"then `admin-sync break-glass open {made['id']}` by you",
        ],
    )
    return DONE


@command(app, "open")
def open_(options: Options, *, request: Request) -> int:
    """Take the credential of an approved request out of the vault, once, and log in with it in a folder of its own."""
    from admin_sync.break_glass.client import CallRefused  # noqa: PLC0415

    with _responder(options) as responder:
        realms = responder.offered()["realms"]
        credential, environment, account = responder.credential(request)
        try:
            folder = _logged_in(options, credential, realms[environment], request)
        except (AdminSyncError, OSError, KeyError) as problem:
            # It was released and is lost with this process, so nothing may wait for its end.
            responder.close(request)
            raise CallRefused(f"{problem}; the opening is being closed, ask anew") from None
    told = {"request": request, "account": account, "environment": environment, "login_dir": str(folder)}
    _tell(
        options,
        told,
        [f"{account} is open in {environment}; in this shell:", f"  export TRADEPULSE_LOGIN_DIR={folder}"],
    )
    return DONE


@command(app, "close")
def close(options: Options, *, request: Request) -> int:
    """Close an opening now: the reconciler ends its sessions and seals a new credential."""
    with _responder(options) as responder:
        made = responder.close(request)
    _tell(options, made, [_line(made)])
    return DONE


@command(app, "review")
def review(options: Options, *, request: Request, findings: Findings, misused: Misused = False) -> int:
    """Say what a closed opening was used for. Neither the opener nor one who agreed can."""
    with _responder(options) as responder:
        made = responder.review(request, "misused" if misused else "justified", findings)
    _tell(options, made, [_line(made)])
    return DONE


@command(app, "status")
def status(options: Options) -> int:
    """Show openings. Exit 1 as long as one is open, not reviewed, or overdue."""
    with _responder(options) as responder:
        found = responder.openings()
    red = [one for one in found if one["stage"] != "reviewed"]
    lines = [_line(one) for one in found] or ["no opening that you have to do with"]
    _tell(options, {"openings": found, "red": len(red)}, lines)
    return FAILED if red else DONE


def _not_open(kit: Any, environment: str, name: str) -> None:
    """Raises AdminSyncError while somebody has the account: a new credential would lock them out in the emergency."""
    if not kit.environ.get("ACCESS_RECONCILER_DATABASE_URL"):
        return
    standing = kit.openings(lambda openings: openings.standing(name))
    if standing is not None and standing.environment == environment:
        raise Misconfigured("it is open; close it first, and it is sealed anew by itself")


def _logged_in(options: Options, credential: Credential, realm: str, request: str) -> Path:
    """A session of the emergency account at its realm, in a folder that no other login uses."""
    from admin_sync.break_glass.login import Answering  # noqa: PLC0415
    from identity.login import Kind, LoginFailed, PersonSession, Wanted, folder, registration  # noqa: PLC0415
    from identity.principal import AssuranceLevel  # noqa: PLC0415

    # On the server where the person themselves logged in, unless another one is named.
    own = registration(options.environ).issuer.rpartition("/realms/")[0]
    issuer = f"{(options.environ.get('ADMIN_SYNC_KEYCLOAK_URL') or own).rstrip('/')}/realms/{realm}"
    place = folder(options.environ) / f"break-glass-{request}"
    session = PersonSession(registration(options.environ, issuer=issuer), place, talk=Answering(credential, issuer))
    try:
        session.log_in(store=Kind.FILE, wanted=Wanted(AssuranceLevel.AAL3))
    except LoginFailed as failed:
        raise LoginProblem(str(failed), FAILED) from None
    return place


@contextmanager
def _responder(options: Options) -> Iterator[Responder]:
    """The person at the keyboard, at the access service and the vault. Raises Misconfigured and LoginProblem."""
    from admin_sync.break_glass.client import Responder  # noqa: PLC0415
    from identity.login import LoginFailed, PersonSession, folder, registration  # noqa: PLC0415
    from identity.login.commands import exit_code  # noqa: PLC0415

    missing = [name for name in ("ADMIN_SYNC_ACCESS_URL", "ADMIN_SYNC_VAULT_URL") if not options.environ.get(name)]
    if missing:
        raise Misconfigured(f"set {', '.join(missing)}: the services that know of openings (docs/break-glass.md)")
    try:
        session = PersonSession(registration(options.environ), folder(options.environ))
        yield Responder(session, options.environ["ADMIN_SYNC_ACCESS_URL"], options.environ["ADMIN_SYNC_VAULT_URL"])
    except LoginFailed as failed:
        raise LoginProblem(str(failed), exit_code(failed.code)) from None


def _tell(options: Options, told: Any, lines: list[str]) -> None:
    if options.console.as_json:
        options.console.json(told)
    else:
        options.console.data("".join(f"{line}\n" for line in lines))


def _sealed_line(one: dict[str, Any]) -> str:
    where = f"{one['account']} in {one['environment']}"
    return (
        f"{where}: not sealed: {one['problem']}" if "problem" in one else f"{where}: sealed, version {one['version']}"
    )


def _line(one: dict[str, Any]) -> str:
    what = f"{one['request']}: {one['account']} in {one['environment']}, by {one['opener']}: {one['stage']}"
    if one["stage"] == "reviewed":
        return f"{what}, {one['verdict']} by {one['reviewed_by']}"
    late = " OVERDUE," if one["overdue"] else ""
    return f"{what},{late} to be reviewed by {one['review_due']}"
