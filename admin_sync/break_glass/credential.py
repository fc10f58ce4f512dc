"""What opens an emergency account: a password and a security key, together one text that is sealed."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import Final

import orjson

from admin_sync.break_glass.passkey import SoftwareKey
from identity.secret import Secret

_FORM: Final = 1


@dataclass(frozen=True, slots=True)
class Credential:
    """A password of 256 random bits and a security key; neither is ever used a second time."""

    username: str
    password: Secret = field(repr=False)
    key: SoftwareKey = field(repr=False)

    @classmethod
    def new(cls, username: str) -> Credential:
        """A new one. The suffix answers any password policy that asks for classes of characters."""
        return cls(username, Secret(f"{secrets.token_urlsafe(32)}-Aa1!"), SoftwareKey.new())

    def sealable(self) -> Secret:
        """The text that is sealed, and that whoever opens is given."""
        credential_id, private = self.key.written()
        return Secret(
            orjson.dumps(
                {
                    "form": _FORM,
                    "username": self.username,
                    "password": self.password.text(),
                    "credential_id": credential_id,
                    "private_key": private,
                }
            )
        )

    @classmethod
    def read(cls, text: Secret) -> Credential:
        """What `sealable` gave. Raises ValueError."""
        try:
            told = orjson.loads(text.reveal())
            if told["form"] != _FORM:
                raise ValueError("a credential of another form")
            key = SoftwareKey.read(told["credential_id"], told["private_key"])
            return cls(str(told["username"]), Secret(str(told["password"])), key)
        except (KeyError, TypeError, orjson.JSONDecodeError):
            raise ValueError("not the credential of an emergency account") from None
