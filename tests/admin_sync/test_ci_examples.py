"""The pipelines in examples/ci: well-formed, careful with what they are given, and their own commands really work."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from admin_sync.cli import app
from tests.conftest import Stack

CHECKOUT = Path(__file__).resolve().parents[2]
EXAMPLES = CHECKOUT / "examples" / "ci"
GITHUB = sorted((EXAMPLES / "github").glob("*.yml"))
GITLAB = EXAMPLES / "gitlab" / "gitlab-ci.yml"


@dataclass(frozen=True)
class Step:
    """A script of a pipeline, and what it stands in."""

    file: str
    job: str
    name: str
    script: str

    def __str__(self) -> str:
        return f"{self.file}:{self.job}:{self.name}"


def jobs(path: Path) -> dict[str, Any]:
    return dict(yaml.safe_load(path.read_text())["jobs"])


def steps() -> Iterator[Step]:
    for path in GITHUB:
        for job, body in jobs(path).items():
            for step in body["steps"]:
                if "run" in step:
                    yield Step(path.name, job, step["name"], step["run"])
    for job, body in yaml.safe_load(GITLAB.read_text()).items():
        if isinstance(body, dict):
            for part in ("before_script", "script", "after_script"):
                for number, script in enumerate(body.get(part, ())):
                    yield Step(GITLAB.name, job, f"{part} {number}", script)


STEPS = list(steps())
OURS = [step for step in STEPS if re.search(r"^\s*admin-sync ", step.script, re.MULTILINE)]


def test_every_kind_of_pipeline_is_there() -> None:
    assert {path.stem for path in GITHUB} == {"plan", "apply", "drift"}
    for command in ("validate", "plan", "apply", "drift"):
        for kind in ("yml", GITLAB.name):
            assert any(f"admin-sync {command}" in step.script for step in OURS if step.file.endswith(kind))


@pytest.mark.parametrize("step", STEPS, ids=str)
def test_every_script_is_one_that_bash_reads(step: Step) -> None:
    done = subprocess.run(["bash", "-n"], input=step.script, text=True, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("step", STEPS, ids=str)
def test_nothing_is_pasted_into_a_shell_and_no_secret_into_an_argument(step: Step) -> None:
    assert "${{" not in step.script
    for line in step.script.splitlines():
        # A command line is seen by every process of the host; `printf` and `echo` are the shell itself.
        if re.search(r"\$\{?(?:GH_TOKEN|NOTES_TOKEN|IDENTITY|ACTIONS_ID_TOKEN_REQUEST_TOKEN|BUNDLE_KEY)\b", line):
            assert re.match(r"\s*(?:printf|api\(\) \{ printf|install --mode 600)", line), line


@pytest.mark.parametrize("path", GITHUB, ids=lambda path: path.name)
def test_a_workflow_gives_nothing_away(path: Path) -> None:
    workflow = yaml.safe_load(path.read_text())
    assert workflow["permissions"] == {}
    for body in workflow["jobs"].values():
        assert body["permissions"]["contents"] == "read"
        assert "secrets." not in str(body.get("env"))
        for used in (step["uses"] for step in body["steps"] if "uses" in step):
            assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", used)
        if "secrets." in str(body):
            assert body["environment"] == "production"
    # This event would run what a stranger wrote with what is ours.
    assert "pull_request_target" not in path.read_text()


def test_a_fork_is_checked_and_gets_no_plan() -> None:
    plan = jobs(EXAMPLES / "github" / "plan.yml")
    assert set(plan["check"]["permissions"]) == {"contents"}
    assert "head.repo.full_name == github.repository" in plan["plan"]["if"]


def test_every_option_that_is_used_exists() -> None:
    for step in OURS:
        for words in re.findall(r"^\s*admin-sync ([^\n>|]+)", step.script, re.MULTILINE):
            command, *rest = words.split()
            shown = CliRunner().invoke(app, [command, "--help"], env={"COLUMNS": "200", "NO_COLOR": "1"})
            assert shown.exit_code == 0
            for word in rest:
                assert not word.startswith("--") or word in shown.output


@pytest.mark.integration
@pytest.mark.parametrize("forge", ["github", "gitlab"])
def test_every_step_of_ours_does_its_work(stack: Stack, tmp_path: Path, forge: str) -> None:
    """In the order of a pull request: check, plan, apply what was planned, look for drift."""
    for name in ("configs", "policy", "realm"):
        (tmp_path / name).symlink_to(CHECKOUT / name)
    shim = tmp_path / "bin"
    shim.mkdir()
    (shim / "admin-sync").symlink_to(Path(sys.executable).parent / "admin-sync")
    environment = {
        **stack.env,
        "PATH": f"{shim}:{os.environ['PATH']}",
        "GITHUB_STEP_SUMMARY": str(tmp_path / "summary.md"),
        "GITHUB_ENV": str(tmp_path / "later.env"),
        "CI": "true",
    }
    mine = [step for step in OURS if (step.file == GITLAB.name) == (forge == "gitlab")]
    order = ["check", "plan", "apply", "drift"]
    for step in sorted(mine, key=lambda one: order.index(one.job)):
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step.script],
            cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=250,
        )  # fmt: skip
        assert done.returncode == 0, f"{step}\n{done.stdout}\n{done.stderr}"
    note = tmp_path / ("comment.md" if forge == "github" else "note.md")
    assert note.read_text().startswith("<!-- iam plan -->\n")
    assert (tmp_path / "change.plan").stat().st_size > 0
    assert (tmp_path / "drift.md").read_text()
