"""What lies sealed in a session: its tokens, one line for the next page, and the simulation that is under way."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any, Self

from identity.login.errors import LoginFailed
from identity.login.tokens import Tokens
from identity.strict_json import StrictJsonError, loads_object


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulation:
    """A partner's workspace, looked at as a member with one role would. `ends_at` is in unix seconds."""

    number: str
    partner: str
    persona: str
    role: str
    ends_at: float


@dataclass(frozen=True, slots=True)
class Content:
    """`notice` is a line that the next page shows, once.

    `unattended`: whether the tokens were renewed last by a page on its own, with nobody in front of it.
    """

    tokens: Tokens
    notice: str | None = None
    simulation: Simulation | None = None
    unattended: bool = False

    def plain(self) -> bytes:
        """As bytes to be sealed."""
        return json.dumps(
            {
                "tokens": self.tokens.kept().decode(),
                "notice": self.notice,
                "simulation": None if self.simulation is None else asdict(self.simulation),
                "unattended": self.unattended,
            }
        ).encode()

    @classmethod
    def read(cls, plain: bytes) -> Self:
        """What `plain` wrote. Raises ValueError."""
        try:
            found = loads_object(plain)
            notice = found["notice"]
            return cls(
                Tokens.read(found["tokens"].encode()),
                None if notice is None else str(notice),
                _simulation(found.get("simulation")),
                found.get("unattended") is True,
            )
        except (StrictJsonError, KeyError, TypeError, AttributeError, LoginFailed) as problem:
            raise ValueError("not a session of this version") from problem


def _simulation(found: Any) -> Simulation | None:
    return None if found is None else Simulation(**found)
