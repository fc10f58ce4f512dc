"""Which broker a connection is at, remembered.

A connection never changes its broker, so what was read once stays true and a release of a connection
seen before needs no look at the database ahead of its own.
"""

from __future__ import annotations

from collections import OrderedDict


class KnownBrokers:
    """At most `size` brokers by partner and connection; the one used longest ago goes first."""

    def __init__(self, *, size: int = 10_000) -> None:
        self._size = size
        self._brokers: OrderedDict[tuple[str, str], str] = OrderedDict()

    def __len__(self) -> int:
        return len(self._brokers)

    def of(self, partner: str, connection: str) -> str | None:
        """The broker, None if it has to be looked up."""
        broker = self._brokers.get((partner, connection))
        if broker is not None:
            self._brokers.move_to_end((partner, connection))
        return broker

    def remember(self, partner: str, connection: str, broker: str) -> None:
        """Says what was found in the database."""
        self._brokers[partner, connection] = broker
        self._brokers.move_to_end((partner, connection))
        while len(self._brokers) > self._size:
            self._brokers.popitem(last=False)

    def forget(self, partner: str, connection: str) -> None:
        """Makes the next release look again."""
        self._brokers.pop((partner, connection), None)
