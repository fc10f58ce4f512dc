"""Who belongs to a partner, and changing what members hold: line, Keycloak, and a second line where that failed.

Every method raises Problem, AuditUnavailable, and PolicyUnavailable where it asks.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Final

from identity.audit.errors import AuditUnavailable
from identity.opa import OpaClient
from identity.problem import Problem, not_found, unavailable
from vault_api.gate import Admitted, Gate
from vault_api.members import limits
from vault_api.members.directory import Account, Directory, DirectoryRefused, DirectoryUnavailable, Partner
from vault_api.members.repository import InvitationRow, MemberRepository
from vault_api.members.schemas import HeldRole, Invitation, Member, Members
from vault_api.permissions import Call
from vault_api.store.database import DatabaseUnavailable
from vault_api.trail.record import Trail

KEY: Final = frozenset({"webauthn", "webauthn-passwordless"})
_SAID: Final = {
    "last_administrator": (
        409,
        "Somebody has to administer the partner",
        "Make somebody else an administrator without an end first.",
    ),
    "declared": (
        409,
        "The configuration names this administrator",
        "Ask whoever runs this site to take them out of the configuration; it would be given back otherwise.",
    ),
    "account_exists": (
        409,
        "There is an account of that address",
        "Log in with it, and take the invitation up as yourself.",
    ),
    "account_unusable": (409, "That account cannot be given roles", "It is switched off; ask whoever runs this site."),
    "foreign_domain": (
        422,
        "That address is not of the partner's own domains",
        "Whoever it belongs to needs an account first; then invite them again.",
    ),
    "segregation_of_duties": (
        409,
        "Two roles would meet that are kept apart",
        "Take the other role away first; which one it is stands in the platform's rules.",
    ),
    "over_already": (422, "That end has passed", "Choose a day that is still to come."),
}


class MemberDesk:
    """What can be done with members. `environment` is the one that this vault is of."""

    def __init__(
        self,
        repository: MemberRepository,
        directory: Directory,
        trail: Trail,
        gate: Gate,
        policy: OpaClient,
        *,
        environment: str,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.repository = repository
        self.directory = directory
        self.trail = trail
        self.gate = gate
        self.clock = clock
        self._policy = policy
        self._environment = environment

    async def list(self, admitted: Admitted) -> Members:
        """Everybody who belongs to the partner; who is invited only to whoever may manage that."""
        partner = admitted.partner
        found = await self.known(admitted)
        decision = await self._policy.decide(
            admitted.principal, Call.MEMBER_GIVE.permission, environment=self._environment, partner=partner
        )
        # What a stronger login would allow counts, because pages lead there. Under a simulation nothing is allowed.
        may = (decision.allow or decision.step_up is not None) and admitted.simulation is None
        with unrecorded():
            notes = await self.repository.notes(partner)
            rows = await self.repository.invitations(partner) if may else ()
        await self.trail.record(admitted.event("success"))
        now = self.clock()
        members = [
            Member(
                account=one.id,
                email=one.email,
                name=one.name or (one.email or one.id),
                enabled=one.enabled,
                declared=one.declared,
                factor=factor(one),
                roles=tuple(
                    HeldRole(
                        role=role,
                        until=until,
                        ended=until is not None and until <= now,
                        given_by=None if (note := notes.get((one.id, role))) is None else note.given_by_name,
                        given_at=None if note is None else note.given_at,
                    )
                    for role, until in sorted(one.roles)
                ),
            )
            for one in found.members
        ]
        return Members(
            partner=partner,
            name=found.name,
            domains=tuple(found.domains),
            roles=tuple(found.roles),
            may_manage=may,
            you=admitted.principal.subject,
            members=tuple(sorted(members, key=lambda one: (one.name.casefold(), one.account))),
            invitations=tuple(shown(row, now) for row in rows),
        )

    async def give(self, admitted: Admitted, account: str, role: str, until: datetime | None) -> None:
        """Gives a member a role, or another end of it."""
        partner = admitted.partner
        async with self.gate.recording(admitted):
            limits.require_other(admitted.principal, account)
            limits.require_ahead(until, self.clock())
            end = limits.own_end(admitted.principal, partner, admitted.decision.reasons)
            limits.require_within(until, end)
            found = await self.known(admitted)
            member = next((one for one in found.members if one.id == account), None)
            if member is None or role not in found.roles:
                raise not_found()
            limits.require_not_above(member.roles, end, admitted.decision.reasons)
        await self.carry_out_giving(admitted, member, role, until)

    async def carry_out_giving(self, admitted: Admitted, account: Account, role: str, until: datetime | None) -> None:
        """Notes who gives it, and gives it."""
        partner, principal = admitted.partner, admitted.principal
        event = admitted.event("success", resource=_held(partner, account.email or account.id, role, until))
        with unrecorded():
            by = (principal.subject, principal.actor)
            await self.repository.given(
                partner, account.id, role, account.email or "", until, by, self.trail.line(event)
            )
        async with self._told(admitted, event.resource):
            await self.directory.give(partner, account.id, role, until)

    async def take(self, admitted: Admitted, account: str, role: str) -> None:
        """Takes a role from a member."""
        member = await self._member(admitted, account)
        if all(held != role for held, _ in member.roles):
            raise await self.gate.refused(admitted, not_found())
        resource = _held(admitted.partner, member.email or account, role, None)
        await self.trail.record(admitted.event("success", resource=resource))
        async with self._told(admitted, resource):
            await self.directory.take(admitted.partner, account, role)
        with unrecorded():
            await self.repository.forget(admitted.partner, account, role)

    async def remove(self, admitted: Admitted, account: str) -> None:
        """Ends a membership, with every role."""
        member = await self._member(admitted, account)
        resource = f"partners/{admitted.partner}/members/{member.email or account}"
        await self.trail.record(admitted.event("success", resource=resource))
        async with self._told(admitted, resource):
            await self.directory.remove(admitted.partner, account)
        with unrecorded():
            await self.repository.forget(admitted.partner, account, None)

    async def known(self, admitted: Admitted) -> Partner:
        """The partner as Keycloak knows it; one that it does not know is not there."""
        try:
            return await self.directory.partner(admitted.partner)
        except (DirectoryRefused, DirectoryUnavailable) as error:
            raise await self.gate.refused(admitted, problem_of(error), outcome="failure") from None

    async def _member(self, admitted: Admitted, account: str) -> Account:
        async with self.gate.recording(admitted):
            limits.require_other(admitted.principal, account)
        found = await self.known(admitted)
        member = next((one for one in found.members if one.id == account), None)
        if member is None:
            raise await self.gate.refused(admitted, not_found())
        reasons = admitted.decision.reasons
        async with self.gate.recording(admitted):
            end = limits.own_end(admitted.principal, admitted.partner, reasons)
            limits.require_not_above(member.roles, end, reasons)
        return member

    @asynccontextmanager
    async def _told(self, admitted: Admitted, resource: str | None) -> AsyncIterator[None]:
        """Says in the trail that what stands there as done was not."""
        try:
            yield
        except (DirectoryRefused, DirectoryUnavailable) as error:
            problem = problem_of(error)
            reason = problem.reason or problem.slug.replace("-", "_")
            await self.trail.record(admitted.event("failure", resource=resource, reason=reason))
            raise problem from None


class unrecorded:  # noqa: N801 - reads as a statement
    """Turns a database that is away into AuditUnavailable: what cannot be recorded is not answered."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None and issubclass(kind, DatabaseUnavailable):
            raise AuditUnavailable("the request could not be recorded") from None


