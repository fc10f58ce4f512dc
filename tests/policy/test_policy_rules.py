"""The rules by themselves: their own tests pass, reach every line, and are written as `opa fmt` writes."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from opa_process import POLICY


def run(opa: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([opa, *arguments, "."], capture_output=True, text=True, cwd=POLICY, check=False)


def test_every_line_of_the_rules_is_reached_by_a_test(opa: Path) -> None:
    done = run(opa, "test", "--coverage")
    assert done.returncode == 0, run(opa, "test").stdout
    report = json.loads(done.stdout)
    missed = {name: file["not_covered"] for name, file in report["files"].items() if file.get("not_covered")}
    assert not missed
    assert report["coverage"] == 100
    # A rule file that no test loads would not show up as uncovered.
    assert set(report["files"]) >= {path.name for path in POLICY.glob("*.rego")}


def test_every_rule_file_has_its_test_file() -> None:
    rules = {path.name for path in POLICY.glob("*.rego") if not path.name.endswith("_test.rego")}
    assert rules
    assert [name for name in sorted(rules) if not (POLICY / name.replace(".rego", "_test.rego")).exists()] == []


def test_the_rules_are_written_as_opa_writes_them(opa: Path) -> None:
    done = run(opa, "fmt", "--list", "--fail")
    assert (done.returncode, done.stdout) == (0, "")


def test_the_rules_pass_the_strict_compiler(opa: Path) -> None:
    done = run(opa, "check", "--strict")
    assert done.returncode == 0, done.stderr
