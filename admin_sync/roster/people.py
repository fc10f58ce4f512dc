"""Who works here. A person is one `Employee`, however many addresses and accounts they have."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from types import MappingProxyType


def canonical(email: str) -> str:
    """An address in the one spelling that is compared: lower case and without a plus-tag.

    `Ann+iam@tradepulse.example` and `ann@tradepulse.example` reach the same mailbox at every large provider
    (RFC 5233 calls the tag a subaddress), so they are never two people to us.
    """
    local, at, domain = email.strip().lower().rpartition("@")
    head = local.split("+", 1)[0]
    # An address that begins with its tag has no other spelling.
    return f"{head or local}{at}{domain}"


@dataclass(frozen=True, slots=True)
class Employee:
    """One person of the roster. Addresses are in lower case; `manager` is the manager's main address."""

    email: str
    name: str
    department: str
    active: bool
    manager: str | None = None
    """None for whoever leads the company."""
    aliases: frozenset[str] = frozenset()
    """Further addresses of the same person, of whatever account."""
    start: date | None = None
    """The first day; None for longer than anybody asks."""
    end: date | None = None
    """The last day, which still counts; None for no end in sight."""
    line: int = field(default=1, compare=False)
    """Where the roster says so; equal people may stand on other lines of another file."""

    def employed(self, today: date) -> bool:
        """Whether they work here on a day."""
        return self.active and (self.start is None or self.start <= today) and (self.end is None or today <= self.end)

    @property
    def addresses(self) -> frozenset[str]:
        """All their addresses, as `canonical` writes them."""
        return frozenset(canonical(one) for one in (self.email, *self.aliases))


@dataclass(frozen=True, slots=True)
class Roster:
    """All people, in the order of the file. `digest` is the SHA-256 of the file's bytes in hexadecimal."""

    employees: tuple[Employee, ...]
    source: str
    digest: str
    _by_address: Mapping[str, Employee] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        table = {address: one for one in self.employees for address in one.addresses}
        object.__setattr__(self, "_by_address", MappingProxyType(table))

    def __len__(self) -> int:
        return len(self.employees)

    def __iter__(self) -> Iterator[Employee]:
        return iter(self.employees)

    def find(self, email: str) -> Employee | None:
        """Whose address it is: main or alias, in any case, with or without a plus-tag. None for a stranger."""
        return self._by_address.get(canonical(email))

    def employed(self, email: str, today: date) -> bool:
        """Whether the owner of an address works here on a day. A stranger does not."""
        found = self.find(email)
        return found is not None and found.employed(today)

    def manager_of(self, email: str, today: date) -> Employee | None:
        """Who leads somebody on a day.

        None for a stranger, for somebody without a manager, and where the manager has left: then nobody may
        speak as their manager until HR names the next one.
        """
        found = self.find(email)
        leader = self.find(found.manager) if found is not None and found.manager is not None else None
        return leader if leader is not None and leader.employed(today) else None

    def same_person(self, one: str, other: str) -> bool:
        """Whether two addresses are one person's: the same mailbox, or two that the roster gives to one person."""
        first, second = self.find(one), self.find(other)
        if first is not None and second is not None:
            return first.email == second.email
        return canonical(one) == canonical(other)
