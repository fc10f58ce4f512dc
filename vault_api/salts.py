"""Partners' salts, read from where only Keycloak keeps them: the attributes of the partner's organization.

    vault.salt.<v>      32 random bytes in base64url without padding, 43 characters
    vault.salt.current  the version that new values are sealed under

They are made by `admin-sync` when a partner is created. A token never carries them (organization
attributes are not mapped into tokens), and if one did nobody here would look.
"""

from __future__ import annotations

import base64
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import httpx
import structlog

from identity.outbound import OutboundError, Reply, exchange
from identity.service_token import ServiceToken, ServiceTokenUnavailable
from identity.strict_json import StrictJsonError
from identity.strict_json import loads as strict_loads
from identity.trace import outgoing_headers

_PREFIX = "vault.salt."
_VERSION = re.compile(r"[1-9][0-9]{0,9}\Z")
_SALT = re.compile(r"[A-Za-z0-9_-]{43}\Z")
MAX_VERSIONS = 64
_MAX_BYTES = 1_048_576
_PAGE = 100
_MAX_PAGES = 200

_log = structlog.get_logger("vault_api.salts")


class SaltsUnavailable(Exception):
    """Keycloak does not answer, or does not let us ask. Waiting may help."""


class SaltsMissing(Exception):
    """Keycloak answers, and there is no such partner or no proper current salt. `reason` is a stable code."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class PartnerSalts:
    """Every salt of a partner by version, 32 bytes each, and which one is current."""

    current: int
    versions: Mapping[int, bytes] = field(repr=False)


class KeycloakSalts:
    """Reads organizations through Keycloak's admin REST API, as the service account of the vault.

    admin_url: `https://…/admin/realms/<realm>`
    timeout:   seconds for one request
    """

    def __init__(self, http: httpx.AsyncClient, admin_url: str, token: ServiceToken, *, timeout: float = 5.0) -> None:
        self._http = http
        self._url = admin_url.rstrip("/")
        self._token = token
        self._timeout = timeout
        self._answered_at = float("-inf")
        # Alias -> id. An id stays what it is; that the alias still belongs to it is checked at each use.
        self._ids: dict[str, str] = {}

    async def read(self, partner: str) -> PartnerSalts:
        """The salts of the organization whose alias is `partner`.

        Raises SaltsUnavailable, SaltsMissing. A salt of another form is as good as missing.
        """
        organization = await self._organization(partner)
        attributes = organization.get("attributes")
        return salts_of(attributes if isinstance(attributes, dict) else {})

    async def check(self) -> None:
        """Raises SaltsUnavailable unless Keycloak lets us read organizations now."""
        if not isinstance(await self._get("/organizations?briefRepresentation=true&first=0&max=1"), list):
            raise SaltsUnavailable("the list of organizations is not a list")

    @property
    def silent_seconds(self) -> float:
        """For how long Keycloak has not answered; infinite if it never has."""
        return time.monotonic() - self._answered_at

    async def _organization(self, partner: str) -> Mapping[str, Any]:
        known = self._ids.get(partner)
        if known is not None:
            found = await self._get(f"/organizations/{quote(known, safe='')}")
            if isinstance(found, dict) and found.get("alias") == partner:
                return found
            del self._ids[partner]
        await self._learn_ids()
        known = self._ids.get(partner)
        if known is None:
            raise SaltsMissing("partner_unknown")
        found = await self._get(f"/organizations/{quote(known, safe='')}")
        if not isinstance(found, dict) or found.get("alias") != partner:
            raise SaltsMissing("partner_unknown")
        return found

    async def _learn_ids(self) -> None:
        """Reads every organization's alias and id. Keycloak searches by name and domain, not by alias."""
        ids: dict[str, str] = {}
        for page in range(_MAX_PAGES):
            found = await self._get(f"/organizations?briefRepresentation=true&first={page * _PAGE}&max={_PAGE}")
            if not isinstance(found, list):
                raise SaltsUnavailable("the list of organizations is not a list")
            for entry in found:
                alias, identifier = entry.get("alias"), entry.get("id")
                if isinstance(alias, str) and isinstance(identifier, str):
                    ids[alias] = identifier
            if len(found) < _PAGE:
                break
        self._ids = ids

    async def _get(self, path: str) -> Any:
        reply = await self._send(path)
        if reply.status == 401:
            # The realm may have been restarted with other keys, or the account's sessions revoked.
            self._token.invalidate()
            reply = await self._send(path)
        if reply.status == 404:
            return None
        if reply.status != 200:
            _log.error("salts.refused", status=reply.status)
            raise SaltsUnavailable(f"Keycloak answers {reply.status}")
        self._answered_at = time.monotonic()
        try:
            return strict_loads(reply.body, max_bytes=_MAX_BYTES)
        except StrictJsonError as error:
            raise SaltsUnavailable(f"Keycloak's answer is not JSON: {error}") from None

    async def _send(self, path: str, *, method: str = "GET", content: bytes | None = None) -> Reply:
        try:
            bearer = await self._token.get()
            kind = {} if content is None else {"Content-Type": "application/json"}
            return await exchange(
                self._http,
                method,
                self._url + path,
                headers={"Authorization": f"Bearer {bearer}", **kind, **outgoing_headers()},
                max_bytes=_MAX_BYTES,
                timeout=self._timeout,
                content=content,
                attempts=2 if method == "GET" else 1,
            )
        except (OutboundError, ServiceTokenUnavailable) as error:
            _log.error("salts.unavailable", problem=str(error))
            raise SaltsUnavailable(str(error)) from None


def salts_of(attributes: Mapping[str, Any]) -> PartnerSalts:
    """The salts in an organization's attributes, which Keycloak keeps as lists of text.

    Raises SaltsMissing without a current version, without its salt, or with more than 64 versions.
    """
    current = _single(attributes.get(f"{_PREFIX}current"))
    if current is None or not _VERSION.match(current):
        raise SaltsMissing("salt_missing")
    versions: dict[int, bytes] = {}
    for name, values in attributes.items():
        suffix = name.removeprefix(_PREFIX)
        if suffix == name or not _VERSION.match(suffix):
            continue
        salt = _salt(_single(values))
        if salt is not None and int(suffix) < 2**32:
            versions[int(suffix)] = salt
    if int(current) not in versions:
        raise SaltsMissing("salt_missing")
    if len(versions) > MAX_VERSIONS:
        raise SaltsMissing("too_many_salts")
    return PartnerSalts(current=int(current), versions=versions)


def _single(values: Any) -> str | None:
    return values[0] if isinstance(values, list) and len(values) == 1 and isinstance(values[0], str) else None


def _salt(text: str | None) -> bytes | None:
    if text is None or not _SALT.match(text):
        return None
    return base64.urlsafe_b64decode(text + "=")
