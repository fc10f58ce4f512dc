"""What the person borrowed from the vault: it is told to end every lease of each of their accounts."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

import orjson

from admin_sync.desired import realm_name
from admin_sync.errors import Misconfigured
from admin_sync.model import Json
from admin_sync.offboarding.case import Case, Item, NotDone
from admin_sync.settings import read_secret
from identity.outbound import OutboundError, client, exchange
from identity.service_token import ServiceToken, ServiceTokenUnavailable

_PATH = "/v1/leases/revocations"
_MAX_BYTES = 65_536
_TIMEOUT = 15.0


class Leases:
    """Asks the vault of each environment, as a client of ours whose role has `lease:revoke`."""

    code = "leases"
    says = "leases of the vault ended"

    def places(self, case: Case) -> Sequence[str]:
        """The environments that have a vault. Where nobody has said which, every one is looked at, and fails."""
        vaults = case.own.vaults
        return case.environments if vaults is None else [one for one in case.environments if one in vaults]

    def look(self, case: Case, place: str) -> Sequence[Item]:
        """One thing for each account: only the vault knows how many leases there are."""
        if case.own.vaults is None:
            raise Misconfigured(
                "set ADMIN_SYNC_VAULTS to the vault of each environment (dev=https://vault.example,…), or to none"
            )
        return [Item(f"leases of {one.username}", {"id": one.id}) for one in case.accounts(place)]

    def take(self, case: Case, place: str, item: Item) -> Mapping[str, Json]:
        """How many leases are ending; each is tried until its target agrees."""
        return asyncio.run(self._end(case, place, str(item.detail["id"])))

    async def _end(self, case: Case, place: str, account: str) -> Mapping[str, Json]:
        if case.own.client_key_file is None:
            raise Misconfigured("set ADMIN_SYNC_OFFBOARDING_KEY_FILE to the key of the client that has lease:revoke")
        key = read_secret(case.own.client_key_file, "ADMIN_SYNC_OFFBOARDING_KEY_FILE")
        realm = f"{case.connection.url}/realms/{realm_name(case.document, place)}"
        async with client() as http:
            token = ServiceToken(http, f"{realm}/protocol/openid-connect/token", case.own.client_id, key)
            try:
                reply = await exchange(
                    http,
                    "POST",
                    f"{(case.own.vaults or {})[place]}{_PATH}",
                    content=orjson.dumps({"subject": account, "reason": "offboarding"}),
                    headers={"Authorization": f"Bearer {await token.get()}", "Content-Type": "application/json"},
                    max_bytes=_MAX_BYTES,
                    timeout=_TIMEOUT,
                )
            except (OutboundError, ServiceTokenUnavailable) as problem:
                raise NotDone(f"the vault of {place} was not told: {problem}") from None
            finally:
                await token.close()
        if reply.status != 200:
            raise NotDone(
                f"the vault of {place} answered {reply.status}; see that {case.own.client_id} has lease:revoke. In a "
                "freeze no service has anything, and leases end by themselves"
            )
        return {"ending": orjson.loads(reply.body)["ending"]}

    def left(self, case: Case, place: str) -> Sequence[Item]:
        """What was told is not asked again: the vault's worker ends each lease, and its audit says when."""
        return ()
