"""From an address to the place that it names."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

from admin_sync.bundle.directory import Directory
from admin_sync.bundle.errors import BadTarget
from admin_sync.bundle.http_target import HttpTarget
from admin_sync.bundle.oci_target import OciTarget
from admin_sync.bundle.target import Target
from admin_sync.bundle.web import Web, token


def target_of(address: str, *, token_file: Path | None = None, ca_file: Path | None = None) -> Target:
    """The place that `address` names: a path, `https://…`, or `oci://registry/name:tag`.

    `token_file` holds the bearer token, for a registry `user:password` as well; `ca_file` (PEM) names
    the authorities of the server's certificate. Raises BadTarget.
    """
    try:
        parts = urlsplit(address)
    except ValueError:
        raise BadTarget("a target is a directory, an https:// address or oci://registry/name:tag") from None
    if parts.scheme == "":
        return Directory(Path(address))
    if parts.scheme == "file":
        return Directory(Path(parts.path))
    # Whatever is in an address is in logs and process lists.
    if "@" in parts.netloc:
        raise BadTarget("a target's address holds no user and no password; put them into ADMIN_SYNC_BUNDLE_TOKEN_FILE")
    if parts.scheme in {"http", "https"} and parts.hostname:
        return HttpTarget(address, Web(ca_file=ca_file), token(token_file))
    if parts.scheme in {"oci", "oci+http"}:
        return OciTarget(address, Web(ca_file=ca_file), token(token_file))
    raise BadTarget(f"{parts.scheme}: a target is a directory, an https:// address or oci://registry/name:tag")
