"""The Keycloak that runs is the one that was tested."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from stack import keycloak
from stack.layout import CHECKOUT
from stack.steps import StepFailed


def test_another_archive_under_the_same_name_is_refused_and_removed(tmp_path: Path) -> None:
    archive = tmp_path / f"keycloak-quarkus-dist-{keycloak.VERSION}.tar.gz"
    archive.write_bytes(b"something else")
    with pytest.raises(StepFailed, match="Maven repository"):
        keycloak.verify(archive)
    assert not archive.exists()


def test_the_extension_is_built_against_the_keycloak_that_runs() -> None:
    built = re.search(r"<keycloak.version>([^<]+)<", (CHECKOUT / "realm" / "extension" / "pom.xml").read_text())
    assert built is not None
    assert built.group(1) == keycloak.VERSION
