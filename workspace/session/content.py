"""What lies sealed in a session: its tokens, and one line for the next page."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Self

from identity.login.errors import LoginFailed
from identity.login.tokens import Tokens
from identity.strict_json import StrictJsonError, loads_object


@dataclass(frozen=True, slots=True)
class Content:
    """`notice` is a line that the next page shows, once."""

    tokens: Tokens
    notice: str | None = None

    def plain(self) -> bytes:
        """As bytes to be sealed."""
        return json.dumps({"tokens": self.tokens.kept().decode(), "notice": self.notice}).encode()

    @classmethod
    def read(cls, plain: bytes) -> Self:
        """What `plain` wrote. Raises ValueError."""
        try:
            found = loads_object(plain)
            notice = found["notice"]
            return cls(Tokens.read(found["tokens"].encode()), None if notice is None else str(notice))
        except (StrictJsonError, KeyError, TypeError, AttributeError, LoginFailed) as problem:
            raise ValueError("not a session of this version") from problem
