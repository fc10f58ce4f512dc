"""A partner at the vault, as one person may see it: the calls that several pages make."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from identity.audit.chain import Head
from workspace.partner.people import Deed, KnownPeople, deeds
from workspace.partner.trail import WINDOW, Backwards, Wanted
from workspace.session.sessions import Session
from workspace.upstream.service import Service

_END: Final = 2**53 - 1
"""Behind every line there can be."""

_KNOWN: Final = KnownPeople()


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A walk that is done, the last line that there was, and the last one that is in the audit file too."""

    walk: Backwards
    head: Head
    shipped: int


class PartnerAtVault:
    """The vault's answers about a partner to one person. All raise what `workspace.upstream.answer` has."""

    def __init__(self, vault: Service, person: Session, partner: str) -> None:
        self._vault = vault
        self._person = person
        self._partner = partner

    async def offers(self) -> Mapping[str, Any]:
        """What the person may do here, and which brokers they may link."""
        return await self._vault.get(self._person.token, "partners", self._partner, "offers")

    async def connections(self, after: str) -> Mapping[str, Any]:
        """A page of connections; `after` is empty for the first one."""
        return await self._vault.get(
            self._person.token, "partners", self._partner, "connections", query={"after": after} if after else None
        )

    async def connection(self, name: str) -> Mapping[str, Any]:
        """A connection."""
        return await self._vault.get(self._person.token, "partners", self._partner, "connections", name, "credential")

    async def window(self, after: int, size: int) -> Mapping[str, Any]:
        """Lines of the trail from behind `after`, in their order, and where the chain stands."""
        query = {"after": str(after), "limit": str(size)}
        return await self._vault.get(self._person.token, "partners", self._partner, "audit", query=query)

    async def head(self) -> Mapping[str, Any]:
        """Where the chain stands."""
        chain: Mapping[str, Any] = (await self.window(_END, 1))["chain"]
        return chain

    async def trail(self, asked: Wanted, *, before: int | None = None, most: int) -> Found:
        """At most `most` lines that somebody looks for, back from the end or from right before a number."""
        chain = await self.head()
        head = Head(chain["head_seq"], chain["head_hash"])
        walk = await self._walked(Backwards(asked, head=head, before=before, most=most))
        return Found(walk=walk, head=head, shipped=chain["shipped_seq"])

    async def lately(self, connection: str, *, most: int) -> Sequence[Mapping[str, Any]]:
        """The newest lines about a connection, as far as they are among the newest ones of the trail."""
        chain = await self.head()
        head = Head(chain["head_seq"], chain["head_hash"])
        walk = Backwards(Wanted(connection=connection), head=head, before=None, most=most, windows=1)
        return (await self._walked(walk)).lines

    async def people(self, connections: Sequence[Mapping[str, Any]]) -> Mapping[str, Mapping[str, str]]:
        """Who linked and who approved each connection: `you`, a name, or `somebody else` where the trail is long."""
        done = {str(one["connection"]): deeds(self._partner, one) for one in connections}
        strangers = [deed for each in done.values() for deed in each.values() if not self._said(deed)]
        if strangers:
            after = max(0, (await self.head())["head_seq"] - WINDOW)
            _KNOWN.learn(strangers, (await self.window(after, WINDOW))["events"])
        return {
            name: {what: self._said(deed) or "somebody else" for what, deed in each.items()}
            for name, each in done.items()
        }

    async def _walked(self, walk: Backwards) -> Backwards:
        while (window := walk.window()) is not None:
            after, size = window
            got = await self.window(after, size)
            walk.take(got["events"], after=after, prev=got["chain"]["prev"], said=got["chain"]["first_bad_seq"])
        return walk

    def _said(self, deed: Deed) -> str | None:
        return "you" if deed.by == self._person.principal.subject else _KNOWN.name(deed)


async def both(at: PartnerAtVault, name: str) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """What the person may do, and a connection."""
    offers, connection = await asyncio.gather(at.offers(), at.connection(name))
    return offers, connection
