"""Refused tokens in the vault's trail (`identity.audit.rejected`), counted in the vault's metrics."""

from __future__ import annotations

import time
from collections.abc import Callable

from identity.audit import rejected
from vault_api.metrics import Metrics


class RejectedTokens(rejected.RejectedTokens):
    """See `identity.audit.rejected.RejectedTokens`."""

    def __init__(
        self,
        trail: rejected.Recorder,
        metrics: Metrics,
        *,
        burst: int = 50,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(trail, metrics.summarised.inc, burst=burst, clock=clock)
