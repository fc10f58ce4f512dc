"""Settings of the monitor, from environment variables; the secret only as the path of a file."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from admin_sync.check.addresses import wrong_with
from admin_sync.errors import Misconfigured
from admin_sync.settings import read_secret
from identity.secret import Secret

_LISTEN: Final = "127.0.0.1:8310"


@dataclass(frozen=True, slots=True)
class MonitorSettings:
    """Where alerts go and where the monitor keeps and shows what it knows. `webhook` None: alerts are only shown."""

    state_dir: Path
    webhook: str | None
    secret_file: Path | None
    host: str
    port: int
    """0: no metrics are served."""

    def secret(self) -> Secret:
        """The key that signs, read anew each time, so that it may be replaced. Raises Misconfigured."""
        if self.secret_file is None:
            raise Misconfigured("set ADMIN_SYNC_MONITOR_SECRET_FILE: a webhook is signed")
        text = read_secret(self.secret_file, "ADMIN_SYNC_MONITOR_SECRET_FILE")
        try:
            key = base64.b64decode(text.removeprefix("whsec_"), validate=True) if text.startswith("whsec_") else None
        except ValueError:
            raise Misconfigured(f"ADMIN_SYNC_MONITOR_SECRET_FILE: {self.secret_file} is no whsec_ secret") from None
        if len(text if key is None else key) < 24:
            # Standard Webhooks: a secret has 24 to 64 bytes.
            raise Misconfigured(f"ADMIN_SYNC_MONITOR_SECRET_FILE: {self.secret_file} has less than 24 bytes")
        return Secret(text.encode())


def monitor_settings(environ: Mapping[str, str]) -> MonitorSettings:
    """The settings in an environment. Raises Misconfigured for a malformed one."""
    url = environ.get("ADMIN_SYNC_MONITOR_WEBHOOK") or None
    wrong = wrong_with(url) if url is not None else None
    if wrong is not None:
        # The address itself may be a secret.
        raise Misconfigured(f"ADMIN_SYNC_MONITOR_WEBHOOK: {wrong}")
    secret = environ.get("ADMIN_SYNC_MONITOR_SECRET_FILE")
    host, _, port = (environ.get("ADMIN_SYNC_MONITOR_LISTEN") or _LISTEN).rpartition(":")
    if not host or not (port.isascii() and port.isdigit() and int(port) < 65536):
        raise Misconfigured("ADMIN_SYNC_MONITOR_LISTEN: write an address and a port, such as 127.0.0.1:8310")
    found = MonitorSettings(
        state_dir=Path(environ.get("ADMIN_SYNC_MONITOR_STATE_DIR") or "observability/monitor"),
        webhook=url,
        secret_file=Path(secret) if secret else None,
        host=host,
        port=int(port),
    )
    if found.webhook is not None:
        found.secret()
    return found
