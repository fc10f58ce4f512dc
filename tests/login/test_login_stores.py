"""Where a session is kept: never where others can read it, never half, never in a keyring that is none."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import cast

import pytest

from identity.login.errors import Code, LoginFailed
from identity.login.place import Place, folder
from identity.login.registration import Registration, Wanted
from identity.login.session import PersonSession
from identity.login.store import FileStore, Kind
from identity.login.tokens import Tokens
from identity.principal import Principal
from identity.secret import Secret
from vault_client.bearer import BearerUnavailable
from vault_client.person import Person
from vault_client.session import Session

CHECKOUT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
REGISTRATION = Registration("https://sso.example/realms/one")

PROGRAM = """
import pathlib, sys
from identity.login.errors import LoginFailed
from identity.login.place import Place
from identity.login.registration import Registration
from identity.login.store import Kind
from identity.secret import Secret
place = Place(pathlib.Path(sys.argv[1]), Registration("https://sso.example/realms/one"))
try:
    if sys.argv[2] == "write":
        place.choose(Kind.KEYRING).save(Secret("canary-of-the-keyring"))
    elif sys.argv[2] == "forget":
        place.forget()
    found = place.store()
    kept = None if found is None else found.load()
    print(None if kept is None else kept.text())
except LoginFailed as failed:
    print(failed.code)
