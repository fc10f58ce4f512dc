"""The audit file as the vault's shipper uses it (`identity.audit.shipped_file`)."""

from __future__ import annotations

from pathlib import Path

from identity.audit import shipped_file
from identity.audit.shipped_file import Appended, Line
from vault_api.trail.line import SOURCE

__all__ = ["Appended", "Line", "ShippedFile"]


class ShippedFile(shipped_file.ShippedFile):
    """See `identity.audit.shipped_file.ShippedFile`."""

    def __init__(self, path: Path, *, timeout: float = 5.0) -> None:
        super().__init__(path, SOURCE, timeout=timeout)
