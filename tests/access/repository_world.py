"""Real Git repositories with the checkout's configuration, for the tests of `admin_sync/repository`."""

from __future__ import annotations

import os
import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

from admin_sync.load.schema import Binding
from admin_sync.repository import Repository, repository_settings

CHECKOUT = Path(__file__).resolve().parents[2]
SAMPLE = CHECKOUT / "configs" / "iam"
BINDINGS = "configs/iam/role_bindings.yaml"


def git(place: Path, *words: str) -> str:
    """What the machine's own Git prints, as an operator would run it."""
    done = subprocess.run(
        ["git", "-c", "user.name=Operator", "-c", "user.email=operator@tradepulse.example", *words],
        cwd=place,
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": os.environ["PATH"], "HOME": str(place), "LC_ALL": "C.UTF-8"},
    )
    assert done.returncode == 0, f"git {words}: {done.stderr}"
    return done.stdout


def make(place: Path, source: Path = SAMPLE) -> Path:
    """A repository with the configuration of `source` in configs/iam, committed by an operator."""
    place.mkdir(parents=True)
    git(place, "init", "--quiet", "--initial-branch=main")
    shutil.copytree(source, place / "configs" / "iam")
    git(place, "add", "--all")
    git(place, "commit", "--quiet", "--message=The configuration")
    return place


def opened(place: Path, **environ: str) -> Repository:
    """The repository at a place, with settings as an operator would write them."""
    return Repository(repository_settings({"ADMIN_SYNC_REPOSITORY": str(place), **environ}))


def granting(
    number: int, *, user: str = "quant.one@tradepulse.example", role: str = "viewer", seconds: float = 3600.0
) -> Binding:
    """A grant by request with the two approvals that the default class asks for."""
    now = datetime.now(UTC).replace(microsecond=0)
    return Binding.model_validate(
        {
            "subject": {"user": user},
            "role": role,
            "environments": ["dev"],
            "expires": (now + timedelta(seconds=seconds)).isoformat(),
            "request": f"REQ-{number}",
            "justification": "To look at what broke last night.",
            "approvals": [
                {"by": "manager.one@tradepulse.example", "as": "manager", "at": now.isoformat()},
                {"by": "owner.one@tradepulse.example", "as": "system_owner", "at": now.isoformat()},
            ],
        }
    )
