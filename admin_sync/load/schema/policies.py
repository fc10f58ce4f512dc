"""`policies.yaml`: the rules that every grant and every request must keep."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field
from pydantic_core import PydanticCustomError

from admin_sync.load.scalars import Duration, Email, Instant, Name, Section, Text, TimeOfDay, Version

Level = Literal["aal1", "aal2", "aal3"]
Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]


class Sensitive(Section):
    level: Level
    max_age: Duration


class RememberMe(Section):
    max_age: Duration
    level: Level


class Levels(Section):
    aal1: Name
    aal2: Name
    aal3: Name


class Assurance(Section):
    """How sure we are of who somebody is, and for what."""

    levels: Levels
    interactive: Level
    sensitive: Sensitive
    roles: dict[Name, Level] = Field(default_factory=dict)
    remember_me: RememberMe
    forbidden_factors: list[Name] = Field(default_factory=list)


class DevicePosture(Section):
    claim: Name
    missing: Literal["step_up", "deny", "allow"]
    unhealthy: Literal["step_up", "deny", "allow"] = Field(alias="false")


class FailedMfa(Section):
    count: Annotated[int, Field(ge=1, le=1000)]
    window: Duration
    action: Literal["lock_and_alert", "step_up", "deny", "allow"]


class Travel(Section):
    """Logins that lie further apart than anybody travels; speed in km/h, distance in km."""

    locations: Text
    max_speed: Annotated[int, Field(ge=1, le=100_000)] = 1000
    min_distance: Annotated[int, Field(ge=1, le=20_000)] = 300
    action: Literal["step_up", "deny", "allow"]


class Risk(Section):
    """What makes a login step up, and where: in every environment if `environments` is left out."""

    environments: list[Name] | None = None
    ip_deny_list: Text | None = None
    new_device: Literal["step_up", "deny", "allow"] | None = None
    device_posture: DevicePosture | None = None
    failed_mfa: FailedMfa | None = None
    travel: Travel | None = None


class SeparationException(Section):
    approver: Name
    max_duration: Duration


class Separation(Section):
    """Roles of which nobody may hold two."""

    name: Name
    roles: Annotated[list[Name], Field(min_length=2)]
    exception: SeparationException | None = None


class RequestClass(Section):
    """What a grant by request needs. `roles` is absent for the class of everything else."""

    roles: list[Name] = Field(default_factory=list)
    approvals: Annotated[list[Name], Field(min_length=1)]
    max_duration: Duration


class Approver(Section):
    """Who may speak in one capacity: members of a group, or people that a roster names."""

    group: Name | None = None
    source: Name | None = Field(default=None, alias="from")


def _one_approver_source(value: Any) -> Any:
    if isinstance(value, dict) and len(value.keys() & {"group", "from"}) != 1:
        raise PydanticCustomError("approver", "name exactly one of group and from")
    return value


class AccessRequests(Section):
    default: RequestClass
    elevated: RequestClass
    mfa_before_grant: bool
    approvers: dict[Name, Annotated[Approver, BeforeValidator(_one_approver_source)]]


class Certification(Section):
    every: Duration
    stale_after: Duration
    orphan: Name
    undecided: Literal["report", "revoke_proposed", "revoke"] = "revoke_proposed"
    """What becomes of a binding that nobody decided about: nothing, taken away where a sign speaks for that, or taken
    away."""


class SecretException(Section):
    client: Name
    rotation: Duration
    approved_by: Email
    expires: Instant


class ServiceAccounts(Section):
    static_secrets: Literal["forbidden"]
    exceptions: list[SecretException] = Field(default_factory=list)


class MfaBypass(Section):
    max_duration: Duration
    approvals: Annotated[list[Name], Field(min_length=1)]


class BreakGlass(Section):
    accounts: list[Name]
    max_duration: Duration
    review_within: Duration
    approvals: Annotated[list[Name], Field(min_length=1)]
    mfa_bypass: MfaBypass


class Window(Section):
    """When a role may act."""

    environments: Annotated[list[Name], Field(min_length=1)]
    weekdays: Annotated[list[Weekday], Field(min_length=1)]
    opens: TimeOfDay = Field(alias="from")
    closes: TimeOfDay = Field(alias="to")
    timezone: Text


class EnvironmentRules(Section):
    deny_roles_from: list[Name] = Field(default_factory=list)


class AcceptedGrant(Section):
    """Something undeclared that is known and may stay: `holder` and `grant` as a plan calls them."""

    holder: Text
    grant: Text
    reason: Text
    environments: list[Name] | None = None
    expires: Instant | None = None


class PoliciesFile(Section):
    """The whole file."""

    version: Version
    people: dict[Name, Literal["local", "federated"]]
    assurance: Assurance
    risk: Risk = Field(default_factory=Risk)
    segregation_of_duties: list[Separation] = Field(default_factory=list)
    access_requests: AccessRequests
    certification: Certification
    service_accounts: ServiceAccounts
    break_glass: BreakGlass
    production_windows: dict[Name, Window] = Field(default_factory=dict)
    environments: dict[Name, EnvironmentRules] = Field(default_factory=dict)
    undeclared_grants: Literal["report", "remove"] = "report"
    """What happens to rights of people and clients of ours that this configuration has no word for."""
    accepted_grants: list[AcceptedGrant] = Field(default_factory=list)
