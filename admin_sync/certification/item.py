"""What a reviewer is asked about: one binding, with everything that there is to know about it.

An item never changes once its campaign is open. Its `key` says which binding it is about and is the same in every
campaign; its `hash` is over all that the reviewer was shown, and every decision names it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from functools import cached_property

import rfc8785

from admin_sync.load.schema.bindings import Binding
from admin_sync.model import Json

KEY_LENGTH = 16
"""Hexadecimal digits of a key: 64 bits tell any number of bindings apart that a file can hold."""


class Standing(StrEnum):
    """Whether the roster knows the holder."""

    EMPLOYED = "employed"
    LEFT = "left"
    UNKNOWN = "unknown"


class Sign(StrEnum):
    """What speaks for taking a binding away."""

    ORPHAN = "orphan"
    """The roster does not have the holder, or not any more (`certification.orphan: not_in_hr_roster`)."""
    STALE = "stale"
    """Nobody used it for `certification.stale_after`, and the record of use goes back that far."""


@dataclass(frozen=True, slots=True)
class Use:
    """When the holder was last seen in an environment. Both None where nothing is known of it."""

    last: datetime | None
    recorded_since: datetime | None
    """How far back the record of that environment goes: nobody can say what happened before."""

    def idle_since(self, moment: datetime) -> bool:
        """Whether it is sure that the holder was not seen since a moment."""
        if self.recorded_since is None or self.recorded_since > moment:
            return False
        return self.last is None or self.last <= moment

    def record(self) -> Json:
        """As JSON."""
        return {"last": stamped(self.last), "recorded_since": stamped(self.recorded_since)}

    @classmethod
    def of(cls, record: Mapping[str, Json]) -> Use:
        """What `record` gave. Raises KeyError and ValueError."""
        return cls(moment(record["last"]), moment(record["recorded_since"]))


@dataclass(frozen=True)
class Item:
    """One binding under review. Addresses are in lower case."""

    key: str
    binding: Mapping[str, Json]
    """The binding as `role_bindings.yaml` has it."""
    roles: Sequence[Sequence[str]]
    """The ways to every role that it gives: `("group trading", "role trader")`."""
    permissions: Sequence[str]
    sensitive: Sequence[str]
    """Those of the permissions that policy calls sensitive."""
    standing: Standing
    name: str | None
    """The holder's name in the roster."""
    manager: str | None
    owners: Sequence[str]
    """The groups that own the roles."""
    provisioners: Sequence[str]
    """Who made it: whoever asked for it, approved it, or committed it."""
    since: datetime | None
    """When it was written into the file; None where no history says so."""
    use: Mapping[str, Use]
    """By environment."""
    signs: Sequence[Sign] = field(default=())

    @property
    def holder(self) -> str:
        """Whose binding it is."""
        return str(self.binding["subject"]["user"]).lower()

    @property
    def target(self) -> str:
        """What it gives, as a person would say it."""
        return next(
            f"{name.replace('_', ' ')} {self.binding[name]}"
            for name in ("role", "group", "client_role")
            if name in self.binding
        )

    @property
    def environments(self) -> list[str]:
        """Where."""
        return list(self.binding["environments"])

    @property
    def last_use(self) -> datetime | None:
        """The latest of all environments."""
        return max((one.last for one in self.use.values() if one.last is not None), default=None)

    def record(self) -> dict[str, Json]:
        """As JSON: what is stored, shown, hashed and signed."""
        return {
            "key": self.key,
            "binding": dict(self.binding),
            "roles": [list(way) for way in self.roles],
            "permissions": list(self.permissions),
            "sensitive": list(self.sensitive),
            "standing": self.standing.value,
            "name": self.name,
            "manager": self.manager,
            "owners": list(self.owners),
            "provisioners": list(self.provisioners),
            "since": stamped(self.since),
            "use": {name: one.record() for name, one in self.use.items()},
            "signs": [one.value for one in self.signs],
        }

    @classmethod
    def of(cls, record: Mapping[str, Json]) -> Item:
        """What `record` gave. Raises KeyError and ValueError."""
        return cls(
            key=record["key"],
            binding=record["binding"],
            roles=[tuple(way) for way in record["roles"]],
            permissions=record["permissions"],
            sensitive=record["sensitive"],
            standing=Standing(record["standing"]),
            name=record["name"],
            manager=record["manager"],
            owners=record["owners"],
            provisioners=record["provisioners"],
            since=moment(record["since"]),
            use={name: Use.of(one) for name, one in record["use"].items()},
            signs=[Sign(one) for one in record["signs"]],
        )

    @cached_property
    def hash(self) -> str:
        """SHA-256 of the canonical record (RFC 8785), in hexadecimal."""
        return hashlib.sha256(rfc8785.dumps(self.record())).hexdigest()


def plain(binding: Binding) -> dict[str, Json]:
    """A binding as the file has it, without what was left out there."""
    return binding.model_dump(mode="json", by_alias=True, exclude_none=True, exclude_defaults=True)


def key_of(binding: Binding) -> str:
    """Which binding it is: whose, what, where and until when, whatever else is written beside it."""
    meant = {
        "user": binding.subject.user.lower(),
        "target": binding.target,
        "environments": sorted(binding.environments),
        "expires": stamped(binding.expires),
        "request": binding.request,
    }
    return hashlib.sha256(rfc8785.dumps(meant)).hexdigest()[:KEY_LENGTH]


def stamped(value: datetime | None) -> str | None:
    """RFC 3339, or None."""
    return None if value is None else value.isoformat()


def moment(value: Json) -> datetime | None:
    """What `stamped` gave. Raises ValueError."""
    return None if value is None else datetime.fromisoformat(value)
