"""What the policy bundle is made from, as values: everything a decision depends on, and nothing else.

The configuration becomes a `PolicySource`, and `admin_sync.bundle.render` turns that into the data
document which the Rego rules in `policy/` read. Names are compared exactly and e-mail addresses
without regard to case. All instants are Unix seconds and all durations are seconds.

Every value checks its own form when it is made and raises ValueError, because a policy that means
something else than it says must not be published. Absent means denied: a role without a grant, a
partner without roles and an environment without an entry give nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

LEVELS = ("aal1", "aal2", "aal3")
"""The assurance levels of a login, lowest first."""

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

_TIME_OF_DAY = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])")


def _check_level(level: str, where: str) -> None:
    if level not in LEVELS:
        raise ValueError(f"{where}: {level!r} is no assurance level, use one of {', '.join(LEVELS)}")


def minute_of_day(text: str) -> int:
    """Minutes since midnight of `HH:MM`; `24:00` is 1440. Raises ValueError for anything else."""
    if text == "24:00":
        return 1440
    match = _TIME_OF_DAY.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is no time of day, write HH:MM from 00:00 to 24:00")
    return int(match[1]) * 60 + int(match[2])


@dataclass(frozen=True, slots=True, kw_only=True)
class Permission:
    """One permission. A sensitive one asks for `Assurance.sensitive`, a partner-scoped one for a partner."""

    sensitive: bool = False
    partner_scoped: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    """A platform role: its own permissions, and the roles whose permissions it has as well.

    The levels and windows of an included role keep binding what comes from it.
    """

    permissions: frozenset[str] = frozenset()
    includes: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class PartnerRole:
    """A role inside a partner; it never reaches another partner or a permission that is not partner-scoped."""

    permissions: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Broker:
    """How the vault reaches a broker. `secret` names where its client secret is found, never what it is.

    `before_expiry` is a share of the lifetime (0 to 1) or seconds, None for the vault's own choice;
    `relink_every` is in seconds, 0 for never.
    """

    display_name: str
    client_id: str
    secret: str
    issuer: str | None = None
    authorize_url: str | None = None
    token_url: str | None = None
    revoke_url: str | None = None
    scopes: tuple[str, ...] = ()
    before_expiry: float | int | None = None
    rotates_refresh_token: bool = False
    never_expires: bool = False
    relink_every: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertRoute:
    """One way to tell a partner something: an e-mail address, or a webhook with the name of its secret."""

    alerts: frozenset[str]
    email: str | None = None
    webhook: str | None = None
    secret: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Partner:
    """A partner. `roles` are the partner roles that count there, which its persona may narrow.

    The rest is for the vault: whether a linked broker waits for a second person, whether pages of its people that are
    open stay logged in, and who is told what.
    """

    persona: str
    brokers: frozenset[str] = frozenset()
    roles: frozenset[str] = frozenset()
    approve_connections: bool = False
    proactive_refresh: bool = False
    alert_routes: tuple[AlertRoute, ...] = ()
    usual_alerts: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Sensitive:
    """What a sensitive permission asks for: a level, and a login at most `max_age` seconds ago."""

    level: str
    max_age: int

    def __post_init__(self) -> None:
        _check_level(self.level, "assurance of sensitive permissions")
        if self.max_age < 1:
            raise ValueError(f"max_age of sensitive permissions must be at least a second, not {self.max_age}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Assurance:
    """Levels that a person's login must reach: always, for sensitive permissions, and by role."""

    interactive: str
    sensitive: Sensitive
    roles: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _check_level(self.interactive, "interactive assurance")
        for role, level in self.roles.items():
            _check_level(level, f"assurance of role {role}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """When a role may act, by the clock on the wall in `timezone`.

    `weekdays` name the days on which the window opens. One that closes at or before the minute it
    opens ends on the following day. Outside `environments` the role is not bound by it.
    """

    environments: frozenset[str]
    weekdays: frozenset[str]
    opens: str
    closes: str
    timezone: str

    def __post_init__(self) -> None:
        minute_of_day(self.closes)
        if minute_of_day(self.opens) == 1440:
            raise ValueError("a window cannot open at 24:00, write 00:00 and the next weekday")
        if unknown := self.weekdays - set(WEEKDAYS):
            raise ValueError(f"{', '.join(sorted(unknown))}: no weekday, use {', '.join(WEEKDAYS)}")
        # "Local" means the zone of whichever host decides, which is no statement about a market.
        if self.timezone in {"", "Local"}:
            raise ValueError("a window needs a time zone such as America/New_York")
        try:
            ZoneInfo(self.timezone)
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise ValueError(f"{self.timezone!r} is no known time zone, write one such as America/New_York") from error


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """An environment, and the environments whose tokens it names as never good here."""

    deny_roles_from: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """One person's role in one environment, dead from `not_after` on; 0 means that it does not end."""

    email: str
    environment: str
    role: str
    not_after: int = 0

    def __post_init__(self) -> None:
        # Only ASCII folds case the same way in Keycloak, Python and OPA.
        if not self.email.isascii() or not self.email:
            raise ValueError(f"{self.email!r}: a grant needs an e-mail address in ASCII")
        if self.not_after < 0:
            raise ValueError(f"{self.email}: a grant cannot end before 1970")


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """A service: the environments it may act in and the roles that may count for it."""

    environments: frozenset[str] = frozenset()
    roles: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicySource:
    """Everything the rules decide by. `admin_sync.bundle.check` tells which of its names lead nowhere.

    `windows` are by role, `federated_roles` by environment: the roles that an identity provider's
    group mapping can give there without a grant. `emergency_roles` are what still works in a freeze
    and after the bundle's own expiry; none at all is allowed and means that nothing works then.
    """

    permissions: Mapping[str, Permission]
    roles: Mapping[str, Role]
    environments: Mapping[str, Environment]
    assurance: Assurance
    partner_roles: Mapping[str, PartnerRole] = field(default_factory=dict)
    partners: Mapping[str, Partner] = field(default_factory=dict)
    windows: Mapping[str, Window] = field(default_factory=dict)
    grants: tuple[Grant, ...] = ()
    federated_roles: Mapping[str, frozenset[str]] = field(default_factory=dict)
    clients: Mapping[str, Client] = field(default_factory=dict)
    emergency_roles: frozenset[str] = frozenset()
    brokers: Mapping[str, Broker] = field(default_factory=dict)
    barred: frozenset[str] = frozenset()
    """E-mail addresses of people who are denied everything, an emergency role among it."""
