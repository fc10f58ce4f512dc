"""The worker's task that takes roles out of Keycloak whose end has come. They count no more whether it runs or not."""

from __future__ import annotations

import structlog

from identity.audit.event import AuditEvent
from vault_api.members.directory import Directory, DirectoryRefused
from vault_api.members.repository import MemberRepository
from vault_api.trail.record import Trail

_log = structlog.get_logger("vault_api.members")


class Endings:
    """What Keycloak took out is told once, to whoever asked it to: to this task of one worker."""

    name = "member-endings"
    every = 60.0

    def __init__(self, directory: Directory, repository: MemberRepository, trail: Trail) -> None:
        self._directory = directory
        self._repository = repository
        self._trail = trail

    async def run_once(self) -> None:
        """Raises DirectoryUnavailable, DatabaseUnavailable and AuditUnavailable."""
        try:
            ended = await self._directory.endings()
        except DirectoryRefused as refused:
            # A realm without the extension has no member who was lent anything.
            _log.warning("members.not_here", code=refused.code)
            return
        for one in ended:
            _log.info("member.ended", partner=one.partner, role=one.role)
            await self._trail.record(
                AuditEvent(
                    event="member.end",
                    outcome="success",
                    actor="vault-api",
                    partner=one.partner,
                    action="member:manage",
                    resource=f"partners/{one.partner}/members/{one.email} {one.role}",
                    reason="end_has_come",
                )
            )
            await self._repository.forget(one.partner, one.account, one.role)
