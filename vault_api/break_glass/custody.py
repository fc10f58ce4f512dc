"""Keep, confirm, release: what custody of an emergency credential is, and in which order.

A credential is kept before it is put in force, so none is ever in force that nobody can open; it can be released
only once whoever keeps it has said that it is in force. For a release the key is derived first: with the KMS
away nothing is given up, and the one release is still to be had when it is back.
"""

from __future__ import annotations

from collections.abc import Sequence

import structlog

from identity.problem import Problem, not_found, unavailable
from identity.secret import Secret
from vault_api.break_glass.proof import ProofKeys, ProofRefused
from vault_api.break_glass.repository import CustodyRepository, Kept
from vault_api.break_glass.seals import Slot, key, open_credential, seal_credential
from vault_api.gate import Admitted, Gate
from vault_api.kms import Kms, KmsRefused, KmsUnavailable
from vault_api.sealing.envelope import SealError
from vault_api.trail.record import Trail

_log = structlog.get_logger("vault_api.break_glass")


class Custody:
    """Emergency credentials. Every method takes somebody whom the gate admitted, and records what it does.

    `proofs` is None where no key of an access service is configured; nothing is released then.
    """

    def __init__(
        self, repository: CustodyRepository, kms: Kms, trail: Trail, gate: Gate, proofs: ProofKeys | None
    ) -> None:
        self._repository = repository
        self._kms = kms
        self._trail = trail
        self._gate = gate
        self._proofs = proofs

    async def keep(self, admitted: Admitted, environment: str, account: str, credential: Secret) -> Slot:
        """Seals a new credential, as pending. Raises Problem 409 or 503, recorded."""
        slot = Slot(environment, account, await self._repository.next_version(environment, account))
        try:
            sealed = await seal_credential(self._kms, slot, credential)
        except (KmsUnavailable, KmsRefused):
            raise await self._gate.refused(admitted, _no_kms(), outcome="failure") from None
        event = admitted.event("success", resource=resource(environment, account))
        outcome = await self._repository.keep(slot, sealed, admitted.principal.actor, self._trail.line(event))
        if outcome != "kept":
            # The refusal is in the trail already, in the same transaction.
            raise _in_progress()
        return slot

    async def confirm(self, admitted: Admitted, slot: Slot) -> None:
        """Lets that version be released from now on. Raises Problem 409, recorded."""
        event = admitted.event("success", resource=resource(slot.environment, slot.account))
        if not await self._repository.confirm(slot, self._trail.line(event)):
            raise _superseded()

    async def kept(self, admitted: Admitted) -> Sequence[Kept]:
        """What is in custody, without the credentials; the look is recorded. Raises AuditUnavailable."""
        await self._trail.record(admitted.event("success"))
        return await self._repository.kept()

    async def release(self, admitted: Admitted, environment: str, account: str, proof: str) -> tuple[Slot, Secret]:
        """The credential, once. Raises Problem 403, 404, 409 or 503, recorded."""
        if self._proofs is None:
            raise await self._gate.refused(admitted, _not_configured(), outcome="failure")
        try:
            approved = self._proofs.verify(proof, admitted.principal, environment=environment, account=account)
        except ProofRefused as error:
            raise await self._gate.refused(admitted, _refused(error.reason)) from None
        found = await self._repository.kept(environment, account)
        if not found:
            raise await self._gate.refused(admitted, not_found())
        if found[0].state == "released" and found[0].request == approved.request:
            raise await self._gate.refused(admitted, _already_released())
        if found[0].state != "sealed":
            raise await self._gate.refused(admitted, _not_sealed(found[0].state))
        slot = Slot(environment, account, found[0].version)
        try:
            made = await key(self._kms, slot, found[0].root_version, found[0].salt)
        except (KmsUnavailable, KmsRefused):
            raise await self._gate.refused(admitted, _no_kms(), outcome="failure") from None
        event = admitted.event("success", resource=resource(environment, account))
        value = await self._repository.release(
            slot, approved.request, admitted.principal.subject, self._trail.line(event)
        )
        if value is None:
            raise _already_released()
        try:
            return slot, open_credential(made, slot, value)
        except SealError:
            _log.critical("break_glass.integrity", environment=environment, account=account, version=slot.version)
            raise await self._gate.refused(admitted, _does_not_open(), outcome="failure") from None


def resource(environment: str, account: str) -> str:
    """How audit lines name an emergency account."""
    return f"break-glass/{environment}/{account}"


def _refused(reason: str) -> Problem:
    return Problem(
        403,
        "approval-not-proved",
        "The approval is not proved",
        "Ask the access service for a proof of your approved request, and show it here within two minutes.",
        reason=reason,
    )


def _already_released() -> Problem:
    return Problem(
        409,
        "already-released",
        "The credential was released already",
        "Each approved request is given a credential once; close this opening and make a new request.",
    )


def _not_sealed(state: str) -> Problem:
    return Problem(
        409,
        "not-sealed",
        "The credential is not sealed",
        "It was released or is being changed; the reconciler seals a new one, or `admin-sync break-glass seal` does.",
        reason=f"not_sealed:{state}",
    )


def _in_progress() -> Problem:
    return Problem(
        409,
        "sealing-in-progress",
        "Somebody else is changing this credential",
        "Repeat this in a minute; a change that was given up counts as under way for that long.",
    )


def _superseded() -> Problem:
    return Problem(
        409,
        "credential-superseded",
        "Another credential was kept since",
        "Make and keep a new credential; the one that was to be confirmed is not the newest.",
    )


def _not_configured() -> Problem:
    return unavailable(
        "approval-keys-missing",
        "The vault knows no access service; set VAULT_APPROVAL_KEYS_FILE and start it again.",
        retry_after=60,
    )


def _no_kms() -> Problem:
    return unavailable("key-unavailable", "The KMS does not answer; repeat the request later.", retry_after=5)


def _does_not_open() -> Problem:
    return unavailable(
        "credential-damaged",
        "The sealed credential does not open; use the other emergency account, and see the vault's log.",
        retry_after=60,
    )
