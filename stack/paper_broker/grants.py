"""Codes, token families and tokens. Only digests of secrets are kept."""

from __future__ import annotations

import hashlib
import secrets
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS family (
    id TEXT PRIMARY KEY, account TEXT NOT NULL, scopes TEXT NOT NULL, revoked INTEGER NOT NULL DEFAULT 0);
CREATE TABLE IF NOT EXISTS code (
    digest TEXT PRIMARY KEY, redirect_uri TEXT NOT NULL, challenge TEXT NOT NULL, nonce TEXT,
    account TEXT NOT NULL, scopes TEXT NOT NULL, expires REAL NOT NULL, family TEXT);
CREATE TABLE IF NOT EXISTS token (
    digest TEXT PRIMARY KEY, kind TEXT NOT NULL, family TEXT NOT NULL, scopes TEXT NOT NULL,
    expires REAL NOT NULL, used INTEGER NOT NULL DEFAULT 0);
"""


class InvalidGrant(Exception):
    """A code or refresh token that is not good; `reason` is for whoever reads the counts."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Grant:
    """What a good code, refresh token or access token stands for."""

    family: str
    account: str
    scopes: tuple[str, ...]
    nonce: str | None = None


def digest(secret: str) -> str:
    """What is kept of a secret."""
    return hashlib.sha256(secret.encode()).hexdigest()


class Grants:
    """The broker's memory. One writer at a time; every method is one transaction."""

    def __init__(self, path: Path | str) -> None:
        self._database = sqlite3.connect(path, isolation_level=None)
        self._database.execute("PRAGMA journal_mode = WAL")
        self._database.executescript(_SCHEMA)

    def close(self) -> None:
        """Gives the file back."""
        self._database.close()

    def once(self, name: str, value: str) -> str:
        """A value that is made at the first start and stays."""
        with self._transaction():
            self._database.execute("INSERT OR IGNORE INTO meta VALUES (?, ?)", (name, value))
            return str(self._database.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()[0])

    def new_code(
        self, *, redirect_uri: str, challenge: str, nonce: str | None, account: str, scopes: Sequence[str]
    ) -> str:
        """A code for one minute and one use."""
        code = secrets.token_urlsafe(32)
        with self._transaction():
            self._database.execute(
                "INSERT INTO code VALUES (?, ?, ?, ?, ?, ?, ?, NULL)",
                (digest(code), redirect_uri, challenge, nonce, account, " ".join(scopes), time.time() + 60),
            )
        return code

    def redeem(self, code: str, *, redirect_uri: str, challenge: str) -> Grant:
        """The grant of a code. A second use revokes what the first one gave. Raises InvalidGrant."""
        with self._transaction():
            row = self._database.execute(
                "SELECT redirect_uri, challenge, nonce, account, scopes, expires, family FROM code WHERE digest = ?",
                (digest(code),),
            ).fetchone()
            if row is None:
                raise InvalidGrant("unknown_code")
            if row[6] is not None:
                self._database.execute("UPDATE family SET revoked = 1 WHERE id = ?", (row[6],))
                self._database.execute("COMMIT")
                self._database.execute("BEGIN IMMEDIATE")
                raise InvalidGrant("code_used_again")
            if row[5] < time.time() or row[0] != redirect_uri or not secrets.compare_digest(row[1], challenge):
                raise InvalidGrant("code_does_not_fit")
            family = secrets.token_hex(16)
            self._database.execute("INSERT INTO family VALUES (?, ?, ?, 0)", (family, row[3], row[4]))
            self._database.execute("UPDATE code SET family = ? WHERE digest = ?", (family, digest(code)))
            return Grant(family, row[3], tuple(row[4].split()), row[2])

    def issue(self, family: str, kind: str, scopes: Sequence[str], seconds: float) -> str:
        """A new token of a family."""
        token = f"paper-{kind}-{secrets.token_urlsafe(32)}"
        with self._transaction():
            self._database.execute(
                "INSERT INTO token VALUES (?, ?, ?, ?, ?, 0)",
                (digest(token), kind, family, " ".join(scopes), time.time() + seconds),
            )
        return token

    def branch(self, grant: Grant, scopes: Sequence[str]) -> str:
        """A family of its own for a narrowed token: it dies with the one it came from, and alone when revoked alone."""
        family = f"{grant.family}/{secrets.token_hex(8)}"
        with self._transaction():
            self._database.execute(
                "INSERT INTO family (id, account, scopes) VALUES (?, ?, ?)", (family, grant.account, " ".join(scopes))
            )
        return family

    def use_refresh(self, token: str, *, rotate: bool) -> Grant:
        """The grant of a refresh token, which with `rotate` is spent. One that was spent kills its family.

        Raises InvalidGrant.
        """
        reused = False
        try:
            with self._transaction():
                row = self._found(token, "refresh")
                if row is None or row[4] or row[2] < time.time():
                    raise InvalidGrant("unknown_or_dead_refresh_token")
                if row[3]:
                    reused = True
                    raise InvalidGrant("refresh_token_used_again")
                if rotate:
                    self._database.execute("UPDATE token SET used = 1 WHERE digest = ?", (digest(token),))
                return Grant(row[0], row[5], tuple(row[1].split()))
        finally:
            if reused:
                self.revoke(token)

    def access(self, token: str) -> Grant | None:
        """What an access token stands for now, None if nothing."""
        row = self._found(token, "access")
        if row is None or row[4] or row[2] < time.time():
            return None
        return Grant(row[0], row[5], tuple(row[1].split()))

    def revoke(self, token: str) -> bool:
        """Kills the family of a token, whatever kind it is. False if there is no such token."""
        with self._transaction():
            done = self._database.execute(
                "UPDATE family SET revoked = 1 FROM token"
                " WHERE token.digest = ? AND (family.id = token.family OR family.id LIKE token.family || '/%')",
                (digest(token),),
            )
            return done.rowcount > 0

    def _found(self, token: str, kind: str) -> tuple[str, str, float, int, int, str] | None:
        found: tuple[str, str, float, int, int, str] | None = self._database.execute(
            "SELECT t.family, t.scopes, t.expires, t.used, f.revoked, f.account FROM token t"
            " JOIN family f ON f.id = t.family WHERE t.digest = ? AND t.kind = ?",
            (digest(token), kind),
        ).fetchone()
        return found

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._database.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._database.execute("ROLLBACK")
            raise
        self._database.execute("COMMIT")
