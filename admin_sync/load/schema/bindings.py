"""`role_bindings.yaml`: who holds what, where and until when."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from admin_sync.load.scalars import ClientRolePath, Email, GroupPath, Instant, Name, Section, Text, Version, exactly_one


class Subject(Section):
    user: Email


class Approval(Section):
    """One person's yes, in one capacity. `exception` names the segregation rule it sets aside."""

    by: Email
    capacity: Name = Field(alias="as")
    at: Instant


class Binding(Section):
    """One grant: a role, a group or a client's role for a person, in some environments, perhaps until an instant."""

    model_config = ConfigDict(json_schema_extra=exactly_one("role", "group", "client_role"))

    subject: Subject
    role: Name | None = None
    group: GroupPath | None = None
    client_role: ClientRolePath | None = None
    """A role that a client brings along; what it allows is that client's own affair."""
    environments: Annotated[list[Name], Field(min_length=1)]
    expires: Instant | None = None
    request: Text | None = None
    justification: Text | None = None
    approvals: list[Approval] = Field(default_factory=list)

    @model_validator(mode="before")
    @classmethod
    def _one_target(cls, value: Any) -> Any:
        if isinstance(value, dict) and len(value.keys() & {"role", "group", "client_role"}) != 1:
            raise PydanticCustomError("binding", "a binding gives exactly one role, one group or one client_role")
        return value

    @property
    def target(self) -> str:
        """What is given, as a person would say it."""
        if self.role is not None:
            return f"role {self.role}"
        return f"group {self.group}" if self.group is not None else f"client role {self.client_role}"


class Barred(Section):
    """Somebody who holds nothing from an instant on, whatever else is declared or handed to them.

    A leaver stays here for good, so that no grant, no membership and no token brings anything back.
    """

    user: Email
    since: Instant
    reason: Text | None = None


class FormerApprover(Section):
    """Somebody who was in a group of approvers until an instant. What they agreed to before it stands; nothing else."""

    user: Email
    group: GroupPath
    environments: Annotated[list[Name], Field(min_length=1)]
    until: Instant


class BindingsFile(Section):
    """The whole file."""

    version: Version
    bindings: list[Binding]
    barred: list[Barred] = Field(default_factory=list)
    former_approvers: list[FormerApprover] = Field(default_factory=list)
