"""Accounts of people who join: made, then invited, and both again where a run was killed in between.

An account that we made and nobody was invited to would wait for ever, because the next run finds it there. So what
is about to be made is written down first, and struck off when the invitation is out.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import orjson

from admin_sync.desired.people import FIRST_ACTIONS
from admin_sync.errors import Interrupted, Misconfigured
from admin_sync.keycloak.connection import Connection, Refused, segment
from admin_sync.roster.people import Employee

LIFETIME: Final = 3 * 86400
"""Seconds for which the link of an invitation by mail works."""

_FILE: Final = "invitations.jsonl"
_PASSWORD_BYTES: Final = 18


class Pending:
    """Which invitations were begun and are not out: (environment, e-mail address), one durable line for each step."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / _FILE
        self.open: set[tuple[str, str]] = set()
        self.closed: set[tuple[str, str]] = set()
        """Those that are out, since the last run that ended well."""
        try:
            whole, newline, torn = self._path.read_bytes().rpartition(b"\n")
        except FileNotFoundError:
            return
        if torn:
            # It was never acted upon, and the next line has to stand by itself.
            os.truncate(self._path, len(whole + newline))
        for line in whole.splitlines():
            what, environment, email = orjson.loads(line)
            self._note(what, (environment, email))

    def begun(self, environment: str, email: str) -> None:
        """An account is about to be made. Raises Interrupted when that cannot be written down."""
        self._add("begun", environment, email)

    def done(self, environment: str, email: str) -> None:
        """The invitation is out."""
        self._add("done", environment, email)

    def clear(self) -> None:
        """Forget what is done."""
        if not self.open:
            self._path.unlink(missing_ok=True)

    def _note(self, what: str, key: tuple[str, str]) -> None:
        begun = what == "begun"
        (self.open if begun else self.closed).add(key)
        (self.closed if begun else self.open).discard(key)

    def _add(self, what: str, environment: str, email: str) -> None:
        try:
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
            with os.fdopen(os.open(self._path, flags, 0o600), "ab") as file:
                file.write(orjson.dumps((what, environment, email)) + b"\n")
                file.flush()
                os.fdatasync(file.fileno())
        except OSError as problem:
            raise Interrupted(f"{self._path}: {problem.strerror or problem}; a re-run is safe") from problem
        self._note(what, (environment, email))


@dataclass(slots=True)
class Inviter:
    """Makes accounts in one realm and tells people about them.

    `note` is called with each account that was made or invited, before the effect; what it raises stops the run.
    """

    connection: Connection
    realm: str
    environment: str
    pending: Pending
    note: Callable[[str, str], None]
    passwords: Passwords | None = None
    _mail: bool | None = field(default=None, init=False)

    def uninvited(self, person: Employee) -> bool:
        """Whether an account that exists waits for an invitation: begun by a killed run, or with nothing to log in by.

        Raises KeycloakProblem.
        """
        key = (self.environment, person.email)
        if key in self.pending.open or key in self.pending.closed:
            # Whoever has a mail and did nothing yet is not sent another because somebody else's failed.
            return key in self.pending.open
        account = f"/{segment(self.realm)}/users/{segment(self._id(person) or '')}"
        ways = (f"{account}/credentials", f"{account}/federated-identity")
        return not any(self.connection.get(way) for way in ways)

    def invite(self, person: Employee, *, made: bool) -> str:
        """Make the account unless an earlier run has, and invite; how: `mail`, `one-time password` or `none`.

        `none` is where there is no way to tell the person; the next run that has one takes it up.

        Raises KeycloakProblem and Interrupted.
        """
        key = (self.environment, person.email)
        if not made:
            self.pending.begun(*key)
            self.note("invited", f"{self.realm}/user/{person.email}")
            self._make(person)
        elif key not in self.pending.open:
            self.pending.begun(*key)
        sent = self._tell(person)
        if sent != "none":
            self.pending.done(*key)
        return sent

    def _make(self, person: Employee) -> None:
        first, _, last = person.name.rpartition(" ")
        body = {
            "username": person.email,
            "email": person.email,
            # HR vouches for the address, and the invitation goes there and nowhere else.
            "emailVerified": True,
            "enabled": True,
            "firstName": first or last,
            "lastName": last if first else "",
            "requiredActions": list(FIRST_ACTIONS),
        }
        # Without our mark: `apply` deletes accounts of its own that nothing is bound to, and this one may stay.
        try:
            self.connection.post(f"/{segment(self.realm)}/users", body)
        except Refused as problem:
            # Made by an attempt whose answer was lost, or by the person's first login meanwhile.
            if problem.status != 409 or self._id(person) is None:
                raise

    def _id(self, person: Employee) -> str | None:
        listed = self.connection.get(f"/{segment(self.realm)}/users", email=person.email, exact=True) or ()
        return next((str(one["id"]) for one in listed), None)

    def _tell(self, person: Employee) -> str:
        """By mail where the realm has a server for it, otherwise by a one-time password in a file."""
        server_id = self._id(person)
        if server_id is None:
            raise Interrupted(f"{person.email} is gone from {self.realm} again; a re-run makes the account anew")
        account = f"/{segment(self.realm)}/users/{segment(server_id)}"
        if self._has_mail():
            self.connection.put(f"{account}/execute-actions-email?lifespan={LIFETIME}", list(FIRST_ACTIONS))
            return "mail"
        if self.passwords is None:
            return "none"
        once = secrets.token_urlsafe(_PASSWORD_BYTES)
        # Written first: a password that is set and that nobody knows locks the person out.
        self.passwords.add(self.realm, person.email, once)
        self.connection.put(f"{account}/reset-password", {"type": "password", "value": once, "temporary": True})
        return "one-time password"

    def _has_mail(self) -> bool:
        if self._mail is None:
            representation = self.connection.get(f"/{segment(self.realm)}") or {}
            self._mail = bool((representation.get("smtpServer") or {}).get("host"))
        return self._mail


class Passwords:
    """A file that takes one-time passwords, one JSON object a line, and that only this account can read."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def add(self, realm: str, email: str, password: str) -> None:
        """One more, on disk when this returns. Raises Interrupted."""
        line = json.dumps({"realm": realm, "user": email, "one_time_password": password}).encode() + b"\n"
        try:
            if os.write(self._descriptor, line) != len(line):
                raise OSError("only a part was written")
            os.fdatasync(self._descriptor)
        except OSError as problem:
            raise Interrupted(f"the file for passwords: {problem.strerror or problem}; a re-run is safe") from problem


@contextmanager
def passwords_in(path: Path | None) -> Iterator[Passwords | None]:
    """The file at a path, opened to add to it; None for none. Raises Misconfigured for one that others can read."""
    if path is None:
        yield None
        return
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
        descriptor = os.open(path, flags, 0o600)
    except OSError as problem:
        raise Misconfigured(f"--passwords {path}: {problem.strerror}; name a file that can be written") from None
    try:
        if os.fstat(descriptor).st_mode & 0o077:
            raise Misconfigured(f"--passwords {path}: others can read it; chmod 600, or name another file")
        yield Passwords(descriptor)
    finally:
        os.close(descriptor)
