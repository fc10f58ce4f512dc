"""A migration put together from its settings."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from identity.secret import read_secret
from session_broker.doorkeeper import Doorkeeper
from session_broker.metrics import Metrics
from session_broker.migration.bridge import Bridge
from session_broker.migration.desk import Desk
from session_broker.migration.legacy_token import LegacyTokens
from session_broker.migration.phase_file import PhaseFile
from session_broker.migration.settings import MigrationSettings
from session_broker.migration.usage import Usage
from session_broker.trail import Trail


@dataclass(frozen=True, slots=True, kw_only=True)
class Migration:
    """What a broker in a migration has besides."""

    settings: MigrationSettings
    tokens: LegacyTokens
    bridge: Bridge
    phase: PhaseFile
    usage: Usage

    def desk(self, doorkeeper: Doorkeeper, trail: Trail, metrics: Metrics, *, window: float) -> Desk:
        """The door of a broker in a migration; `window` is in seconds."""
        return Desk(
            doorkeeper=doorkeeper,
            bridge=self.bridge,
            tokens=self.tokens,
            phase=self.phase,
            usage=self.usage,
            trail=trail,
            metrics=metrics,
            window=window,
            deprecated=self.settings.deprecated_at,
            sunset=self.settings.sunset_at,
        )


def usage_of(state_dir: Path) -> Usage:
    """Who still uses legacy tokens, as the broker with that state directory saw it."""
    return Usage(state_dir / "legacy-use")


def open_migration(
    settings: MigrationSettings, *, realm: str, state_dir: Path, name_of: Callable[[str], str]
) -> Migration:
    """A migration. `realm` is our realm's issuer. Raises ValueError, SecretUnreadable and PhaseUnavailable."""
    phase = PhaseFile(settings.phase_file)
    # A broker that could let nobody in says so at its start.
    phase.read()
    tokens = LegacyTokens(
        read_secret(settings.secret_file, name="SESSION_BROKER_LEGACY_SECRET_FILE"),
        issuer=settings.issuer,
        audience=settings.audience,
        clock=time.time,
    )
    bridge = Bridge(
        tokens,
        read_secret(settings.bridge_key_file, name="SESSION_BROKER_BRIDGE_KEY_FILE"),
        issuer=settings.bridge_issuer,
        audience=realm,
        name_of=name_of,
    )
    return Migration(settings=settings, tokens=tokens, bridge=bridge, phase=phase, usage=usage_of(state_dir))
