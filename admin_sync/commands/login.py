"""login, logout and whoami: the person at the keyboard, apart from the account that admin-sync itself acts as."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Final

import typer

from admin_sync.commands.arguments import command, group
from admin_sync.commands.options import Options
from admin_sync.console import DONE, FAILED
from admin_sync.desired import realm_name
from admin_sync.errors import AdminSyncError, Misconfigured
from identity.principal import AssuranceLevel

if TYPE_CHECKING:
    from identity.login import PersonSession, Registration
    from identity.principal import Principal

app = group()

_TOLD: Final = (
    "TRADEPULSE_ISSUER",
    "TRADEPULSE_CLI_CLIENT_ID",
    "TRADEPULSE_OAUTH2_AUDIENCE",
    "TRADEPULSE_LOGIN_DIR",
    "XDG_STATE_HOME",
    "HOME",
)
"""The variables that say where a person logs in and where the session is kept."""


class Keep(StrEnum):
    """Where a session is kept, as `identity.login.Kind` calls it; that package is loaded only by who uses it."""

    KEYRING = "keyring"
    FILE = "file"


class LoginProblem(AdminSyncError):
    """A login that did not come about; the text ends with its stable code."""

    def __init__(self, text: str, code: int) -> None:
        super().__init__(text)
        self.exit_code = code


Issuer = Annotated[
    str | None, typer.Option("--issuer", metavar="URL", help="The realm. Default: that of --env, or TRADEPULSE_ISSUER.")
]
Level = Annotated[AssuranceLevel | None, typer.Option("--acr", help="Insist on this level of assurance.")]
Device = Annotated[bool, typer.Option("--device", help="Show a code for another device; where no browser is.")]
NoBrowser = Annotated[bool, typer.Option("--no-browser", help="Show the address and open nothing.")]
Stored = Annotated[
    Keep | None, typer.Option("--store", help="Where to keep the session. Default: where it was, or the keyring.")
]
Everywhere = Annotated[bool, typer.Option("--everywhere", help="End the browser's session too.")]


@command(app)
def login(
    options: Options,
    *,
    issuer: Issuer = None,
    acr: Level = None,
    device: Device = False,
    no_browser: NoBrowser = False,
    store: Stored = None,
) -> int:
    """Log in as yourself, for the programs of this host: in a browser, or with a code where none is."""
    with _session(options, issuer, browser=not no_browser) as session:
        from identity.login import Kind, Wanted  # noqa: PLC0415

        kept = None if store is None else Kind(store.value)
        principal = session.log_in(store=kept, wanted=Wanted(acr), device=device)
        return _shown(options, session, principal)


@command(app)
def logout(options: Options, *, issuer: Issuer = None, everywhere: Everywhere = False) -> int:
    """End your session, here and at the issuer. Exit 1 if the issuer could not be told."""
    with _session(options, issuer) as session:
        from identity.login.commands import farewell  # noqa: PLC0415

        done = session.log_out(everywhere=everywhere)
        if options.console.as_json:
            options.console.json({"was_logged_in": done.was_logged_in, "issuer_told": done.told})
        else:
            options.console.data(f"{farewell(done, session.registration)}\n")
        return DONE if done.told else FAILED


@command(app)
def whoami(options: Options, *, issuer: Issuer = None) -> int:
    """Say who is logged in, what was proved, and which roles that gives."""
    with _session(options, issuer) as session:
        return _shown(options, session, session.who())


def _shown(options: Options, session: PersonSession, principal: Principal) -> int:
    from identity.login.commands import facts, lines  # noqa: PLC0415

    told = facts(principal, session.registration)
    if options.console.as_json:
        options.console.json(told)
    else:
        options.console.data("".join(f"{line}\n" for line in lines(told)))
    return DONE


@contextmanager
def _session(options: Options, issuer: str | None, *, browser: bool = True) -> Iterator[PersonSession]:
    """The session at the realm that was named. What goes wrong with it becomes an error of ours."""
    from identity.login import LoginFailed, PersonSession, Terminal, folder  # noqa: PLC0415
    from identity.login.commands import exit_code  # noqa: PLC0415

    try:
        told = {name: options.environ[name] for name in _TOLD if name in options.environ}
        yield PersonSession(_registration(options, issuer, told), folder(told), talk=Terminal(browser=browser))
    except LoginFailed as failed:
        raise LoginProblem(str(failed), exit_code(failed.code)) from None


def _registration(options: Options, issuer: str | None, told: dict[str, str]) -> Registration:
    from identity.login import registration  # noqa: PLC0415

    if issuer is None and options.environments:
        if len(options.environments) > 1:
            raise Misconfigured("--env: one environment at a time; each has a realm, and a login, of its own")
        url = options.settings().keycloak_url
        if url is None:
            raise Misconfigured("set ADMIN_SYNC_KEYCLOAK_URL, or name the realm with --issuer")
        document = options.document()
        issuer = f"{url.rstrip('/')}/realms/{realm_name(document, options.environments[0])}"
        return registration({"TRADEPULSE_OAUTH2_AUDIENCE": document.roles.realm.audience, **told}, issuer=issuer)
    return registration(told, issuer=issuer)
