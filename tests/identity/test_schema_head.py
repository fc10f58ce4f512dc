"""The revision that a service needs, as it is read without the library that migrates."""

from __future__ import annotations

import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import pytest
from alembic.script import ScriptDirectory

from identity.schema_head import head


@pytest.mark.parametrize("package", ["vault_api.store", "admin_sync.access.store", "workspace.session"])
def test_it_is_the_one_that_alembic_would_migrate_to(package: str) -> None:
    assert head(package) == ScriptDirectory(str(files(package) / "migrations")).get_current_head()


@pytest.mark.parametrize(
    "revisions",
    [{}, {"one": 'revision = "1"\ndown_revision = None\n', "two": 'revision = "2"\ndown_revision = None\n'}],
    ids=["none", "two last ones"],
)
def test_a_package_without_one_last_revision_is_refused(
    revisions: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "unfinished_schema" / "migrations" / "versions"
    folder.mkdir(parents=True)
    for name, text in revisions.items():
        (folder / f"{name}.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(RuntimeError, match=f"{len(revisions)} last revisions"):
        head("unfinished_schema")


@pytest.mark.parametrize("program", ["vault_api", "admin_sync.access", "workspace"])
def test_a_service_starts_without_the_libraries_that_migrate(program: str) -> None:
    loaded = f"import sys, {program}.__main__; print(*{{'alembic', 'sqlalchemy'}} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
