"""Shared secrets by the name that the configuration gives them, each in a file that only we can read."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from identity.secret import Secret, SecretUnreadable, read_secret


class NamedSecrets:
    """`NAME` leads to the file that the variable `NAME_FILE` names, `file:PATH` to that file."""

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        self._environment = os.environ if environment is None else environment

    def read(self, name: str) -> Secret:
        """The secret as it is now, so that a new one needs no restart. Raises SecretUnreadable."""
        if name.startswith("file:"):
            return read_secret(Path(name.removeprefix("file:")), name="the configuration")
        path = self._environment.get(f"{name}_FILE")
        if not path:
            raise SecretUnreadable(f"{name}_FILE is not set; it names the file that holds the secret")
        return read_secret(Path(path), name=f"{name}_FILE")
