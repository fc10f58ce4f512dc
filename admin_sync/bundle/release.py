"""From a configuration to what OPA decides by: build, publish, wait until it is served, and say so in the audit log."""

from __future__ import annotations

import os
from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from admin_sync.bundle.address import target_of
from admin_sync.bundle.await_opa import wait_until_served
from admin_sync.bundle.build import Bundle, build_bundle
from admin_sync.bundle.errors import BundleError
from admin_sync.bundle.opa_binary import find_opa
from admin_sync.bundle.publish import publish
from admin_sync.bundle.published import read_data
from admin_sync.bundle.target import Target
from admin_sync.errors import Misconfigured
from admin_sync.load.document import Document
from admin_sync.model import Json
from admin_sync.policy import policy_source
from admin_sync.settings import Settings
from admin_sync.trail import Trail

PLACE: Final = "ADMIN_SYNC_BUNDLE_TARGET (a directory, https://… or oci://registry/name:tag)"


class Turn(StrEnum):
    """What publishing a bundle is meant to do."""

    PUBLISH = "publish"
    FREEZE = "freeze"
    THAW = "thaw"


def target(settings: Settings) -> Target | None:
    """Where bundles go; None where the settings do not say. Raises BadTarget."""
    if settings.bundle_target is None:
        return None
    return target_of(settings.bundle_target, token_file=settings.bundle_token_file, ca_file=settings.bundle_ca_file)


def release(document: Document, settings: Settings, place: Target, turn: Turn, trail: Trail) -> dict[str, Json]:
    """Publish what a configuration means; what was published. Raises BundleError and Misconfigured."""
    made = built(document, settings, frozen=turn is Turn.FREEZE, before=_before(place))
    try:
        done = publish(made, place, thaw=turn is Turn.THAW)
        waited = wait_until_served(settings.opa_url, done.meta) if settings.opa_url else None
    except BundleError as problem:
        trail.bundle(turn, made.meta.revision, type(problem).__name__)
        raise
    trail.bundle(turn, done.meta.revision)
    return {
        "target": place.name,
        "outcome": str(done.outcome),
        "revision": done.meta.revision,
        "serial": done.meta.serial,
        "frozen": done.meta.frozen,
        "valid_until": done.meta.valid_until,
        "served_after_seconds": None if waited is None else round(waited, 3),
    }


def built(document: Document, settings: Settings, *, frozen: bool, before: Mapping[str, Json] | None = None) -> Bundle:
    """The signed bundle of a configuration, published nowhere. Raises BundleError and Misconfigured.

    before: the data of the bundle that this one is to replace
    """
    if settings.bundle_key_file is None:
        raise Misconfigured("set ADMIN_SYNC_BUNDLE_KEY_FILE to the key that signs the bundle")
    return build_bundle(
        policy_source(document),
        policy_dir=settings.policy_dir,
        key=settings.bundle_key_file,
        opa=find_opa(settings.opa_bin or os.environ.get("ADMIN_SYNC_OPA_BIN")),
        validity=settings.bundle_validity,
        frozen=frozen,
        before=before,
    )


def _before(place: Target) -> Mapping[str, Json] | None:
    """The data of what is published. Where it is forged it can only end grants, and where it is damaged there is none.

    Raises PublishFailed.
    """
    found = place.read()
    try:
        return None if found is None else read_data(found.content)
    except ValueError:
        return None
