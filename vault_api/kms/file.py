"""Root keys in a file: the provider for development, and for nothing that matters more.

    {"versions": {"1": "<base64 of 32 bytes>"}, "current": 1}

The file must belong to the user that runs the process and be closed to everybody else. It is read at
start, and again when it was replaced. Created by `python -m vault_api kms-init`, which never overwrites
one: the old keys are the only way to what was sealed under them.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import os
import secrets
from collections.abc import Collection, Mapping
from pathlib import Path

from identity.secret import SecretUnreadable, read_secret
from identity.strict_json import StrictJsonError
from identity.strict_json import loads as strict_loads
from vault_api.kms.seam import KmsHealth, KmsRefused, KmsUnavailable, require_message, require_older

ROOT_KEY_BYTES = 32
MAX_FILE_BYTES = 65_536


class FileKms:
    """HMAC-SHA-256 under 32-byte root keys held in this process's memory."""

    def __init__(
        self,
        versions: Mapping[int, bytes],
        current: int,
        *,
        path: Path | None = None,
        retired: Collection[int] = (),
    ) -> None:
        """Raises KmsRefused for a short key, a version below one, or a current version that is not there."""
        for version, key in versions.items():
            if version < 1:
                raise KmsRefused(f"root key version {version}: versions count from one")
            if len(key) != ROOT_KEY_BYTES:
                raise KmsRefused(f"root key version {version} has {len(key)} bytes; {ROOT_KEY_BYTES} are needed")
        if current not in versions:
            raise KmsRefused(f"the current root key version {current} is not among the versions of the file")
        self._versions = dict(versions)
        self._current = current
        self._path = path
        self._retired = frozenset(retired)
        self._read = _state(path)

    @classmethod
    def from_file(cls, path: Path) -> FileKms:
        """Reads the file. Raises KmsRefused, naming the path and the next step, when it cannot be trusted."""
        try:
            content = read_secret(path, name="VAULT_KMS_FILE").reveal()
        except SecretUnreadable as error:
            raise KmsRefused(f"{error}; `python -m vault_api kms-init` creates the root key file") from None
        try:
            document = strict_loads(content, max_bytes=MAX_FILE_BYTES, max_depth=4)
            versions = {int(name): base64.b64decode(key, validate=True) for name, key in document["versions"].items()}
            current, retired = document["current"], [int(version) for version in document.get("retired", ())]
        except (StrictJsonError, binascii.Error, ValueError, TypeError, KeyError, AttributeError):
            # Without the cause: its text could hold a piece of a key.
            raise KmsRefused(f'{path}: not {{"versions": {{"1": base64}}, "current": 1}}') from None
        if type(current) is not int:
            raise KmsRefused(f"{path}: `current` is a whole number")
        return cls(versions, current, path=path, retired=retired)

    @property
    def current_version(self) -> int:
        return self._current

    async def mac(self, key_version: int, message: bytes) -> bytes:
        require_message(message)
        if key_version not in self._versions:
            self._look_again()
        key = self._versions.get(key_version)
        if key is None:
            raise KmsRefused(f"there is no root key version {key_version}; restore the file that had it")
        return hmac.digest(key, message, hashlib.sha256)

    async def look(self) -> None:
        self._look_again()

    async def health(self) -> KmsHealth:
        try:
            self._look_again()
        except (KmsRefused, KmsUnavailable) as error:
            return KmsHealth(ok=False, provider="file", current_version=self._current, detail=str(error))
        return KmsHealth(ok=True, provider="file", current_version=self._current)

    async def add_version(self) -> int:
        """Writes the file anew with one more key, which becomes current. Raises KmsRefused."""
        self._look_again()
        version = max(*self._versions, *self._retired, 0) + 1
        self._replace({**self._versions, version: secrets.token_bytes(ROOT_KEY_BYTES)}, version, self._retired)
        return version

    async def remove_version(self, version: int) -> None:
        """Writes the file anew without that key, and that it is gone on purpose. Raises KmsRefused."""
        self._look_again()
        require_older(version, self._current)
        if version not in self._versions:
            raise KmsRefused(f"there is no root key version {version}")
        kept = {number: key for number, key in self._versions.items() if number != version}
        self._replace(kept, self._current, self._retired | {version})

    def _replace(self, versions: Mapping[int, bytes], current: int, retired: Collection[int]) -> None:
        if self._path is None:
            raise KmsRefused("these root keys are in no file")
        beside = self._path.with_name(f".{self._path.name}.{secrets.token_hex(4)}")
        try:
            _write_new(beside, versions, current, retired)
            # In the place of the old one at once: whoever reads meanwhile sees the one or the other, whole.
            beside.replace(self._path)
            folder = os.open(self._path.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        except OSError as error:
            beside.unlink(missing_ok=True)
            raise KmsRefused(f"{self._path}: {error.strerror}; nothing was changed") from None
        self._look_again()

    async def close(self) -> None:
        """Nothing is held open."""

    def _look_again(self) -> None:
        """Takes over a file that was replaced; it must still have every version that this process knows."""
        if self._path is None or _state(self._path) == self._read:
            return
        newer = FileKms.from_file(self._path)
        known = self._versions.items()
        if any(newer._versions.get(version) != key for version, key in known if version not in newer._retired):
            raise KmsRefused(f"{self._path} was replaced by one that lacks a root key; restore the file that had it")
        self._versions, self._current, self._read = newer._versions, newer._current, newer._read
        self._retired = newer._retired

    def __repr__(self) -> str:
        return f"<root keys {sorted(self._versions)}>"


def create_root_key_file(path: Path) -> None:
    """Creates the file with one random root key, mode 0600, on disk when this returns.

    Raises KmsRefused when something is already there, or when it cannot be written.
    """
    try:
        _write_new(path, {1: secrets.token_bytes(ROOT_KEY_BYTES)}, 1)
    except FileExistsError:
        raise KmsRefused(f"{path} is there already and is left alone: what it sealed opens with nothing else") from None
    except OSError as error:
        raise KmsRefused(f"{path}: {error.strerror}; choose a directory that this user may write to") from None


def _write_new(path: Path, versions: Mapping[int, bytes], current: int, retired: Collection[int] = ()) -> None:
    document: dict[str, object] = {
        "versions": {str(version): base64.b64encode(key).decode() for version, key in versions.items()},
        "current": current,
    }
    if retired:
        document["retired"] = sorted(retired)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        json.dump(document, file)
        file.write("\n")
        file.flush()
        os.fsync(file.fileno())


def _state(path: Path | None) -> tuple[int, int, int] | None:
    """What changes when a file is replaced; None where there is none."""
    if path is None:
        return None
    try:
        facts = path.stat()
    except OSError as error:
        raise KmsUnavailable(f"{path}: {error.strerror}") from None
    return facts.st_ino, facts.st_mtime_ns, facts.st_size
