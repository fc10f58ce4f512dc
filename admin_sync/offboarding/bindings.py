"""The grants: a commit that bars the person and takes their bindings out, and the bundle that OPA decides by.

Barring is what denies them at once: an access token lives on for minutes, and a role that an identity
provider's group gives has no binding that could be taken away.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Final

from admin_sync.bundle.await_opa import wait_until_served
from admin_sync.bundle.errors import FreezeInForce, NotServed, Overtaken, StaleSerial
from admin_sync.bundle.published import Meta, read_data
from admin_sync.bundle.release import PLACE, Turn, release, target
from admin_sync.bundle.target import Target
from admin_sync.errors import Misconfigured
from admin_sync.model import Json
from admin_sync.offboarding.case import EVERYWHERE, Case, Item, NotDone
from admin_sync.repository import Repository, Selector, repository_settings
from admin_sync.trail import Trail

_FILE: Final = "role_bindings.yaml"
_BUNDLE: Final = "policy bundle"
_OVERTAKEN: Final = 3
"""How often somebody else may publish while ours is built, before that is a failure."""


class Bindings:
    """Bars the person in the file and removes their bindings from it, as one commit."""

    code = "bindings"
    says = "barred, and bindings removed by a commit"

    def places(self, case: Case) -> Sequence[str]:
        """One file for all environments."""
        return (EVERYWHERE,)

    def look(self, case: Case, place: str) -> Sequence[Item]:
        """What the head of the repository still grants, and whether it bars them yet."""
        document = _repository(case).document()
        bound = (
            [] if case.keeps_grants else [one for one in document.bindings.bindings if _theirs(case, one.subject.user)]
        )
        unbarred = [one for one in case.addresses if not document.barred(one)]
        if not bound and not unbarred:
            return ()
        granted: list[Json] = [
            {"what": one.target, "environments": list(one.environments), "request": one.request} for one in bound
        ]
        return [Item(_FILE, {"bar": unbarred, "bindings": granted})]

    def take(self, case: Case, place: str, item: Item) -> Mapping[str, Json]:
        """One commit, whose author is who runs this."""
        words = f"{'Suspend' if case.keeps_grants else 'Offboard'} {case.email}"
        # The same name for the same person, so that a repeated run finds its pull request and opens no second one.
        branch = f"offboard-{hashlib.sha256(case.email.encode()).hexdigest()[:12]}"
        with _repository(case).change(case.author, words, reason=case.reason, branch=branch) as change:
            for address in case.addresses:
                change.bar(address, case.clock(), case.reason or None)
                if not case.keeps_grants:
                    change.remove(Selector(user=address))
        done = change.committed
        if done is None:
            return {}
        if done.pull_request is not None:
            raise NotDone(
                f"the removal waits for a pull request to be merged: {done.pull_request}; then run this again"
            )
        return {"commit": done.commit}

    def left(self, case: Case, place: str) -> Sequence[Item]:
        """The same, asked anew."""
        return self.look(case, place)


class Decisions:
    """Publishes the bundle that denies them, and waits until OPA decides by it."""

    code = "decisions"
    says = "denied by OPA"

    def __init__(self, trail: Trail | None) -> None:
        self._trail = trail

    def places(self, case: Case) -> Sequence[str]:
        """One bundle for all environments."""
        return (EVERYWHERE,)

    def look(self, case: Case, place: str) -> Sequence[Item]:
        """The bundle, as long as it does not bar every address of theirs or OPA does not decide by it."""
        held = _target(case).read()
        try:
            data = {} if held is None else read_data(held.content)
            meta = Meta.of(data.get("meta"))
        except ValueError:
            return [Item(_BUNDLE, {"bar": list(case.addresses)})]
        missing = [address for address in case.addresses if address not in (data.get("barred") or {})]
        if missing:
            return [Item(_BUNDLE, {"bar": missing})]
        if case.settings.opa_url:
            try:
                # An earlier run may have published it and not lived to see it served.
                wait_until_served(case.settings.opa_url, meta, timeout=0.0)
            except NotServed as problem:
                return [Item(_BUNDLE, {"bar": [], "served": str(problem)})]
        return ()

    def take(self, case: Case, place: str, item: Item) -> Mapping[str, Json]:
        """Publish what the head of the repository says. A freeze that is in force stays one."""
        for _ in range(_OVERTAKEN):
            try:
                return self._published(case)
            except (StaleSerial, Overtaken):
                # The reconciler has seen the same commit and was quicker. What it published may be of an earlier one.
                continue
        return self._published(case)

    def _published(self, case: Case) -> Mapping[str, Json]:
        assert self._trail is not None  # noqa: S101  (only a run without effect has none)
        document = _repository(case).document()
        where = _target(case)
        try:
            done = release(document, case.settings, where, Turn.PUBLISH, self._trail)
        except FreezeInForce:
            done = release(document, case.settings, where, Turn.FREEZE, self._trail)
        return {name: done[name] for name in ("revision", "serial", "frozen", "served_after_seconds")}

    def left(self, case: Case, place: str) -> Sequence[Item]:
        """The same, asked anew."""
        return self.look(case, place)


def _repository(case: Case) -> Repository:
    return Repository(repository_settings(case.settings.environ))


def _target(case: Case) -> Target:
    found = target(case.settings)
    if found is None:
        raise Misconfigured(f"set {PLACE}: until a bundle says so, OPA allows them what their tokens carry")
    return found


def _theirs(case: Case, email: str) -> bool:
    return email.lower() in case.addresses
