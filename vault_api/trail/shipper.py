"""The vault's shipper (`identity.audit.shipper`): its schema, its lines, its lock."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from identity.audit import shipper
from identity.audit.shipper import Connect, Pending, Shipped
from vault_api.metrics import Metrics
from vault_api.trail.line import SOURCE

__all__ = ["Pending", "Shipper"]

_VAULT: Final = Shipped(schema="vault", source=SOURCE, lock=0x7661756C74)  # "vault"


class Shipper(shipper.Shipper):
    """See `identity.audit.shipper.Shipper`, which has the keyword arguments."""

    def __init__(self, connect: Connect, pending: Pending, path: Path, metrics: Metrics, **more: Any) -> None:
        super().__init__(_VAULT, connect, pending, path, metrics, **more)
