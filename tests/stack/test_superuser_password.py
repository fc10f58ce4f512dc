"""The superuser's password is seen by nobody but the one who started the stack."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from stack import postgres as embedded
from stack.account import unprivileged

if TYPE_CHECKING:
    from tests.conftest import Postgres


def test_the_password_is_in_no_process_that_another_account_can_look_into(postgres: Postgres) -> None:
    cluster = embedded.Cluster(
        embedded.embedded_binaries() / "bin", Path("/nonexistent"), postgres.port, unprivileged()
    )
    password = postgres.passwords[embedded.SUPERUSER]
    client = threading.Thread(target=cluster.psql, args=(password, "SELECT pg_sleep(2)"))
    client.start()
    try:
        seen: set[int] = set()
        until = time.monotonic() + 10
        while not seen and client.is_alive() and time.monotonic() < until:
            seen = {folder.stat().st_uid for folder in holders(password)}
            time.sleep(0.02)
        assert seen == {os.geteuid()}
    finally:
        client.join()


def test_data_of_an_earlier_checkout_is_said_to_be_that_with_the_way_on(postgres: Postgres) -> None:
    place = embedded.Cluster(embedded.embedded_binaries() / "bin", Path("/nonexistent"), postgres.port, unprivileged())
    with pytest.raises(embedded.PostgresFailed, match="earlier checkout"):
        place.provide("a password of now", dict.fromkeys(embedded.ROLES, "any"))


def holders(word: str) -> list[Path]:
    """The folders in /proc of the processes that have `word` in the environment they were started with."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if f"={word}".encode() in (folder / "environ").read_bytes():
                found.append(folder)
        except OSError:
            continue
    return found
