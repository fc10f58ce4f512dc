"""Narrowed tokens at rest: sealed under the partner's key like every token, in a place of their own."""

from __future__ import annotations

from identity.problem import Problem
from identity.secret import Secret
from vault_api import problems
from vault_api.gate import Admitted, Gate
from vault_api.keyring import KeyContextMismatch, Keyring, KeyUnavailable
from vault_api.leases.targets import TargetUnavailable
from vault_api.sealing.envelope import Place, SealError, open_sealed, seal
from vault_api.sealing.keys import PartnerKey

KIND = "lease_token"


class LeaseSeals:
    """Seals and opens what has to be kept of a lease."""

    def __init__(self, keyring: Keyring, gate: Gate) -> None:
        self._keyring = keyring
        self._gate = gate

    async def key(self, admitted: Admitted) -> PartnerKey:
        """The partner's current key. Raises Problem 409 or 503, recorded."""
        try:
            return (await self._keyring.keys(admitted.partner)).current()
        except (KeyUnavailable, KeyContextMismatch) as error:
            raise await self._gate.refused(admitted, _problem(error), outcome="failure") from None

    def seal(self, key: PartnerKey, lease: str, kept: Secret) -> bytes:
        """The sealed value."""
        return seal(key, _place(key.partner, lease), kept.reveal())

    async def open(self, partner: str, lease: str, sealed: bytes, key_version: int) -> Secret:
        """What was kept. Raises TargetUnavailable: without it the target cannot be told what to end."""
        try:
            key = await self._keyring.key(partner, key_version)
            return Secret(open_sealed(key, _place(partner, lease), sealed))
        except KeyUnavailable:
            raise TargetUnavailable("key_unavailable") from None
        except KeyContextMismatch:
            raise TargetUnavailable("key_gone") from None
        except SealError:
            raise TargetUnavailable("integrity_error") from None


def _place(partner: str, lease: str) -> Place:
    return Place(partner, lease, KIND, 1)


def _problem(error: KeyUnavailable | KeyContextMismatch) -> Problem:
    if isinstance(error, KeyUnavailable):
        return problems.key_unavailable(error)
    return problems.key_context_mismatch(error)
