"""`python -m stack.hosts.secrets DIRECTORY`: every secret of a site once, and for each holder a directory of its own
and an archive of it.

The same secrets as for containers (`stack.compose.keys`), made on the control host, from where Ansible gives each host
those of its services. It reads TRADEPULSE_HOST, ADMIN_SYNC_CONFIG, TRADEPULSE_PROVIDED and the PROXY_… settings.

exit 0  done; the last line says how many files were made or changed
exit 3  a setting or a file is wrong; the message says which
"""

from __future__ import annotations

import io
import os
import stat
import sys
import tarfile
from pathlib import Path

from admin_sync.errors import AdminSyncError
from identity.durable import replace_file
from session_broker.nginx.site import SiteRefused
from stack.compose.keys import make
from stack.hosts.holders import HOLDERS


def make_all(root: Path) -> list[str]:
    """What was made or changed below `root`, which nobody else may read. Raises ValueError if somebody can."""
    (root / "keys").mkdir(mode=0o700, parents=True, exist_ok=True)
    if root.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise ValueError(f"others can look into {root}; run: chmod 700 {root}")
    provided = os.environ.get("TRADEPULSE_PROVIDED")
    done = make(
        root,
        Path(os.environ["ADMIN_SYNC_CONFIG"]),
        host=os.environ["TRADEPULSE_HOST"],
        provided=Path(provided) if provided else None,
        holders=HOLDERS,
    )
    for holder in HOLDERS:
        replace_file(root / f"{holder}.tar", _archive(root / holder))
    return done


def _archive(folder: Path) -> bytes:
    """A holder's files as one archive: the same bytes for the same files."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                member = tarfile.TarInfo(str(path.relative_to(folder)))
                member.size, member.mode = path.stat().st_size, 0o600
                archive.addfile(member, io.BytesIO(path.read_bytes()))
    return packed.getvalue()


def main(words: list[str]) -> int:
    """Make them."""
    if len(words) != 1:
        print(__doc__, file=sys.stderr)
        return 3
    os.umask(0o077)
    try:
        done = make_all(Path(words[0]))
    except (SiteRefused, ValueError, KeyError, AdminSyncError, OSError) as problem:
        print(f"secrets: {problem}", file=sys.stderr)
        return 3
    print(*done, f"secrets: {len(done)} files made or changed", sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
