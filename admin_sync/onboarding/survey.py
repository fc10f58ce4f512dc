"""What people of a roster hold in the configuration and in the realms. Pure: documents and readings to plain data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from admin_sync.load.document import BINDINGS, PARTNERS, Document
from admin_sync.model import Current, Json
from admin_sync.refs import USER
from admin_sync.roster.people import Employee, canonical


@dataclass(frozen=True, slots=True)
class Held:
    """One grant that the configuration declares for an address."""

    address: str
    target: str
    environments: tuple[str, ...]
    at: str

    def shown(self) -> dict[str, Json]:
        """As a report says it."""
        return {"user": self.address, "target": self.target, "environments": list(self.environments), "at": self.at}


class Survey:
    """Who holds what, looked up by any address of a person."""

    def __init__(self, document: Document, realms: Mapping[str, Current]) -> None:
        """`realms` are the readings by environment."""
        self._document = document
        self._realms = realms
        self._held: dict[str, list[Held]] = {}
        for one in _declared(document):
            self._held.setdefault(canonical(one.address), []).append(one)
        self._accounts: dict[tuple[str, str], bool] = {
            (environment, canonical(ref.name)): one.attrs.get("enabled") is True
            for environment, current in realms.items()
            for ref, one in current.resources.items()
            if ref.kind == USER
        }

    def grants(self, person: Employee) -> list[Held]:
        """What is declared for a person."""
        return [one for address in sorted(person.addresses) for one in self._held.get(address, ())]

    def account(self, environment: str, person: Employee) -> bool | None:
        """Whether their account in an environment is enabled; None where they have none. An enabled one counts most."""
        found = [self._accounts[key] for one in person.addresses if (key := (environment, one)) in self._accounts]
        return any(found) if found else None

    def enabled(self, person: Employee) -> list[str]:
        """The environments in which they can log in."""
        return [environment for environment in self._realms if self.account(environment, person)]

    def barred(self, person: Employee) -> bool:
        """Whether they are denied everything, whatever is declared."""
        return any(self._document.barred(one) for one in (person.email, *person.aliases))


def _declared(document: Document) -> Iterable[Held]:
    for number, binding in enumerate(document.bindings.bindings):
        if binding.expires is None or binding.expires > document.now:
            at = str(document.at(BINDINGS, "bindings", number))
            yield Held(binding.subject.user.lower(), binding.target, tuple(binding.environments), at)
    for alias, partner in document.partners.partners.items():
        for number, email in enumerate(partner.admins):
            at = str(document.at(PARTNERS, "partners", alias, "admins", number))
            yield Held(email.lower(), f"administers partner {alias}", document.environments, at)
