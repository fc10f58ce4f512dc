"""What `{env: NAME}` and `{file: PATH}` stand for."""

from __future__ import annotations

from pathlib import Path

import pytest

from admin_sync.desired.facts import Secret, Unknown, resolve
from admin_sync.load.scalars import SecretReference

BY_NAME = SecretReference(env="WORKFORCE_CLIENT_SECRET")


@pytest.fixture
def secret_file(tmp_path: Path) -> Path:
    path = tmp_path / "secret"
    path.write_text("from the file\n")
    path.chmod(0o600)
    return path


def test_a_variable_gives_the_secret_itself_or_the_file_that_holds_it(secret_file: Path) -> None:
    assert resolve(BY_NAME, {"WORKFORCE_CLIENT_SECRET": "given"}) == Secret("given")
    assert resolve(BY_NAME, {"WORKFORCE_CLIENT_SECRET_FILE": str(secret_file)}) == Secret("from the file")


def test_the_value_itself_comes_before_a_file(secret_file: Path) -> None:
    both = {"WORKFORCE_CLIENT_SECRET": "given", "WORKFORCE_CLIENT_SECRET_FILE": str(secret_file)}
    assert resolve(BY_NAME, both) == Secret("given")


@pytest.mark.parametrize("environ", [{}, {"WORKFORCE_CLIENT_SECRET": ""}, {"WORKFORCE_CLIENT_SECRET_FILE": ""}])
def test_a_secret_that_is_not_there_is_a_reason_that_names_both_variables(environ: dict[str, str]) -> None:
    found = resolve(BY_NAME, environ)
    assert found == Unknown("set the environment variable WORKFORCE_CLIENT_SECRET or WORKFORCE_CLIENT_SECRET_FILE")


def test_a_file_that_others_can_read_is_refused_by_either_way(secret_file: Path) -> None:
    secret_file.chmod(0o644)
    for found in (
        resolve(BY_NAME, {"WORKFORCE_CLIENT_SECRET_FILE": str(secret_file)}),
        resolve(SecretReference(file=str(secret_file)), {}),
    ):
        assert isinstance(found, Unknown)
        assert "chmod 600" in found.reason


def test_no_representation_shows_a_secret(secret_file: Path) -> None:
    assert "from the file" not in repr(resolve(SecretReference(file=str(secret_file)), {}))
