"""Members put together; `vault_api/vault.py` calls it once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import httpx

from identity.opa import OpaClient
from identity.service_token import ServiceToken
from vault_api.brokers.catalog import Catalog
from vault_api.gate import Gate
from vault_api.members.desk import MemberDesk
from vault_api.members.directory import Directory
from vault_api.members.endings import Endings
from vault_api.members.invitations import Invitations
from vault_api.members.repository import MemberRepository
from vault_api.settings import VaultSettings
from vault_api.store.database import Database
from vault_api.trail.record import Trail
from vault_api.trail.rejected import RejectedTokens


@dataclass(frozen=True, slots=True)
class MemberParts:
    """What deals with members."""

    desk: MemberDesk
    invitations: Invitations
    endings: Endings


def open_members(
    settings: VaultSettings,
    *,
    http: httpx.AsyncClient,
    token: ServiceToken,
    database: Database,
    appended: Callable[[str], None],
    trail: Trail,
    gate: Gate,
    rejected: RejectedTokens,
    policy: OpaClient,
    catalog: Catalog,
) -> MemberParts:
    """Opens nothing: all of it asks when it is asked."""
    repository = MemberRepository(database, appended=appended)
    directory = Directory(http, settings.keycloak_admin_url, token)
    desk = MemberDesk(repository, directory, trail, gate, policy, environment=settings.environment)
    return MemberParts(desk, Invitations(desk, rejected, catalog), Endings(directory, repository, trail))
