"""The secrets of hosts, made on the control host: an archive for each holder, the same for the same files."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from stack.compose.holders import AUTHORITY
from stack.hosts.holders import HOLDERS
from stack.hosts.secrets import main, make_all

CHECKOUT = Path(__file__).resolve().parents[2]


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ADMIN_SYNC_CONFIG", str(CHECKOUT / "configs" / "iam"))
    monkeypatch.setenv("TRADEPULSE_HOST", "iam.example")
    monkeypatch.setenv("PROXY_NAMES", "iam.example")
    place = tmp_path / "secrets"
    place.mkdir(mode=0o700)
    return place


def test_every_holder_has_an_archive_of_exactly_its_files(root: Path) -> None:
    make_all(root)
    for holder, names in HOLDERS.items():
        with tarfile.open(fileobj=io.BytesIO((root / f"{holder}.tar").read_bytes())) as archive:
            assert {name.split("/")[0] for name in archive.getnames()} == {AUTHORITY, *names}
            assert {member.mode for member in archive} == {0o600}


def test_a_repetition_makes_the_same_archives(root: Path) -> None:
    make_all(root)
    before = {path.name: path.read_bytes() for path in root.glob("*.tar")}
    assert make_all(root) == []
    assert {path.name: path.read_bytes() for path in root.glob("*.tar")} == before


def test_a_directory_that_others_can_look_into_is_refused(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root.chmod(0o750)
    assert main([str(root)]) == 3
    assert f"chmod 700 {root}" in capsys.readouterr().err
    assert not list(root.glob("*.tar"))


def test_nothing_of_a_secret_is_printed(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(root)]) == 0
    told = capsys.readouterr()
    for path in (root / "keys").glob("postgres-*"):
        if path.suffix == "":
            assert path.read_text().strip() not in told.out + told.err
