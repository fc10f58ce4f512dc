"""Salts as they are in an export of the realm: `kc.sh export`, or the organizations of the admin API as JSON.

{"organizations": [{"alias": …, "attributes": {"vault.salt.1": ["…"], "vault.salt.current": ["1"]}}]}
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from identity.secret import SecretUnreadable, read_secret
from identity.strict_json import StrictJsonError
from identity.strict_json import loads as strict_loads
from vault_api.salts import PartnerSalts, SaltsMissing, salts_of

MAX_BYTES = 256 * 1024 * 1024


class ExportUnreadable(Exception):
    """The export cannot be read or is none. The text is one clear line."""


class ExportedSalts:
    """The salts of every partner in an export; satisfies what the keyring asks of Keycloak."""

    def __init__(self, attributes: Mapping[str, Mapping[str, object]]) -> None:
        self._attributes = attributes

    @classmethod
    def from_file(cls, path: Path) -> ExportedSalts:
        """Reads an export. Raises ExportUnreadable; the file must be as closed to others as any secret."""
        try:
            # Salts are one of three secrets that together open everything.
            content = read_secret(path, name="--salts", max_bytes=MAX_BYTES).reveal()
            document = strict_loads(content, max_bytes=MAX_BYTES, max_depth=64)
        except SecretUnreadable as error:
            raise ExportUnreadable(str(error)) from None
        except StrictJsonError as error:
            raise ExportUnreadable(f"--salts: {path} is not JSON: {error}") from None
        organizations = document.get("organizations") if isinstance(document, dict) else document
        if not isinstance(organizations, list) or not all(isinstance(one, dict) for one in organizations):
            raise ExportUnreadable(f"--salts: {path} holds no organizations; export the realm, or its organizations")
        return cls({str(one.get("alias")): one.get("attributes") or {} for one in organizations})

    async def read(self, partner: str) -> PartnerSalts:
        """The partner's salts. Raises SaltsMissing."""
        if partner not in self._attributes:
            raise SaltsMissing("partner_unknown")
        return salts_of(self._attributes[partner])
