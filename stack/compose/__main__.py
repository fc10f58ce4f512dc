"""`python -m stack.compose COMMAND`: one job of docker-compose.yml.

    keys         secrets and configurations for every service
    schema       roles, databases, schemas
    people       one-time passwords (development)
    invite EMAIL PARTNER ROLE   a member of a partner (development)
    directories  at the image's build: where volumes are mounted, owned by the account of the services

exit 0  done
exit 1  a server did not do its part; a repetition is safe
exit 3  a setting or a file is wrong; the message says which
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import asyncpg

from admin_sync.errors import AdminSyncError
from identity.secret import SecretUnreadable
from session_broker.nginx.site import SiteRefused
from stack.compose import keys, people, schema
from stack.compose.holders import HOLDERS, STATE

OWNER = 10001


def _directories() -> int:
    """Where the job `keys` has the volumes, so that an empty one takes the right owner and keeps it."""
    places = [Path("/secrets") / name for name in ("keys", *HOLDERS)]
    for path in (*places, *(Path("/volumes") / name for name in STATE)):
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        # An empty volume would take the owner of the next image's directory instead.
        (path / keys.MARK).touch(mode=0o600)
        for each in (path, path / keys.MARK):
            os.chown(each, OWNER, OWNER)
    return 0


JOBS: Mapping[str, Callable[[], int]] = {
    "keys": keys.main,
    "schema": schema.main,
    "people": people.main,
    "directories": _directories,
}


def main(words: list[str]) -> int:
    """Run one job."""
    try:
        match words:
            case [job] if job in JOBS:
                return JOBS[job]()
            case ["invite", email, partner, role]:
                return people.invited(email, partner, role)
    except (SecretUnreadable, SiteRefused, ValueError, KeyError, AdminSyncError) as problem:
        print(f"{words[0]}: {problem}", file=sys.stderr)
        return 3
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, LookupError) as problem:
        print(f"{words[0]}: {type(problem).__name__}: {problem}; a repetition is safe", file=sys.stderr)
        return 1
    print(__doc__, file=sys.stderr)
    return 3


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
