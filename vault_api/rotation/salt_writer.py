"""Writing salts: the one thing in the vault that changes anything in Keycloak, as a client of its own.

Keycloak's admin API replaces an organization as a whole and knows no condition, so whoever read it before
us and writes after us takes our change away again. A new salt is therefore added first, looked at
again after a while, and only then made current: nothing is sealed under a salt that could still
vanish. `admin-sync` reads an organization and writes it back within a second, attributes included.
"""

from __future__ import annotations

import base64
import secrets
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote

import orjson

from vault_api.salts import MAX_VERSIONS, KeycloakSalts, SaltsMissing, SaltsUnavailable

_PREFIX = "vault.salt."
_CURRENT = f"{_PREFIX}current"
_SALT_BYTES = 32

Attributes = dict[str, Any]


class SaltWriter(KeycloakSalts):
    """Reads and changes the salts of organizations, as the service account of `vault-rotator`."""

    async def add(self, partner: str, version: int) -> None:
        """Adds a random salt of that version; one that is there already is left alone.

        Raises SaltsUnavailable; SaltsMissing also for one more than a reader takes, which would shut the partner out.
        """

        def added(attributes: Attributes) -> Attributes:
            kept = {name for name in attributes if name.startswith(_PREFIX)} - {_CURRENT}
            if f"{_PREFIX}{version}" not in kept and len(kept) >= MAX_VERSIONS:
                raise SaltsMissing("too_many_salts")
            salt = base64.urlsafe_b64encode(secrets.token_bytes(_SALT_BYTES)).decode().rstrip("=")
            return {f"{_PREFIX}{version}": [salt], **attributes}

        await self._change(partner, added)

    async def make_current(self, partner: str, version: int) -> None:
        """What is sealed from now on is sealed under that version. Raises SaltsUnavailable, SaltsMissing."""

        def pointed(attributes: Attributes) -> Attributes:
            if f"{_PREFIX}{version}" not in attributes:
                raise SaltsMissing("salt_missing")
            return {**attributes, _CURRENT: [str(version)]}

        await self._change(partner, pointed)

    async def remove(self, partner: str, version: int) -> None:
        """Removes one salt that is not current. Raises SaltsUnavailable, SaltsMissing."""

        def without(attributes: Attributes) -> Attributes:
            if attributes.get(_CURRENT) == [str(version)]:
                raise SaltsMissing("salt_is_current")
            return {name: values for name, values in attributes.items() if name != f"{_PREFIX}{version}"}

        await self._change(partner, without)

    async def remove_all(self, partner: str) -> None:
        """Removes every salt, and with them what they sealed. Raises SaltsUnavailable, SaltsMissing."""
        await self._change(
            partner,
            lambda attributes: {name: values for name, values in attributes.items() if not name.startswith(_PREFIX)},
        )

    async def names(self, partner: str) -> list[str]:
        """The names of the attributes about salts that are there, in order. Raises SaltsUnavailable, SaltsMissing."""
        attributes = (await self._organization(partner)).get("attributes") or {}
        return sorted(name for name in attributes if name.startswith(_PREFIX))

    async def _change(self, partner: str, change: Callable[[Attributes], Attributes]) -> None:
        organization = await self._organization(partner)
        before = dict(organization.get("attributes") or {})
        after = change(before)
        if after == before:
            return
        await self._put(organization, after)

    async def _put(self, organization: Mapping[str, Any], attributes: Attributes) -> None:
        path = f"/organizations/{quote(str(organization['id']), safe='')}"
        body = orjson.dumps({**organization, "attributes": attributes})
        reply = await self._send(path, method="PUT", content=body)
        if reply.status == 401:
            self._token.invalidate()
            reply = await self._send(path, method="PUT", content=body)
        if reply.status not in (200, 204):
            raise SaltsUnavailable(f"Keycloak answers a change of salts with {reply.status}")
