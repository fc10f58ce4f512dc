"""The Keycloak that runs is the one that was tested."""

from __future__ import annotations

from pathlib import Path

import pytest

from stack import keycloak
from stack.steps import StepFailed


def test_another_archive_under_the_same_name_is_refused_and_removed(tmp_path: Path) -> None:
    archive = tmp_path / f"keycloak-quarkus-dist-{keycloak.VERSION}.tar.gz"
    archive.write_bytes(b"something else")
    with pytest.raises(StepFailed, match="Maven repository"):
        keycloak.verify(archive)
    assert not archive.exists()
