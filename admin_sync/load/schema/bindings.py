"""`role_bindings.yaml`: who holds what, where and until when."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from admin_sync.load.scalars import Email, GroupPath, Instant, Name, Section, Text, Version


class Subject(Section):
    user: Email


class Approval(Section):
    """One person's yes, in one capacity. `exception` names the segregation rule it sets aside."""

    by: Email
    capacity: Name = Field(alias="as")
    at: Instant


class Binding(Section):
    """One grant: a role or a group for a person, in some environments, perhaps until an instant."""

    subject: Subject
    role: Name | None = None
    group: GroupPath | None = None
    environments: Annotated[list[Name], Field(min_length=1)]
    expires: Instant | None = None
    request: Text | None = None
    justification: Text | None = None
    approvals: list[Approval] = Field(default_factory=list)

    @model_validator(mode="before")
    @classmethod
    def _one_target(cls, value: Any) -> Any:
        if isinstance(value, dict) and len(value.keys() & {"role", "group"}) != 1:
            raise PydanticCustomError("binding", "a binding gives exactly one role or one group")
        return value


class BindingsFile(Section):
    """The whole file."""

    version: Version
    bindings: list[Binding]