def factor(account: Account) -> str:
    """The best second factor that somebody registered."""
    if account.factors & KEY:
        return "security_key"
    return "app" if "otp" in account.factors else "none"


def shown(row: InvitationRow, now: datetime) -> Invitation:
    """An invitation as it stands now."""
    state = "expired" if row.state == "open" and row.expires_at <= now else row.state
    return Invitation(
        invitation=row.invitation,
        email=row.email,
        role=row.role,
        until=row.until,
        invited_by=row.invited_by_name,
        invited_at=row.invited_at,
        expires_at=row.expires_at,
        state=state,
    )


def problem_of(error: DirectoryRefused | DirectoryUnavailable) -> Problem:
    """What Keycloak's no, or its silence, is to the caller."""
    if isinstance(error, DirectoryUnavailable):
        problem = unavailable(
            "directory-unavailable",
            "Keycloak does not answer right now, so members cannot be looked up or changed. Repeat the request later.",
            retry_after=error.retry_after,
        )
        problem.reason = "directory_unavailable"
        return problem
    said = _SAID.get(error.code)
    if said is None:
        return not_found() if error.status == 404 else _refused(error.code)
    status, title, detail = said
    return Problem(status, error.code.replace("_", "-"), title, detail, reason=error.code)


def _refused(code: str) -> Problem:
    return Problem(
        422, "member-refused", "Keycloak does not do that", "Look at what you gave, and try again.", reason=code
    )


def _held(partner: str, who: str, role: str, until: datetime | None) -> str:
    end = "" if until is None else f" until {until.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
    return f"partners/{partner}/members/{who} {role}{end}"
