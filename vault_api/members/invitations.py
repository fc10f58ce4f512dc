"""Invitations: made by whoever may manage members, or by the platform's staff for a partner's first people.

    line and row ─▶ code, told once ─▶ link and code reach the person ─▶ taken up, once: row closed ─▶ Keycloak
                                                                                     row opened again ◀─ no ┘

Somebody new takes it up with the code alone, and gets an account, for which the code is the password of the first
login. An account that exists belongs to its owner: they log in with their own factors and take it up as themselves.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC

from identity.audit.event import AuditEvent
from identity.principal import Principal
from identity.problem import Problem, forbidden, not_found
from identity.trace import trace_id
from vault_api import names
from vault_api.brokers.catalog import Catalog, CatalogUnavailable
from vault_api.gate import Admitted, Caller
from vault_api.members import limits
from vault_api.members.code import code_hash, is_name, new_code, new_name, read_code
from vault_api.members.desk import KEY, MemberDesk, problem_of, shown, unrecorded
from vault_api.members.directory import DirectoryRefused, DirectoryUnavailable
from vault_api.members.repository import LASTS, Taken
from vault_api.members.schemas import Acceptance, Accepted, InvitationRequest, Invited, PartnerOnboarding
from vault_api.problems import catalog_unavailable, invalid
from vault_api.trail.rejected import RejectedTokens


class Invitations:
    """Every method raises what those of `MemberDesk` do."""

    def __init__(self, desk: MemberDesk, rejected: RejectedTokens, catalog: Catalog) -> None:
        self._desk = desk
        self._rejected = rejected
        self._catalog = catalog

    async def make(self, admitted: Admitted, partner: str, wanted: InvitationRequest) -> Invited:
        """Invites somebody. The answer is the only one that has the code."""
        desk, email = self._desk, wanted.email.lower()
        async with desk.gate.recording(admitted):
            if (admitted.principal.email or "").lower() == email:
                limits.require_other(admitted.principal, admitted.principal.subject)
            limits.require_ahead(wanted.until, desk.clock())
            limits.require_within(wanted.until, limits.own_end(admitted.principal, partner, admitted.decision.reasons))
            try:
                found = await desk.directory.partner(partner)
            except (DirectoryRefused, DirectoryUnavailable) as error:
                raise problem_of(error) from None
            if wanted.role not in found.roles:
                raise _mistake("role", "unknown_role", "the partner hands out no such role")
            # Whether somebody of another domain has an account is not looked at: it would tell who is known here.
        code, name = new_code(), new_name()
        event = admitted.event("success", partner=partner, resource=_resource(partner, name, email, wanted.role))
        with unrecorded():
            outcome = await desk.repository.invite(
                partner,
                name,
                email,
                wanted.role,
                wanted.until,
                code_hash(partner, name, code),
                (admitted.principal.subject, admitted.principal.actor),
                desk.trail.line(event),
            )
        if outcome == "already":
            raise Problem(
                409,
                "already-invited",
                "That invitation is open already",
                "Withdraw it first if its code was lost, and invite them again.",
            )
        if outcome != "invited":
            raise Problem(409, "too-many-invitations", "Too many invitations are open", "Withdraw some of them first.")
        return Invited(
            invitation=name,
            email=email,
            role=wanted.role,
            until=wanted.until,
            expires_at=(desk.clock() + LASTS).replace(microsecond=0),
            code=code,
        )

    async def withdraw(self, admitted: Admitted, partner: str, invitation: str) -> None:
        """Ends an invitation that nobody took up."""
        event = admitted.event(
            "success",
            partner=partner,
            resource=f"partners/{partner}/invitations/{invitation if is_name(invitation) else '?'}",
        )
        with unrecorded():
            done = await self._desk.repository.withdraw(partner, invitation, self._desk.trail.line(event))
        if not done:
            raise not_found()

    async def accept(self, partner: str, invitation: str, given: Acceptance, *, ip: str | None) -> Accepted:
        """Takes an invitation up as somebody who has no account yet."""
        if given.first_name is None or given.last_name is None:
            raise invalid("an account needs a first and a last name")
        code = read_code(given.code.get_secret_value())
        named = names.is_partner(partner) and is_name(invitation)
        event = AuditEvent(
            event="invitation.accept",
            resource=f"partners/{partner}/invitations/{invitation}" if named else None,
            outcome="success",
            partner=partner,
            action="member:join",
            ip=ip,
            trace_id=trace_id(),
        )
        taken = await self._take(partner, invitation, code, None, event)
        name = (given.first_name.strip(), given.last_name.strip())
        try:
            found = await self._desk.directory.partner(partner)
            account = await self._desk.directory.make(
                partner, str(taken.email), name, str(code), str(taken.role), taken.until
            )
        except (DirectoryRefused, DirectoryUnavailable) as error:
            raise await self._nothing(partner, invitation, event, error) from None
        await self._note(partner, taken, account.id, event)
        return _accepted(partner, found.name, taken, account_made=True)

    async def join(self, caller: Caller, invitation: str, given: Acceptance) -> Accepted:
        """Takes an invitation up as somebody who is logged in with the address that was invited."""
        partner, principal = caller.partner, caller.principal
        if principal.kind != "person" or not principal.email or caller.simulation is not None:
            raise await self._desk.gate.refused(caller, forbidden())
        code = read_code(given.code.get_secret_value())
        event = caller.event("success", partner=partner, resource=_resource(partner, invitation, principal.email, None))
        taken = await self._take(partner, invitation, code, principal, event)
        try:
            found = await self._desk.directory.partner(partner)
            await self._desk.directory.give(partner, principal.subject, str(taken.role), taken.until)
        except (DirectoryRefused, DirectoryUnavailable) as error:
            raise await self._nothing(partner, invitation, event, error) from None
        await self._note(partner, taken, principal.subject, event)
        return _accepted(partner, found.name, taken, account_made=False)

    async def onboarding(self, admitted: Admitted) -> Sequence[PartnerOnboarding]:
        """Every partner of the configuration, and how far it has come."""
        async with self._desk.gate.recording(admitted):
            try:
                partners = sorted(await self._catalog.partners())
            except CatalogUnavailable as error:
                raise catalog_unavailable(error) from None
            slots = asyncio.Semaphore(4)
            found = await asyncio.gather(*(self._far(slots, one) for one in partners))
        await self._desk.trail.record(admitted.event("success"))
        return [one for one in found if one is not None]

    async def _far(self, slots: asyncio.Semaphore, partner: str) -> PartnerOnboarding | None:
        async with slots:
            try:
                found = await self._desk.directory.partner(partner)
            except DirectoryRefused:
                # Declared, and not made by `admin-sync apply` yet.
                return None
            except DirectoryUnavailable as error:
                raise problem_of(error) from None
            with unrecorded():
                rows = await self._desk.repository.invitations(partner)
        now = self._desk.clock()
        administrators = [one for one in found.members if one.enabled and ("partner-admin", None) in one.roles]
        return PartnerOnboarding(
            partner=partner,
            name=found.name,
            domains=tuple(found.domains),
            roles=tuple(found.roles),
            members=len(found.members),
            administrators=len(administrators),
            with_factor=sum(1 for one in found.members if one.factors & (KEY | {"otp"})),
            invitations=tuple(shown(row, now) for row in rows),
        )

    async def _take(
        self, partner: str, invitation: str, code: str | None, principal: Principal | None, event: AuditEvent
    ) -> Taken:
        if not names.is_partner(partner) or not is_name(invitation):
            raise await self._unknown(event)
        email = None if principal is None else (principal.email or "").lower()
        digest = code_hash(partner, invitation, code) if code is not None else bytes(32)
        with unrecorded():
            taken = await self._desk.repository.take(partner, invitation, digest, email, self._desk.trail.line(event))
        if taken.outcome == "accepted":
            return taken
        if taken.outcome == "not_found":
            raise await self._unknown(event)
        # One answer for all: which it is helps only who guesses.
        raise _not_good(taken.outcome)

    async def _unknown(self, event: AuditEvent) -> Problem:
        # Anybody can ask for what is not there: such lines are held to a rate, and are about no partner.
        await self._rejected.record(
            AuditEvent(
                event=event.event,
                outcome="denied",
                reason="unknown_invitation",
                actor=event.actor,
                ip=event.ip,
                trace_id=event.trace_id,
            )
        )
        return _not_good("unknown_invitation")

    async def _nothing(
        self, partner: str, invitation: str, event: AuditEvent, error: DirectoryRefused | DirectoryUnavailable
    ) -> Problem:
        problem = problem_of(error)
        reason = problem.reason or "refused"
        with unrecorded():
            await self._desk.repository.give_back(partner, invitation, reason, self._desk.trail.line(event))
        return problem

    async def _note(self, partner: str, taken: Taken, account: str, event: AuditEvent) -> None:
        line = AuditEvent(
            event="member.give",
            outcome="success",
            actor=taken.invited_by_name,
            partner=partner,
            action="member:manage",
            resource=f"partners/{partner}/members/{taken.email} {taken.role}"
            + ("" if taken.until is None else f" until {taken.until.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"),
            ip=event.ip,
            trace_id=event.trace_id,
        )
        with unrecorded():
            await self._desk.repository.given(
                partner,
                account,
                str(taken.role),
                str(taken.email),
                taken.until,
                (str(taken.invited_by), str(taken.invited_by_name)),
                self._desk.trail.line(line),
            )


def _accepted(partner: str, name: str, taken: Taken, *, account_made: bool) -> Accepted:
    return Accepted(
        partner=partner,
        name=name,
        email=str(taken.email),
        role=str(taken.role),
        until=taken.until,
        account_made=account_made,
    )


def _mistake(place: str, code: str, detail: str) -> Problem:
    return invalid(detail, errors=[{"location": f"/{place}", "code": code}])


def _resource(partner: str, invitation: str, email: str, role: str | None) -> str:
    return f"partners/{partner}/invitations/{invitation if is_name(invitation) else '?'} {email}" + (
        f" {role}" if role else ""
    )


def _not_good(reason: str) -> Problem:
    return Problem(
        404,
        "invitation-not-good",
        "That invitation or that code is not good",
        "Look at the code again. If it is right, the invitation has ended, was taken up, or is for another address: "
        "ask whoever invited you for a new one.",
        reason=reason,
    )
