"""Settings of offboarding, from environment variables; the key only as the path of a file."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from admin_sync.check.addresses import wrong_with
from admin_sync.errors import Misconfigured
from admin_sync.settings import Settings

_VAULT: Final = re.compile(r"([a-z][a-z0-9_.-]{0,62})=(\S+)")


@dataclass(frozen=True, slots=True)
class OffboardingSettings:
    """Where journals lie, and which vaults have leases to end.

    vaults:   address of the vault of each environment that has one; None where nobody has said, which is no answer
    """

    directory: Path
    vaults: Mapping[str, str] | None
    client_id: str
    client_key_file: Path | None


def offboarding_settings(environ: Mapping[str, str], made: Settings) -> OffboardingSettings:
    """The settings in an environment. Raises Misconfigured for a malformed one."""
    key = environ.get("ADMIN_SYNC_OFFBOARDING_KEY_FILE")
    return OffboardingSettings(
        directory=Path(environ.get("ADMIN_SYNC_OFFBOARDING_DIR") or made.audit_dir / "offboarding"),
        vaults=_vaults(environ.get("ADMIN_SYNC_VAULTS") or ""),
        client_id=environ.get("ADMIN_SYNC_OFFBOARDING_CLIENT_ID") or "offboarding",
        client_key_file=Path(key) if key else None,
    )


def _vaults(text: str) -> Mapping[str, str] | None:
    if not text.strip():
        return None
    if text.strip() == "none":
        return {}
    found: dict[str, str] = {}
    for part in text.split(","):
        match = _VAULT.fullmatch(part.strip())
        wrong = "write dev=https://vault.example,… or none" if match is None else wrong_with(match[2])
        if match is None or wrong is not None:
            raise Misconfigured(f"ADMIN_SYNC_VAULTS: {wrong}")
        found[match[1]] = match[2].rstrip("/")
    return found
