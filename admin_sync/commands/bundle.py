"""bundle build, publish, freeze and thaw; and what `apply` does about the bundle."""

from __future__ import annotations

import os
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from admin_sync.bundle.await_opa import wait_until_served
from admin_sync.bundle.build import Bundle, build_bundle
from admin_sync.bundle.errors import BundleError
from admin_sync.bundle.opa_binary import find_opa
from admin_sync.bundle.publish import publish as put_in_place
from admin_sync.commands.arguments import command, group
from admin_sync.commands.options import Options
from admin_sync.console import DONE
from admin_sync.errors import Misconfigured
from admin_sync.load.document import Document
from admin_sync.model import Json
from admin_sync.policy import policy_source
from admin_sync.settings import Settings
from admin_sync.trail import Trail, opened


class Turn(StrEnum):
    """What publishing a bundle is meant to do."""

    PUBLISH = "publish"
    FREEZE = "freeze"
    THAW = "thaw"


app = group("The signed policy bundle that OPA decides by.")

Out = Annotated[Path, typer.Option("--out", metavar="FILE", help="Where the signed archive goes.")]


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
def publish(options: Options) -> int:
    """Build, and put it in the place that OPA reads."""
    return _turned(options, Turn.PUBLISH)


@command(app)
def freeze(options: Options) -> int:
    """Publish a bundle in which only the emergency roles still give anything."""
    return _turned(options, Turn.FREEZE)


@command(app)
def thaw(options: Options) -> int:
    """End a freeze with a fresh bundle."""
    return _turned(options, Turn.THAW)


def _turned(options: Options, turn: Turn) -> int:
    document = options.document()
    made = options.settings()
    if made.bundle_dir is None:
        raise Misconfigured("set ADMIN_SYNC_BUNDLE_DIR to the directory that OPA's bundle is served from")
    with opened(made) as trail:
        report = _publish(document, made, turn, trail)
    if options.console.as_json:
        options.console.json(report)
    else:
        options.console.data(f"{report['outcome']}: revision {report['revision']}, frozen: {report['frozen']}\n")
    return DONE


def before_apply(options: Options) -> None:
    """Raises Misconfigured for what would keep `after_apply` from signing, while nothing has been changed yet."""
    made = options.settings()
    if made.bundle_dir is not None and made.bundle_key_file is None:
        raise Misconfigured("set ADMIN_SYNC_BUNDLE_KEY_FILE to the key that signs the bundle")


def after_apply(options: Options, document: Document, trail: Trail) -> Json:
    """Publish when the settings say where; None when they do not."""
    made = options.settings()
    if made.bundle_dir is None:
        options.console.say("no bundle was published: ADMIN_SYNC_BUNDLE_DIR is not set")
        return None
    options.console.progress("publishing the policy bundle")
    return _publish(document, made, Turn.PUBLISH, trail)


def _publish(document: Document, made: Settings, turn: Turn, trail: Trail) -> dict[str, Json]:
    if made.bundle_dir is None:
        raise Misconfigured("set ADMIN_SYNC_BUNDLE_DIR")
    built = _built(document, made, frozen=turn is Turn.FREEZE)
    try:
        done = put_in_place(built, made.bundle_dir, thaw=turn is Turn.THAW)
        waited = wait_until_served(made.opa_url, done.meta) if made.opa_url else None
    except BundleError as problem:
        trail.bundle(turn, built.meta.revision, type(problem).__name__)
        raise
    trail.bundle(turn, done.meta.revision)
    return {
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
