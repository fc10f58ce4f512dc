"""One login that is under way: the secrets of its request, and where it leads back to."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Self

from identity.login.registration import Wanted
from identity.login.request import Proof
from identity.principal import AssuranceLevel
from identity.strict_json import StrictJsonError, loads_object


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """As it lies sealed until the answer comes."""

    proof: Proof = field(repr=False)
    wanted: Wanted
    back_to: str

    def plain(self) -> bytes:
        """As bytes to be sealed."""
        return json.dumps(
            {
                "verifier": self.proof.verifier,
                "state": self.proof.state,
                "nonce": self.proof.nonce,
                "level": None if self.wanted.level is None else self.wanted.level.value,
                "max_age": self.wanted.max_age,
                "back_to": self.back_to,
            }
        ).encode()

    @classmethod
    def read(cls, plain: bytes) -> Self:
        """What `plain` wrote. Raises ValueError."""
        try:
            found = loads_object(plain)
            level = found["level"]
            wanted = Wanted(None if level is None else AssuranceLevel(level), found["max_age"])
            return cls(
                proof=Proof(found["verifier"], found["state"], found["nonce"]),
                wanted=wanted,
                back_to=str(found["back_to"]),
            )
        except (StrictJsonError, KeyError, TypeError) as problem:
            raise ValueError("not a login of this version") from problem
