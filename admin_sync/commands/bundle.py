"""bundle build, publish, freeze and thaw; and what `apply` does about the bundle."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from admin_sync.bundle.errors import BundleError
from admin_sync.bundle.published import read_data
from admin_sync.bundle.release import PLACE, Turn, built, release, target
from admin_sync.commands.arguments import command, group
from admin_sync.commands.options import Options
from admin_sync.console import DONE, FAILED
from admin_sync.desired import Facts
from admin_sync.errors import Misconfigured
from admin_sync.keycloak.connection import Connection, KeycloakProblem
from admin_sync.load.document import Document
from admin_sync.model import Json
from admin_sync.offboarding.everybody import end_everybodys_sessions
from admin_sync.sync import Session
from admin_sync.trail import Trail, opened

app = group("The signed policy bundle that OPA decides by.")

Out = Annotated[Path, typer.Option("--out", metavar="FILE", help="Where the signed archive goes.")]

To = Annotated[
    str | None,
    typer.Option(
        "--target",
        metavar="PLACE",
        help="A directory, https://… or oci://registry/name:tag; default: ADMIN_SYNC_BUNDLE_TARGET.",
    ),
]


EndSessions = Annotated[
    bool, typer.Option("--end-sessions", help="Also end the sessions of everybody who holds no emergency role.")
]


@command(app)
def build(options: Options, *, out: Out) -> int:
    """Test the rules, render the data, sign both; publish nothing."""
    made = built(options.document(), options.settings(), frozen=False)
    fresh = out.with_name(f".{out.name}.new")
    fresh.write_bytes(made.content)
    fresh.replace(out)
    report = {"file": str(out), "revision": made.meta.revision, "valid_until": made.meta.valid_until}
    if options.console.as_json:
        options.console.json(report)
    else:
        options.console.data(f"{out}: revision {made.meta.revision}\n")
    return DONE


@command(app)
def publish(options: Options, *, target: To = None) -> int:
    """Build, and put it in the place that OPA reads."""
    return _turned(options, Turn.PUBLISH, target)


@command(app)
def freeze(options: Options, *, target: To = None, end_sessions: EndSessions = False) -> int:
    """Publish a bundle in which only the emergency roles still give anything."""
    return _turned(options, Turn.FREEZE, target, end_sessions=end_sessions)


@command(app)
def thaw(options: Options, *, target: To = None) -> int:
    """End a freeze with a fresh bundle."""
    return _turned(options, Turn.THAW, target)


def _turned(options: Options, turn: Turn, address: str | None, *, end_sessions: bool = False) -> int:
    document = options.in_force()
    made = options.settings()
    if address is not None:
        made = replace(made, bundle_target=address)
    place = target(made)
    if place is None:
        raise Misconfigured(f"set {PLACE}, or give --target")
    missed: dict[str, str] = {}
    with opened(made) as trail:
        report = release(document, made, place, turn, trail)
        if not options.console.as_json:
            options.console.data(f"{report['outcome']}: revision {report['revision']}, frozen: {report['frozen']}\n")
        if end_sessions:
            report["sessions"], missed = _sessions_ended(options, document, trail)
    if options.console.as_json:
        options.console.json({**report, "not_ended": missed} if end_sessions else report)
    for environment, reason in missed.items():
        options.console.complain(f"admin-sync: sessions in {environment} were not ended: {reason}; run this again")
    return FAILED if missed else DONE


def _sessions_ended(options: Options, document: Document, trail: Trail) -> tuple[dict[str, Json], dict[str, str]]:
    """What was ended, and where it was not; one realm that fails keeps no other from being emptied."""
    done: dict[str, Json] = {}
    missed: dict[str, str] = {}
    session = Session(document, options.settings(), Connection(options.settings().account()), Facts())
    for environment in options.wanted(document):
        try:
            ended = end_everybodys_sessions(session, environment, options.console.progress)
        except KeycloakProblem as problem:
            missed[environment] = str(problem)
            continue
        trail.sessions_ended(ended.realm, ended.people, ended.kept)
        done[ended.realm] = {"people": ended.people, "kept": ended.kept}
        if not options.console.as_json:
            options.console.data(f"{ended.realm}: sessions of {ended.people} people ended, of {ended.kept} kept\n")
    return done, missed


def before_apply(options: Options) -> None:
    """Raises Misconfigured or BadTarget for what would keep `after_apply` from publishing, before anything changes."""
    made = options.settings()
    if target(made) is not None and made.bundle_key_file is None:
        raise Misconfigured("set ADMIN_SYNC_BUNDLE_KEY_FILE to the key that signs the bundle")


def after_apply(options: Options, document: Document, trail: Trail) -> Json:
    """Publish when the settings say where; None when they do not."""
    made = options.settings()
    place = target(made)
    if place is None:
        options.console.say(f"no bundle was published: {PLACE} is not set")
        return None
    options.console.progress("publishing the policy bundle")
    return release(document, made, place, Turn.PUBLISH, trail)


def published(options: Options) -> tuple[dict[str, Json] | None, str | None]:
    """What OPA decides by now, to be compared with, and why it cannot be read; None and None where nothing is there."""
    try:
        place = target(options.settings())
        found = None if place is None else place.read()
        return None if found is None else read_data(found.content), None
    except (BundleError, ValueError) as problem:
        return None, f"what OPA decides by is not compared: {problem}"
