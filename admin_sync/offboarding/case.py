"""What the steps of an offboarding share, and what a step is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Protocol

from admin_sync.desired import realm_name
from admin_sync.errors import AdminSyncError
from admin_sync.keycloak.connection import Connection, segment
from admin_sync.load.document import Document
from admin_sync.load.schema import Binding
from admin_sync.model import Json
from admin_sync.offboarding.settings import OffboardingSettings
from admin_sync.settings import Settings

EVERYWHERE: Final = ""
"""The place of a step that is about no single environment."""


class NotDone(AdminSyncError):
    """A step could not be done; the text says why and what would help."""

    exit_code = 1


@dataclass(frozen=True, slots=True)
class Account:
    """An account of the person in one realm. `id` is what tokens call `sub`."""

    id: str
    username: str
    email: str
    enabled: bool


@dataclass(frozen=True, slots=True)
class Item:
    """One thing to be taken away. `name` is stable, so that a later run knows it again; it holds no secret."""

    name: str
    detail: Mapping[str, Json] = field(default_factory=dict)


@dataclass(slots=True)
class Case:
    """One person's offboarding.

    addresses:  every address by which an account may be theirs, in lower case; the first one is their name here
    keeps_grants: they are only suspended: what they were granted stays declared and gives nothing
    held:       what they were granted before any of it was taken
    """

    addresses: Sequence[str]
    reason: str
    author: str
    environments: Sequence[str]
    document: Document
    settings: Settings
    own: OffboardingSettings
    connection: Connection
    clock: Callable[[], datetime]
    keeps_grants: bool = False
    held: Sequence[Binding] = ()
    _accounts: dict[str, list[Account]] = field(default_factory=dict, init=False, repr=False)

    @property
    def email(self) -> str:
        """The person's own address."""
        return self.addresses[0]

    def path(self, environment: str) -> str:
        """The realm of an environment, as the admin API's paths begin."""
        return f"/{segment(realm_name(self.document, environment))}"

    def accounts(self, environment: str, *, again: bool = False) -> list[Account]:
        """The person's accounts there, none where the realm has none. Raises KeycloakProblem.

        An account is theirs by its e-mail address, whether that was verified or not, or by its user name.
        """
        if again or environment not in self._accounts:
            found: dict[str, Account] = {}
            place, ask = f"{self.path(environment)}/users", self.connection.get
            for address in self.addresses:
                for one in (
                    *(ask(place, email=address, exact=True) or ()),
                    *(ask(place, username=address, exact=True) or ()),
                ):
                    email = (one.get("email") or "").lower()
                    found[one["id"]] = Account(one["id"], one["username"], email, bool(one.get("enabled")))
            self._accounts[environment] = sorted(found.values(), key=lambda account: account.id)
        return self._accounts[environment]


class Step(Protocol):
    """One kind of thing that a person has.

    `look` says what of it there is, `take` takes one of those away, `left` says what is still there afterwards.
    Each may raise KeycloakProblem, AdminSyncError, BundleError and OSError; the text is for a person.
    """

    @property
    def code(self) -> str: ...
    @property
    def says(self) -> str: ...

    def places(self, case: Case) -> Sequence[str]:
        """The environments in which there is something to look at; `EVERYWHERE` for what is about none of them."""
        ...

    def look(self, case: Case, place: str) -> Sequence[Item]: ...
    def take(self, case: Case, place: str, item: Item) -> Mapping[str, Json]:
        """Take it away; what there is to say about it."""
        ...

    def left(self, case: Case, place: str) -> Sequence[Item]: ...
