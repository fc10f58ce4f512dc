"""The tasks of this vault. Whoever adds one builds it here from the vault's parts."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import structlog

from vault_api.alerts.routes import RouteStore
from vault_api.alerts.weekly import TellDigest, TellRotations
from vault_api.compliance.holdings import MeasureHoldings
from vault_api.compliance.weekly import WeeklyDigest
from vault_api.rotation.task import RotationTask
from vault_api.rotation.turn import Turns
from vault_api.vault import Vault
from vault_api.worker.task import Task

_log = structlog.get_logger("vault_api.worker")


def tasks_of(vault: Vault) -> Sequence[Task]:
    """Every task, ready to run."""
    tasks: list[Task] = [*vault.brokers.tasks, vault.leases.keeper, vault.members.endings]
    tasks.append(
        MeasureHoldings(vault.database, vault.metrics, allowed=timedelta(days=vault.settings.key_rotation_days))
    )
    told = (vault.database, vault.brokers.catalog, RouteStore(vault.database, vault.keyring))
    tasks += [TellDigest(*told), TellRotations(*told)]
    if vault.settings.digest_dir is not None:
        tasks.append(WeeklyDigest(vault.database, vault.settings.digest_dir))
    if vault.rotator is None:
        # Said once: whoever asks for a rotation would otherwise wait for nobody.
        _log.warning("rotation.not_here", next_step="set VAULT_ROTATOR_* for one worker at least")
    else:
        turns = Turns(
            vault.rotator.store,
            vault.rotator.salts,
            keyring=vault.keyring,
            kms=vault.kms,
            repository=vault.repository,
            trail=vault.trail,
            metrics=vault.metrics,
            settle_seconds=vault.settings.settle_seconds,
            key_seconds=vault.settings.key_seconds,
        )
        tasks.append(RotationTask(vault.rotator.store, turns, vault.trail))
    return tasks
