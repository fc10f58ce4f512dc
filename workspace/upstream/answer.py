"""What a service said no with (RFC 9457, RFC 9470), as exceptions that the pages know how to show."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from identity.principal import AssuranceLevel

_TYPE: Final = "urn:tradepulse:problem:"
_SLUG = re.compile(r"[a-z0-9-]{1,64}\Z")


class ServiceAway(Exception):
    """A service does not answer, or says that it cannot now. `retry_after` is in seconds."""

    def __init__(self, service: str, retry_after: int = 5) -> None:
        super().__init__(f"{service} is away")
        self.service = service
        self.retry_after = retry_after


class StepUpNeeded(Exception):
    """A stronger or a fresher login is needed. `max_age` is in seconds."""

    def __init__(self, level: AssuranceLevel, max_age: int | None) -> None:
        super().__init__(f"{level} is needed")
        self.level = level
        self.max_age = max_age


class LoginNeeded(Exception):
    """The service does not take the session's token any more."""


class SimulationOver(Exception):
    """The simulation that the session is in does not stand any more."""


class Refused(Exception):
    """A service said no. `detail` is its own next step; `members` is the whole problem document."""

    def __init__(self, status: int, slug: str, title: str, detail: str, members: Mapping[str, Any]) -> None:
        super().__init__(f"{status} {slug}")
        self.status = status
        self.slug = slug
        self.title = title
        self.detail = detail
        self.members = members


def refusal(service: str, status: int, document: Mapping[str, Any], retry_after: str | None) -> Exception:
    """The exception for an answer of 400 and above."""
    if status in (429, 503, 504) or (status >= 500 and not isinstance(document.get("detail"), str)):
        seconds = int(retry_after) if retry_after and retry_after.isdigit() and len(retry_after) < 5 else 5
        return ServiceAway(service, seconds)
    slug = str(document.get("type", "")).removeprefix(_TYPE)
    slug = slug if _SLUG.match(slug) else "refused"
    if status == 401 and slug == "step-up-required":
        try:
            level = AssuranceLevel(str(document.get("acr_values")))
        except ValueError:
            return LoginNeeded()
        age = document.get("max_age")
        return StepUpNeeded(level, age if type(age) is int and age >= 0 else None)
    if status == 401:
        return LoginNeeded()
    if slug == "simulation-over":
        return SimulationOver()
    title, detail = document.get("title"), document.get("detail")
    return Refused(
        status,
        slug,
        title if isinstance(title, str) else "That was refused",
        detail if isinstance(detail, str) else "Go back, look at what you gave, and try again.",
        document,
    )
