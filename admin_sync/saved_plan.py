"""A plan in a file, to be reviewed and then applied as it was reviewed or not at all.

The file's digest tells an edited file; the realm itself tells a stale one: under the lock the plan
is made again, and it must say the same, values that would be overwritten included. So must the rules
that are published with it: an expiry or a window shows in no realm. What no plan shows is kept beside it:
by which gateway it was made, since one applies it in a transaction and the other does not, and a salted
digest of each secret that it would send.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import rfc8785

from admin_sync.desired.facts import Facts, Secret, same_secret
from admin_sync.desired.providers import SECRET_DIGEST
from admin_sync.diff import Plan
from admin_sync.errors import Refused
from admin_sync.model import Json
from admin_sync.render.view import document
from identity.strict_json import StrictJsonError, loads

_MAX_BYTES = 64 * 1024 * 1024


def beside(plan: Plan, gateway: str) -> dict[str, Json]:
    """What is saved of an environment beside its view: `gateway` by its name, digests of secrets by provider."""
    digests = {
        change.ref.name: one.after
        for change in plan.changes
        for one in change.differences
        if one.path == f"config.{SECRET_DIGEST}"
    }
    return {"gateway": gateway, "secrets": digests}


def save(path: Path, views: Sequence[Mapping[str, Json]], made: Sequence[Json]) -> str:
    """Write a plan, with what `beside` says of each environment; its digest. Raises OSError."""
    body = document([{**one, "made": how} for one, how in zip(views, made, strict=True)])
    digest = _digest(body)
    path.write_bytes(rfc8785.dumps({**body, "digest": digest}) + b"\n")
    return digest


def load(path: Path) -> list[dict[str, Any]]:
    """The environments' views in a saved plan. Raises Refused for a file that is not as it was saved."""
    try:
        with path.open("rb") as stream:
            raw = stream.read(_MAX_BYTES + 1)
        found = loads(raw, max_bytes=_MAX_BYTES, max_depth=64)
    except OSError as problem:
        raise Refused(f"{path} cannot be read ({problem.strerror}); make the plan again") from None
    except StrictJsonError:
        raise Refused(f"{path} is no saved plan; make it with plan --out {path}") from None
    if not isinstance(found, dict) or not isinstance(found.get("environments"), list):
        raise Refused(f"{path} is no saved plan; make it with plan --out {path}")
    digest = found.pop("digest", None)
    try:
        whole = found.get("version") == 1 and digest == _digest(found)
    except rfc8785.CanonicalizationError:
        whole = False
    environments: list[dict[str, Any]] = found["environments"]
    if not whole or not all(_is_view(one) for one in environments):
        raise Refused(f"{path} was edited after it was saved; make the plan again and have it reviewed")
    return environments


def _is_view(value: Json) -> bool:
    """Whether a part of a file has what `compare` looks at; anybody can compute a digest."""
    texts, lists = ("environment", "realm"), ("changes", "effects", "pending")
    return (
        isinstance(value, dict)
        and all(isinstance(value.get(name), str) for name in texts)
        and all(isinstance(value.get(name), list) for name in lists)
        and isinstance(value.get("made"), dict)
    )


def compare(saved: dict[str, Any], fresh: dict[str, Any], gateway: str, facts: Facts) -> None:
    """Raises Refused, naming the first difference, unless both say the same."""
    realm = saved["realm"]
    if saved["made"].get("gateway") != gateway:
        raise Refused(
            f"the saved plan for {realm} was made by gateway {saved['made'].get('gateway')}, and this run would carry "
            f"it out by {gateway}; give --gateway, or make the plan again"
        )
    if saved.get("rules") != fresh.get("rules"):
        raise Refused(
            f"the saved plan for {realm} is stale: what OPA would decide by (an expiry, a window, a level) moved "
            "since; make the plan again and have it reviewed"
        )
    for part in ("realm", "changes", "effects", "pending"):
        # Through JSON and back: a tuple and a list are the same in a file.
        if _digest(saved[part]) != _digest(fresh[part]):
            before, after = len(saved[part]), len(fresh[part])
            raise Refused(
                f"the saved plan for {realm} is stale: the realm or the configuration moved since ({part}: {before} "
                f"then, {after} now); make the plan again and have it reviewed"
            )
    for alias, digest in (saved["made"].get("secrets") or {}).items():
        secret = facts.secrets.get(alias)
        if not isinstance(secret, Secret) or not same_secret(str(digest), secret.value):
            raise Refused(
                f"the saved plan for {realm} is stale: the secret of identity provider {alias} is another by now; make "
                "the plan again and have it reviewed"
            )


def _digest(value: Json) -> str:
    return hashlib.sha256(rfc8785.dumps(value)).hexdigest()
