"""Organizations, which are partners, and the salts of their keys.

A salt is made here, in the one request that creates the organization, and its value never leaves
this module: what is read says only which versions there are.
"""

from __future__ import annotations

import base64
import secrets
from collections.abc import Iterable, Mapping
from typing import Any, Final

from admin_sync.diff import Action, Change
from admin_sync.keycloak.adapter import Reader, Writer, attribute, is_managed
from admin_sync.keycloak.connection import Refused
from admin_sync.keycloak.iam import lookup
from admin_sync.model import MANAGED_ATTRIBUTE, Json, Ref, Resource
from admin_sync.refs import ORGANIZATION

SALT: Final = "vault.salt."
CURRENT_SALT: Final = "vault.salt.current"
SALT_BYTES: Final = 32
PERSONA: Final = "tradepulse.persona"
ADMINS: Final = "tradepulse.admins"


class OrganizationAdapter:
    """Reads and writes organizations."""

    kind = ORGANIZATION

    def read(self, reader: Reader) -> Iterable[Resource]:
        """Every organization, without the values of its salts."""
        for found in reader.organizations:
            attributes = found.get("attributes") or {}
            attrs = {
                "display_name": found["name"],
                "enabled": found.get("enabled", False),
                "domains": sorted(domain["name"] for domain in found.get("domains") or ()),
                "persona": attribute(found, PERSONA),
                "salts": salt_versions(attributes),
                "current_salt": attribute(found, CURRENT_SALT),
                "admins": sorted(attributes.get(ADMINS) or ()),
                "managed_by": attribute(found, MANAGED_ATTRIBUTE),
            }
            yield Resource(Ref(ORGANIZATION, found["alias"]), attrs, server_id=found["id"], managed=is_managed(found))

    def write(self, writer: Writer, change: Change) -> None:
        """Create, change or delete one organization."""
        if change.action is Action.DELETE:
            assert change.before is not None  # noqa: S101
            writer.connection.delete(f"{writer.path}/organizations/{change.before.server_id}")
            return
        assert change.after is not None  # noqa: S101
        wanted = change.after.attrs
        if change.action is Action.CREATE:
            body = _representation(change.ref.name, wanted, {})
            try:
                writer.remember(change.ref, writer.connection.post(f"{writer.path}/organizations", body))
                return
            except Refused as problem:
                if problem.status != 409:
                    raise
        path = f"{writer.path}/organizations/{lookup.organization(writer, change.ref.name)}"
        found = writer.connection.get(path)
        if found is None:
            raise LookupError(f"{change.ref} is not in {writer.realm} any more")
        writer.connection.put(path, {**found, **_representation(change.ref.name, wanted, found)})


def salt_versions(attributes: Mapping[str, Any]) -> list[str]:
    """The versions of the salts that an organization has, lowest first."""
    versions = (name.removeprefix(SALT) for name in attributes if name.startswith(SALT) and name != CURRENT_SALT)
    return sorted((one for one in versions if one.isdecimal()), key=int)


def _representation(alias: str, wanted: Mapping[str, Any], found: Mapping[str, Any]) -> Json:
    attributes = dict(found.get("attributes") or {})
    attributes |= {
        MANAGED_ATTRIBUTE: [wanted["managed_by"]],
        PERSONA: [wanted["persona"]],
        ADMINS: list(wanted["admins"]),
    }
    if not wanted["admins"]:
        del attributes[ADMINS]
    if not salt_versions(attributes) and CURRENT_SALT not in attributes and not is_managed(found):
        salt = base64.urlsafe_b64encode(secrets.token_bytes(SALT_BYTES)).decode().rstrip("=")
        attributes |= {f"{SALT}1": [salt], CURRENT_SALT: ["1"]}
    known = {domain["name"]: domain for domain in found.get("domains") or ()}
    return {
        "name": wanted["display_name"],
        "alias": alias,
        "enabled": wanted["enabled"],
        "domains": [known.get(name, {"name": name, "verified": True}) for name in wanted["domains"]],
        "attributes": attributes,
    }
