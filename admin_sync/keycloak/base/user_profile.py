"""The user profile: what an account holds and who may change it.

The export carries it as a component once it differs from Keycloak's default, which spares a request.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import orjson

from admin_sync.diff import Change
from admin_sync.keycloak.adapter import Reader, Writer
from admin_sync.model import Json, Ref, Resource

KIND = "user_profile"
REF = Ref(KIND, "user-profile")

_COMPONENT = "org.keycloak.userprofile.UserProfileProvider"
_CONFIG = "kc.user.profile.config"


def normal(profile: Mapping[str, Json]) -> dict[str, Json]:
    """The profile in one form: permissions and roles as sorted lists, absent parts as empty ones."""
    return {
        "unmanagedAttributePolicy": profile.get("unmanagedAttributePolicy"),
        "attributes": [_attribute(attribute) for attribute in profile.get("attributes", [])],
        "groups": list(profile.get("groups", [])),
    }


def _attribute(attribute: Mapping[str, Json]) -> dict[str, Json]:
    result = {
        **attribute,
        "validations": attribute.get("validations", {}),
        "multivalued": attribute.get("multivalued", False),
    }
    for name in ("permissions", "required"):
        if name in attribute:
            result[name] = {who: sorted(what) for who, what in attribute[name].items() if what}
    return result


class UserProfileAdapter:
    """Reads and writes the user profile of a realm."""

    kind = KIND

    def read(self, reader: Reader) -> Iterable[Resource]:
        """The profile; empty while it is still Keycloak's default."""
        if reader.representation is None:
            return
        for component in reader.export.get("components", {}).get(_COMPONENT, []):
            text = component.get("config", {}).get(_CONFIG)
            if text:
                yield Resource(REF, normal(orjson.loads(text[0])), server_id=component.get("id"))
                return
        yield Resource(REF, {})

    def write(self, writer: Writer, change: Change) -> None:
        """Replace the profile."""
        if change.after is None:
            raise ValueError("a user profile is not deleted")
        body = {name: value for name, value in change.after.attrs.items() if value is not None}
        writer.connection.put(f"{writer.path}/users/profile", body)
