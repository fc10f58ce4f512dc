"""One apply per realm: a lock that Keycloak's own uniqueness makes.

Keycloak has no compare-and-set, and an attribute that two processes write and read back leaves a
gap between the two. What it does guarantee is that a role name exists once: creating the role
`tradepulse-lock.<realm>` in the realm that admin-sync logs in to is the lock, and a 409 means that
somebody else has it. It lies there and not in the realm it protects because it must exist before
that realm does. The role's attributes name the holder and say until when.

A holder renews its lease while it works. When it ends is written and judged by Keycloak's clock, as
its tokens tell it, so that the clocks of two hosts need not agree. A lease that ran out is
reclaimed, as is one whose process is gone from this same host. Reclaiming deletes the role by the id
that was read, so of two that reclaim at once one finds nothing to delete and loses the race to
create. A holder whose lease was reclaimed learns it at its next renewal and stops writing.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from platform import node
from typing import Any, Final

from admin_sync.errors import AdminSyncError, Interrupted
from admin_sync.keycloak.connection import Connection, KeycloakProblem, Refused, segment

LEASE: Final = 60.0
"""Seconds that a lock outlives its last renewal; renewed every quarter of it."""

_PREFIX: Final = "tradepulse.lock."

_TURNS: Final = 5
"""How often a lock that has just vanished is tried for at once; after that with pauses, and to the deadline only."""


class LockHeld(AdminSyncError):
    """Somebody else is applying to the realm; the text names them."""

    exit_code = 6


class Lock:
    """A lock that is held. `check` before anything that must not happen without it."""

    def __init__(self, place: str, server_id: str, clock: Callable[[], float] = time.monotonic) -> None:
        self.place = place
        self.server_id = server_id
        self.lost: str | None = None
        self._clock = clock
        self._renewed = clock()

    def now(self) -> float:
        """The time by which the lease is watched."""
        return self._clock()

    def renewed(self, asked: float) -> None:
        """Note that the lease runs anew from when that was `asked` for: its end was written down then."""
        self._renewed = asked

    def check(self) -> None:
        """Raises Interrupted when the lock was taken away meanwhile, or may have been."""
        if self.lost is None and self._clock() - self._renewed > LEASE:
            # The renewal hangs or has died: from here on anybody may reclaim the lock.
            self.lost = "it could not be renewed in time"
        if self.lost is not None:
            raise Interrupted(f"the realm's lock was lost ({self.lost}); nothing more was written, a re-run is safe")


@contextmanager
def hold(
    connection: Connection,
    account_realm: str,
    realm: str,
    *,
    wait: float = 0.0,
    clock: Callable[[], float] | None = None,
) -> Iterator[Lock]:
    """The lock of one realm for the time of a block. Raises LockHeld after `wait` seconds.

    `clock` is Keycloak's unless a test has another.
    """
    clock = clock or connection.time
    place = f"/{segment(account_realm)}/roles/{segment(f'tradepulse-lock.{realm}')}"
    server_id, asked = _acquire(connection, account_realm, realm, place, wait=wait, clock=clock)
    lock = Lock(place, server_id)
    lock.renewed(asked)
    done = threading.Event()
    keeper = threading.Thread(target=_renew, args=(connection, account_realm, lock, done, clock), daemon=True)
    keeper.start()
    try:
        yield lock
    finally:
        done.set()
        keeper.join(5)
        if lock.lost is None:
            try:
                connection.delete(f"/{segment(account_realm)}/roles-by-id/{lock.server_id}")
            except KeycloakProblem:
                # The lease runs out by itself; what the block did or raised matters more.
                lock.lost = "it could not be given back"


def _acquire(
    connection: Connection, account_realm: str, realm: str, place: str, *, wait: float, clock: Callable[[], float]
) -> tuple[str, float]:
    """The id of our lock, and when by our own clock its lease began."""
    deadline = clock() + wait
    turns = 0
    while True:
        asked = time.monotonic()
        mine = _claim(clock())
        try:
            body = {"name": f"tradepulse-lock.{realm}", "attributes": _attributes(mine)}
            connection.post(f"/{segment(account_realm)}/roles", body)
        except Refused as problem:
            if problem.status != 409:
                raise
        found = connection.get(place)
        holder = {} if found is None else _holder(found)
        if found is not None and holder.get("token") == mine["token"]:
            return str(found["id"]), asked
        dead = found is not None and _is_dead(holder, clock())
        if found is not None and dead:
            connection.delete(f"/{segment(account_realm)}/roles-by-id/{found['id']}")
        turns += 1
        if (found is None or dead) and turns < _TURNS:
            # Given back or reclaimed between our two requests: whoever is next creates it.
            continue
        if clock() >= deadline:
            raise LockHeld(_in_the_way(realm, place, found, holder, dead=dead))
        time.sleep(0.5)


def _in_the_way(realm: str, place: str, found: object, holder: Mapping[str, Any], *, dead: bool) -> str:
    if found is None:
        return f"the lock of {realm} exists and cannot be read; this account needs view-realm where {place} is"
    if dead:
        return f"the lock of {realm}, left by {_described(holder)}, cannot be removed; remove {place}"
    return f"{realm} is being changed by {_described(holder)}; wait for it, or give --wait SECONDS"


def held_by(connection: Connection, account_realm: str, realm: str) -> str | None:
    """Who is changing a realm now, as a message says it; None if nobody is. Raises KeycloakProblem."""
    found = connection.get(f"/{segment(account_realm)}/roles/{segment(f'tradepulse-lock.{realm}')}")
    holder = {} if found is None else _holder(found)
    if found is None or _is_dead(holder, connection.time()):
        return None
    return _described(holder)


def _described(holder: Mapping[str, Any]) -> str:
    since = time.strftime("%H:%M:%S", time.localtime(holder.get("since", 0)))
    user, host = holder.get("user", "somebody"), holder.get("host", "another host")
    return f"{user} on {host}, process {holder.get('pid')} since {since}"


def _claim(now: float, since: float | None = None, token: str | None = None) -> dict[str, Any]:
    return {
        "token": token or os.urandom(12).hex(),
        "user": os.environ.get("USER") or os.environ.get("LOGNAME") or str(os.getuid()),
        "host": node(),
        "boot": _boot(),
        "pid": os.getpid(),
        "since": round(since or now),
        "until": round(now + LEASE),
    }


def _attributes(claim: Mapping[str, Any]) -> dict[str, list[str]]:
    # One attribute each: Keycloak's column for a role's attribute takes 255 characters.
    return {f"{_PREFIX}{name}": [str(value)[:255]] for name, value in claim.items()}


def _holder(found: Mapping[str, Any]) -> dict[str, Any]:
    attributes = found.get("attributes") or {}
    holder: dict[str, Any] = {
        name.removeprefix(_PREFIX): value[0] for name, value in attributes.items() if name.startswith(_PREFIX) and value
    }
    for name in ("pid", "since", "until"):
        try:
            holder[name] = int(holder[name])
        except (KeyError, ValueError):
            holder.pop(name, None)
    return holder


def _is_dead(holder: Mapping[str, Any], now: float) -> bool:
    """Whether a holder's lease is over, or its process has gone from this host. A lock of unknown make is not dead."""
    if "until" not in holder:
        return False
    if holder["until"] < now:
        return True
    return holder.get("boot") == _boot() and "pid" in holder and not _runs(holder["pid"])


def _boot() -> str:
    """What tells this run of this host from any other; empty where the system does not say."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        # Processes in different containers of one host do not see each other.
        return f"{boot}/{Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return f"{node()}/unknown/{os.getpid()}"


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _renew(
    connection: Connection, account_realm: str, lock: Lock, done: threading.Event, clock: Callable[[], float]
) -> None:
    last = clock()
    while not done.wait(LEASE / 4):
        try:
            found = connection.get(lock.place)
            if found is None or found["id"] != lock.server_id:
                lock.lost = "another process reclaimed it"
                return
            holder = _holder(found)
            asked = lock.now()
            claim = _claim(clock(), since=holder.get("since"), token=holder.get("token"))
            body = {"name": found["name"], "attributes": _attributes(claim)}
            connection.put(f"/{segment(account_realm)}/roles-by-id/{lock.server_id}", body)
            last = clock()
            lock.renewed(asked)
        except KeycloakProblem as problem:
            if clock() - last > LEASE:
                lock.lost = str(problem)
                return
