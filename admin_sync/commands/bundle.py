"""bundle build, publish, freeze and thaw; and what `apply` does about the bundle."""

from __future__ import annotations

import os
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from admin_sync.bundle.address import target_of
from admin_sync.bundle.await_opa import wait_until_served
from admin_sync.bundle.build import Bundle, build_bundle
from admin_sync.bundle.errors import BundleError
from admin_sync.bundle.opa_binary import find_opa
from admin_sync.bundle.publish import publish as put_in_place
from admin_sync.bundle.published import read_data
from admin_sync.bundle.target import Target
from admin_sync.commands.arguments import command, group
from admin_sync.commands.options import Options
from admin_sync.console import DONE
from admin_sync.errors import Misconfigured
from admin_sync.load.document import Document
from admin_sync.model import Json
from admin_sync.policy import policy_source
from admin_sync.settings import Settings
from admin_sync.trail import Trail, opened

_TARGET = "ADMIN_SYNC_BUNDLE_TARGET (a directory, https://… or oci://registry/name:tag)"


class Turn(StrEnum):
    """What publishing a bundle is meant to do."""

    PUBLISH = "publish"
    FREEZE = "freeze"
    THAW = "thaw"


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


@command(app)
def build(options: Options, *, out: Out) -> int:
    """Test the rules, render the data, sign both; publish nothing."""
    made = _built(options.document(), options.settings(), frozen=False)
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
def freeze(options: Options, *, target: To = None) -> int:
    """Publish a bundle in which only the emergency roles still give anything."""
    return _turned(options, Turn.FREEZE, target)


@command(app)
def thaw(options: Options, *, target: To = None) -> int:
    """End a freeze with a fresh bundle."""
    return _turned(options, Turn.THAW, target)


def _turned(options: Options, turn: Turn, address: str | None) -> int:
    document = options.document()
    made = options.settings()
    if address is not None:
        made = replace(made, bundle_target=address)
    target = _target(made)
    if target is None:
        raise Misconfigured(f"set {_TARGET}, or give --target")
    with opened(made) as trail:
        report = _publish(document, made, target, turn, trail)
    if options.console.as_json:
        options.console.json(report)
    else:
        options.console.data(f"{report['outcome']}: revision {report['revision']}, frozen: {report['frozen']}\n")
    return DONE


def _target(made: Settings) -> Target | None:
    if made.bundle_target is None:
        return None
    return target_of(made.bundle_target, token_file=made.bundle_token_file, ca_file=made.bundle_ca_file)


def before_apply(options: Options) -> None:
    """Raises Misconfigured or BadTarget for what would keep `after_apply` from publishing, before anything changes."""
    made = options.settings()
    if _target(made) is not None and made.bundle_key_file is None:
        raise Misconfigured("set ADMIN_SYNC_BUNDLE_KEY_FILE to the key that signs the bundle")


def after_apply(options: Options, document: Document, trail: Trail) -> Json:
    """Publish when the settings say where; None when they do not."""
    made = options.settings()
    target = _target(made)
    if target is None:
        options.console.say(f"no bundle was published: {_TARGET} is not set")
        return None
    options.console.progress("publishing the policy bundle")
    return _publish(document, made, target, Turn.PUBLISH, trail)


def published(options: Options) -> tuple[dict[str, Json] | None, str | None]:
    """What OPA decides by now, to be compared with, and why it cannot be read; None and None where nothing is there."""
    try:
        target = _target(options.settings())
        found = None if target is None else target.read()
        return None if found is None else read_data(found.content), None
    except (BundleError, ValueError) as problem:
        return None, f"what OPA decides by is not compared: {problem}"


def _publish(document: Document, made: Settings, target: Target, turn: Turn, trail: Trail) -> dict[str, Json]:
    built = _built(document, made, frozen=turn is Turn.FREEZE)
    try:
        done = put_in_place(built, target, thaw=turn is Turn.THAW)
        waited = wait_until_served(made.opa_url, done.meta) if made.opa_url else None
    except BundleError as problem:
        trail.bundle(turn, built.meta.revision, type(problem).__name__)
        raise
    trail.bundle(turn, done.meta.revision)
    return {
        "target": target.name,
        "outcome": str(done.outcome),
        "revision": done.meta.revision,
        "serial": done.meta.serial,
        "frozen": done.meta.frozen,
        "valid_until": done.meta.valid_until,
        "served_after_seconds": None if waited is None else round(waited, 3),
    }


def _built(document: Document, made: Settings, *, frozen: bool) -> Bundle:
    if made.bundle_key_file is None:
        raise Misconfigured("set ADMIN_SYNC_BUNDLE_KEY_FILE to the key that signs the bundle")
    return build_bundle(
        policy_source(document),
        policy_dir=made.policy_dir,
        key=made.bundle_key_file,
        opa=find_opa(made.opa_bin or os.environ.get("ADMIN_SYNC_OPA_BIN")),
        validity=made.bundle_validity,
        frozen=frozen,
    )
