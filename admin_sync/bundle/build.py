"""Make a bundle: run the rules' own tests, then render, stamp and sign.

The rules are read once. What is tested is what is signed, even if somebody edits a file meanwhile.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from admin_sync.bundle.errors import PolicyRed
from admin_sync.bundle.lapsed import lapsed
from admin_sync.bundle.published import Meta
from admin_sync.bundle.render import canonical, digest, render
from admin_sync.bundle.sign import said, signed_bundle
from admin_sync.bundle.source import PolicySource
from admin_sync.model import Json

WEEK = 7 * 24 * 3600


@dataclass(frozen=True, slots=True)
class Bundle:
    """A signed bundle, ready to be published: the bytes of the archive and what it says of itself.

    `key` and `opa` made it, and can tell whether another bundle was made the same way.
    """

    content: bytes
    meta: Meta
    key: Path
    opa: Path


def build_bundle(
    source: PolicySource,
    *,
    policy_dir: Path,
    key: Path,
    opa: Path,
    validity: int = WEEK,
    frozen: bool = False,
    before: Mapping[str, Json] | None = None,
    clock: Callable[[], float] = time.time,
) -> Bundle:
    """A bundle of `source` and the rules in `policy_dir`, good for `validity` seconds from now.

    `frozen` makes one in which only the emergency roles still give anything. `before` is the document that OPA
    decides by now: what it grants and `source` does not is known as lapsed for a while (`lapsed.py`).

    Raises SourceInvalid, PolicyRed, KeyUnusable and SigningFailed, and in each case nothing has been published.
    """
    now = clock()
    data = render(source)
    data["lapsed"] = lapsed(data, before or {}, int(now))
    rules = _rego_files(policy_dir)
    test_rules(rules, opa=opa)
    served = _without_tests(rules)
    serial = int(now * 1000)
    fingerprint = digest(data, source.emergency_roles, served)
    meta = Meta(
        revision=f"{fingerprint[:12]}-{serial}",
        serial=serial,
        built_at=int(now),
        valid_until=int(now) + validity,
        frozen=frozen,
        emergency_roles=tuple(sorted(source.emergency_roles)),
        digest=fingerprint,
    )
    files = {f"tradepulse/rules/{name}": text for name, text in served.items()}
    files["tradepulse/iam/data.json"] = canonical({**data, "meta": meta.document()})
    return Bundle(signed_bundle(files, revision=meta.revision, key=key, opa=opa), meta, key, opa)


_PASSED: Final[dict[str, int]] = {}
"""Rules that passed in this process, by digest, with the number of their tests. The reconciler publishes the same
rules again and again, and the tests' two seconds are most of what a grant would wait for."""


def test_rules(rules: Mapping[str, bytes], *, opa: Path) -> int:
    """Run the Rego tests among `rules` and return how many passed.

    Raises PolicyRed if a file does not compile, if any test fails, errs or is skipped, and if there
    is none: rules that nobody tests are not published either.
    """
    known = hashlib.sha256(repr((sorted(rules.items()), str(opa))).encode()).hexdigest()
    if known in _PASSED:
        return _PASSED[known]
    with TemporaryDirectory(prefix="tradepulse-rules-") as scratch:
        for name, text in rules.items():
            path = Path(scratch, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text)
        command: list[str | Path] = [opa, "test", "--format", "json", "."]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False, cwd=scratch)  # noqa: S603
    try:
        results = json.loads(done.stdout) if done.stdout.strip() else []
    except ValueError:
        results = []
    red = [f"{test['package']}.{test['name']}" for test in results if {"fail", "error", "skip"} & set(test)]
    if red:
        raise PolicyRed("nothing was published, because tests of the policy fail:\n  " + "\n  ".join(sorted(red)))
    if done.returncode != 0:
        raise PolicyRed(f"nothing was published, because the policy does not compile:\n{said(done)}")
    if not results:
        raise PolicyRed(
            "nothing was published, because the policy has no tests; ADMIN_SYNC_POLICY_DIR names its folder"
        )
    _PASSED[known] = len(results)
    return len(results)


def served_rules(policy_dir: Path) -> dict[str, bytes]:
    """The rules that a bundle would hold, by file name."""
    return _without_tests(_rego_files(policy_dir))


def _without_tests(rules: Mapping[str, bytes]) -> dict[str, bytes]:
    return {name: text for name, text in rules.items() if not name.endswith("_test.rego")}


def _rego_files(policy_dir: Path) -> dict[str, bytes]:
    return {path.relative_to(policy_dir).as_posix(): path.read_bytes() for path in sorted(policy_dir.rglob("*.rego"))}
