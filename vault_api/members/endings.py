"""The worker's task that takes roles out of Keycloak whose end has come. They count no more whether it runs or not."""

from __future__ import annotations

import structlog

from identity.audit.event import AuditEvent
from vault_api.brokers.catalog import Catalog
from vault_api.members.directory import Directory, DirectoryRefused
from vault_api.members.repository import MemberRepository
from vault_api.trail.record import Trail

_log = structlog.get_logger("vault_api.members")


class Endings:
    """Goes through the partners of the configuration. What Keycloak took out is told once, by whoever asked it to."""

    name = "member-endings"
    every = 60.0

    def __init__(self, directory: Directory, repository: MemberRepository, catalog: Catalog, trail: Trail) -> None:
        self._directory = directory
        self._repository = repository
        self._catalog = catalog
        self._trail = trail

    async def run_once(self) -> None:
        """Raises DirectoryUnavailable, CatalogUnavailable, DatabaseUnavailable and AuditUnavailable."""
        for partner in sorted(await self._catalog.partners()):
            try:
                ended = await self._directory.endings(partner)
            except DirectoryRefused:
                # Declared, and not made by `admin-sync apply` yet.
                continue
            for one in ended:
                _log.info("member.ended", partner=partner, role=one.role)
                await self._trail.record(
                    AuditEvent(
                        event="member.end",
                        outcome="success",
                        actor="vault-api",
                        partner=partner,
                        action="member:manage",
                        resource=f"partners/{partner}/members/{one.email} {one.role}",
                        reason="end_has_come",
                    )
                )
                await self._repository.forget(partner, one.account, one.role)
