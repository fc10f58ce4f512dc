"""Which bindings a change is about."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import datetime

from admin_sync.load.schema import Binding


@dataclass(frozen=True, slots=True, kw_only=True)
class Selector:
    """Bindings that fit every criterion that is given. Raises ValueError if none is: that would mean all of them.

    user:       e-mail address, compared without regard to case
    ended_by:   bindings whose end is this instant or earlier
    expires:    bindings that end at exactly this instant
    """

    user: str | None = None
    role: str | None = None
    group: str | None = None
    client_role: str | None = None
    environment: str | None = None
    request: str | None = None
    expires: datetime | None = None
    ended_by: datetime | None = None

    def __post_init__(self) -> None:
        if all(getattr(self, one.name) is None for one in fields(self)):
            raise ValueError("a selector without a criterion would mean every binding")

    def fits(self, binding: Binding) -> bool:
        """Whether a binding is meant."""
        end = binding.expires
        return (
            (self.user is None or binding.subject.user.lower() == self.user.lower())
            and (self.role is None or binding.role == self.role)
            and (self.group is None or binding.group == self.group)
            and (self.client_role is None or binding.client_role == self.client_role)
            and (self.environment is None or self.environment in binding.environments)
            and (self.request is None or binding.request == self.request)
            and (self.expires is None or end == self.expires)
            and (self.ended_by is None or (end is not None and end <= self.ended_by))
        )