"""


def in_a_process(backend: str, place: Path, *words: str) -> str:
    environ = {
        **os.environ,
        "PYTHON_KEYRING_BACKEND": backend,
        "PYTHONPATH": f"{CHECKOUT}:{HERE}",
        "DRAWER": str(place / "drawer"),
    }
    command = [sys.executable, "-c", PROGRAM, str(place / "state"), *words]
    done = subprocess.run(command, cwd=CHECKOUT, env=environ, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_a_file_is_its_owners_alone_and_replaced_whole(tmp_path: Path) -> None:
    store = FileStore(tmp_path / "tokens")
    assert store.load() is None
    before = os.umask(0)
    try:
        store.save(Secret("first"))
    finally:
        os.umask(before)
    assert (tmp_path / "tokens").stat().st_mode & 0o777 == 0o600
    with (tmp_path / "tokens").open() as reader:
        store.save(Secret("second"))
        assert reader.read() == "first"
    assert store.load() == Secret("second")
    assert [one.name for one in tmp_path.iterdir()] == ["tokens"]
    store.delete()
    store.delete()
    assert store.load() is None


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o666])
def test_a_file_that_others_could_read_is_not_used(tmp_path: Path, mode: int) -> None:
    store = FileStore(tmp_path / "tokens")
    store.save(Secret("canary"))
    (tmp_path / "tokens").chmod(mode)
    with pytest.raises(LoginFailed) as failed:
        store.load()
    assert failed.value.code is Code.STORE_UNUSABLE
    assert "canary" not in str(failed.value)


def test_a_folder_that_others_can_write_into_is_not_used(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir(mode=0o700)
    (tmp_path / "state").chmod(0o777)
    with pytest.raises(LoginFailed) as failed:
        Place(tmp_path / "state", REGISTRATION).choose(Kind.FILE)
    assert failed.value.code is Code.STORE_UNUSABLE
    assert "chmod 700" in str(failed.value)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"version": 2}', '{"version":1,"access":"a"}', "\x00"])
def test_a_session_that_cannot_be_read_says_to_log_in_again(content: str) -> None:
    with pytest.raises(LoginFailed) as failed:
        Tokens.read(content.encode())
    assert failed.value.code is Code.STORE_UNUSABLE
    assert "log in again" in str(failed.value)


def test_a_session_shows_no_token() -> None:
    tokens = Tokens(Secret("canary-a"), Secret("canary-r"), 1.0, "somebody")
    assert "canary" not in repr(tokens)
    again = Tokens.read(tokens.kept())
    assert (again.access, again.refresh, again.expires_at) == (tokens.access, tokens.refresh, 1.0)


def test_the_keyring_keeps_it_and_the_disk_does_not(tmp_path: Path) -> None:
    backend = "drawer_keyring.Drawer"
    assert in_a_process(backend, tmp_path, "write") == "canary-of-the-keyring"
    assert in_a_process(backend, tmp_path, "read") == "canary-of-the-keyring"
    written = b"".join(one.read_bytes() for one in (tmp_path / "state").iterdir())
    assert b"canary" not in written
    assert in_a_process(backend, tmp_path, "forget") == "None"
    assert in_a_process(backend, tmp_path, "read") == "None"
    assert not (tmp_path / "drawer").read_text().count("canary")


@pytest.mark.parametrize(
    "backend", ["keyring.backends.fail.Keyring", "keyring.backends.null.Keyring", "drawer_keyring.Plain"]
)
def test_a_keyring_that_is_none_is_never_used_by_itself(tmp_path: Path, backend: str) -> None:
    assert in_a_process(backend, tmp_path, "write") == "no-keyring"
    assert not (tmp_path / "drawer").exists()


def test_a_keyring_that_is_locked_is_said_without_its_words(tmp_path: Path) -> None:
    assert in_a_process("drawer_keyring.Locked", tmp_path, "write") == "store-unusable"


def test_choosing_another_store_leaves_nothing_in_the_first(tmp_path: Path) -> None:
    place = Place(tmp_path / "state", REGISTRATION)
    place.choose(Kind.FILE).save(Secret("canary"))
    assert in_a_process("drawer_keyring.Drawer", tmp_path, "write") == "canary-of-the-keyring"
    assert not list((tmp_path / "state").glob("*.tokens"))


def test_sessions_lie_where_state_belongs() -> None:
    assert folder({"HOME": "/home/one"}) == Path("/home/one/.local/state/tradepulse/login")
    assert folder({"HOME": "/home/one", "XDG_STATE_HOME": "/state"}) == Path("/state/tradepulse/login")
    assert folder({"HOME": "/home/one", "XDG_STATE_HOME": "relative"}) == folder({"HOME": "/home/one"})
    assert folder({"TRADEPULSE_LOGIN_DIR": "/elsewhere"}) == Path("/elsewhere")


class Slow(PersonSession):
    """A session whose person does something else while a login of theirs is open."""

    meanwhile: Callable[[], None]
    revoked: list[str]

    def _asked(self, wanted: Wanted, *, device: bool) -> tuple[Tokens, Principal]:
        self.meanwhile()
        return session_of("ada", "stronger"), cast("Principal", None)

    def _revoke(self, tokens: Tokens, *, everywhere: bool = False) -> bool:
        self.revoked.append(tokens.access.text())
        return True


def session_of(who: str, access: str) -> Tokens:
    return Tokens(Secret(access), Secret("refresh"), 2e9, who)


@pytest.mark.parametrize(("other", "code"), [(None, Code.NOT_LOGGED_IN), ("bob", Code.ANOTHER_PERSON)])
def test_a_step_up_brings_no_session_back_that_ended_or_changed_hands_meanwhile(
    tmp_path: Path, other: str | None, code: Code
) -> None:
    place = Place(tmp_path, REGISTRATION)
    place.choose(Kind.FILE).save(Secret(session_of("ada", "first").kept()))

    def meanwhile() -> None:
        place.forget()
        if other is not None:
            place.choose(Kind.FILE).save(Secret(session_of(other, "theirs").kept()))

    session = Slow(REGISTRATION, tmp_path)
    session.meanwhile, session.revoked = meanwhile, []
    with pytest.raises(LoginFailed) as failed:
        session.step_up(Wanted())
    assert (failed.value.code, session.revoked) == (code, ["stronger"])
    kept = [path.read_text() for path in tmp_path.glob("*.tokens")]
    assert ["theirs" in text for text in kept] == ([] if other is None else [True])


@pytest.mark.parametrize(("url", "sent"), [("http://vault.example", False), ("https://vault.example", True)])
def test_the_vaults_client_takes_a_persons_token_to_no_address_that_others_can_read(
    url: str, sent: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRADEPULSE_ISSUER", REGISTRATION.issuer)
    asked = Session(url=url, bearer_file=None, client_id=None, key_file=None, token_url=None, as_json=False)
    if sent:
        assert isinstance(asked._bearer(), Person)
    else:
        with pytest.raises(BearerUnavailable, match="https"):
            asked._bearer()
