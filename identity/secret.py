"""Secrets: read from files that only we can read, carried in a wrapper that does not print."""

from __future__ import annotations

import hmac
import os
import stat
from pathlib import Path
from typing import NoReturn

_MAX_BYTES = 65_536


class SecretUnreadable(Exception):
    """A secret file is missing, empty, or others can read it. The text names the path and the remedy."""


class Secret:
    """Secret bytes that show themselves in no log, repr, format or pickle; only `reveal()` gives them."""

    __slots__ = ("__value",)

    def __init__(self, value: bytes | str) -> None:
        self.__value = value.encode("utf-8") if isinstance(value, str) else bytes(value)

    def reveal(self) -> bytes:
        """The secret itself."""
        return self.__value

    def text(self) -> str:
        """The secret itself, as UTF-8 text. Raises `UnicodeDecodeError` if it is none."""
        return self.__value.decode("utf-8")

    def __repr__(self) -> str:
        return "<secret>"

    __str__ = __repr__

    def __format__(self, _: str) -> str:
        return "<secret>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and hmac.compare_digest(self.__value, other.__value)

    __hash__ = None  # type: ignore[assignment]

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is not pickled")


def read_secret(path: Path, *, name: str, max_bytes: int = _MAX_BYTES) -> Secret:
    """The content of a secret file without its trailing newline; `name` is the setting that named it.

    The file must be a regular file of ours (or root's) that neither group nor others can read,
    because a secret that somebody may have read is no secret. A symbolic link is followed, as
    secret mounts are made of them; what counts is the file behind it. Raises `SecretUnreadable`.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise SecretUnreadable(f"{name}: cannot read {path}: {error.strerror}") from None
    try:
        _check(os.fstat(descriptor), path, name)
        content = b""
        while len(content) <= max_bytes and (part := os.read(descriptor, max_bytes + 1 - len(content))):
            content += part
    except OSError as error:
        raise SecretUnreadable(f"{name}: cannot read {path}: {error.strerror}") from None
    finally:
        os.close(descriptor)
    if len(content) > max_bytes:
        raise SecretUnreadable(f"{name}: {path} is larger than {max_bytes} bytes")
    content = content.removesuffix(b"\n").removesuffix(b"\r")
    if not content:
        raise SecretUnreadable(f"{name}: {path} is empty")
    return Secret(content)


def _check(facts: os.stat_result, path: Path, name: str) -> None:
    if not stat.S_ISREG(facts.st_mode):
        raise SecretUnreadable(f"{name}: {path} is not a regular file")
    if facts.st_mode & 0o077:
        raise SecretUnreadable(f"{name}: others can read {path}; run: chmod 600 {path}, and replace the secret")
    if facts.st_uid not in (os.geteuid(), 0):
        raise SecretUnreadable(f"{name}: {path} belongs to another account; run: chown {os.geteuid()} {path}")
