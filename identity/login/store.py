"""Where a session is kept between two runs: the system's keyring, or by explicit choice a file of mode 0600.

Both keep one value under the registration's name. The keyring is asked for by way of the library `keyring`, and
only if it is a real one: its fallbacks that write plain text, or nothing, are no keyring.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from identity.login.errors import Code, LoginFailed
from identity.secret import Secret, SecretUnreadable, read_secret

if TYPE_CHECKING:
    from keyring.backend import KeyringBackend

_SERVICE: Final = "tradepulse"
_RECOMMENDED: Final = 1
"""The priority from which the library `keyring` calls a backend suitable; those that write plain text are below."""


class Kind(StrEnum):
    """The kinds of store, by the word that chooses one."""

    KEYRING = "keyring"
    FILE = "file"


class Store(Protocol):
    """One value that survives the process. All methods raise LoginFailed (no-keyring, store-unusable)."""

    def load(self) -> Secret | None:
        """The value, None if there is none."""
        ...

    def save(self, value: Secret) -> None:
        """Replace the value, all of it or nothing."""
        ...

    def delete(self) -> None:
        """Forget the value; none is no error."""
        ...


class FileStore:
    """A file that only its owner can read, replaced by a rename."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def load(self) -> Secret | None:
        """Raises LoginFailed where others could have read it, for such a session is nobody's alone any more."""
        if not self._path.exists():
            return None
        try:
            return read_secret(self._path, name="the kept session")
        except SecretUnreadable as problem:
            raise LoginFailed(Code.STORE_UNUSABLE, str(problem)) from None

    def save(self, value: Secret) -> None:
        """Written beside and renamed: a reader sees the old value or the new one, also after a power cut."""
        try:
            # mkstemp makes it 0600 from the start, whatever the umask.
            descriptor, name = tempfile.mkstemp(prefix=f".{self._path.name}.", dir=self._path.parent)
            try:
                with os.fdopen(descriptor, "wb") as file:
                    file.write(value.reveal())
                    file.flush()
                    os.fsync(file.fileno())
                Path(name).replace(self._path)
            except BaseException:
                with suppress(OSError):
                    Path(name).unlink()
                raise
        except OSError as problem:
            raise LoginFailed(Code.STORE_UNUSABLE, f"cannot write {self._path}: {problem.strerror}") from None

    def delete(self) -> None:
        """The file goes; what a disk keeps of it is for disk encryption."""
        try:
            self._path.unlink(missing_ok=True)
        except OSError as problem:
            raise LoginFailed(Code.STORE_UNUSABLE, f"cannot delete {self._path}: {problem.strerror}") from None


class KeyringStore:
    """An entry of the system's keyring: Secret Service, macOS Keychain, or what a plug-in of `keyring` adds."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._backend = _backend()

    def load(self) -> Secret | None:
        """Raises LoginFailed where the keyring is locked or gone."""
        with _readable():
            found = self._backend.get_password(_SERVICE, self._name)
        return None if found is None else Secret(found)

    def save(self, value: Secret) -> None:
        """Raises LoginFailed where the keyring refuses."""
        with _readable():
            self._backend.set_password(_SERVICE, self._name, value.text())

    def delete(self) -> None:
        """Raises LoginFailed where the keyring refuses."""
        with _readable():
            if self._backend.get_password(_SERVICE, self._name) is not None:
                self._backend.delete_password(_SERVICE, self._name)


def open_store(kind: Kind, folder: Path, name: str) -> Store:
    """A store of that kind. Raises LoginFailed (no-keyring)."""
    return FileStore(folder / f"{name}.tokens") if kind is Kind.FILE else KeyringStore(name)


def _backend() -> KeyringBackend:
    # Imported late: it looks through every installed package for plug-ins, which costs more than most commands.
    import keyring  # noqa: PLC0415
    from keyring.backends.chainer import ChainerBackend  # noqa: PLC0415

    found = keyring.get_keyring()
    parts = found.backends if isinstance(found, ChainerBackend) else [found]
    suitable = [one for one in parts if one.priority >= _RECOMMENDED]
    if not suitable:
        raise LoginFailed(
            Code.NO_KEYRING,
            "there is no keyring here to keep a session in; log in with --store file to keep it in a file that only "
            "you can read",
        )
    return suitable[0]


@contextmanager
def _readable() -> Iterator[None]:
    """Errors of the keyring as ours. Not their text, which a plug-in may put anything into."""
    try:
        yield
    except Exception as problem:  # noqa: BLE001 - plug-ins raise what they like
        raise LoginFailed(
            Code.STORE_UNUSABLE,
            f"the keyring did not answer ({type(problem).__name__}); unlock it, or log in with --store file",
        ) from None
