"""The bearer token of a person who logged in on this host, with `vault login` or with any other program of ours."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol, runtime_checkable

from identity.login import Conversation, LoginFailed, PersonSession, folder, registration
from identity.login.challenge import wanted
from identity.secret import Secret
from vault_client.bearer import BearerUnavailable


@runtime_checkable
class StepsUp(Protocol):
    """A bearer that can have its person prove more."""

    def step_up(self, acr_values: str, max_age: int | None) -> bool:
        """Whether the person did. Raises BearerUnavailable."""
        ...


class Person:
    """The session of whoever is logged in.

    interactive: whether somebody is there to be asked for more; without, the vault's demand goes to the caller
    """

    def __init__(self, session: PersonSession, *, interactive: bool = True) -> None:
        self._session = session
        self._interactive = interactive

    def __call__(self) -> Secret:
        """Raises BearerUnavailable."""
        try:
            return self._session.bearer()
        except LoginFailed as failed:
            raise BearerUnavailable(str(failed)) from None

    def step_up(self, acr_values: str, max_age: int | None) -> bool:
        """Opens a login for what the vault demands (RFC 9470). Raises BearerUnavailable."""
        asked = wanted(acr_values, max_age) if self._interactive else None
        if asked is None:
            return False
        try:
            self._session.step_up(asked)
        except LoginFailed as failed:
            raise BearerUnavailable(str(failed)) from None
        return True


def person_session(
    environ: Mapping[str, str], *, issuer: str | None = None, talk: Conversation | None = None
) -> PersonSession:
    """The session that environment variables name. Raises LoginFailed (bad-registration)."""
    return PersonSession(registration(environ, issuer=issuer), Path(folder(environ)), talk=talk)
