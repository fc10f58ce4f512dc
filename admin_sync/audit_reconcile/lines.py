"""A stored event as the audit line that Keycloak's listener would have written, as far as the store tells.

The store knows neither level nor methods of the session, so those stay empty; who was meant is looked up.
The names are those of the extension's `EventNames`, and only the details leave that leave there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import orjson

from admin_sync.audit_reconcile.stored import Stored
from admin_sync.audit_reconcile.written import stamp
from admin_sync.model import Json
from identity.audit.event import AuditEvent

WAY: Final = "reconcile"
"""What such a line says in `recovered_by`."""

NAMES: Final = {
    "UPDATE_CREDENTIAL": "credential.registered",
    "REMOVE_CREDENTIAL": "credential.removed",
    "CODE_TO_TOKEN": "token.issued",
    "OAUTH2_DEVICE_CODE_TO_TOKEN": "token.issued.device",
    "OAUTH2_EXTENSION_GRANT": "token.issued.extension",
    "JWT_AUTHORIZATION_GRANT": "token.issued.assertion",
    "REFRESH_TOKEN": "token.refreshed",
    "TOKEN_EXCHANGE": "token.exchanged",
    "REVOKE_GRANT": "token.revoked",
    "INTROSPECT_TOKEN": "token.introspected",
    "CLIENT_LOGIN": "client.login",
    "IMPERSONATE": "impersonation.started",
    "USER_SESSION_DELETED": "session.deleted",
    "USER_DISABLED_BY_TEMPORARY_LOCKOUT": "user.locked.temporarily",
    "USER_DISABLED_BY_PERMANENT_LOCKOUT": "user.locked.permanently",
    "FEDERATED_IDENTITY_LINK": "identity.linked",
    "REMOVE_FEDERATED_IDENTITY": "identity.unlinked",
    "IDENTITY_PROVIDER_LOGIN": "broker.login",
    "IDENTITY_PROVIDER_FIRST_LOGIN": "broker.login.first",
    "IDENTITY_PROVIDER_POST_LOGIN": "broker.login.post",
}

_ACTIONS: Final = {
    "LOGIN": "authenticate",
    "CLIENT_LOGIN": "authenticate",
    "LOGOUT": "logout",
    "UPDATE_CREDENTIAL": "register",
    "REMOVE_CREDENTIAL": "remove",
}
_DETAILS: Final = (
    *("auth_method", "client_auth_method", "credential_type", "custom_required_action", "grant_type"),
    *("identity_provider", "impersonator", "impersonator_realm"),
)
_ERROR: Final = "_ERROR"

Name = Callable[[str], str]
"""The name of a user by id: an e-mail address or a client's id, the id itself for somebody who is gone."""


def line(event: Stored, realm: str, name: Name) -> AuditEvent:
    """The missing line of an event."""
    return _user(event, realm, name) if event.kind == "user" else _admin(event, realm, name)


def _user(event: Stored, realm: str, name: Name) -> AuditEvent:
    body, kind = event.body, str(event.body.get("type", "UNKNOWN"))
    base = kind.removesuffix(_ERROR)
    dotted = NAMES.get(base, base.lower())
    details = body.get("details") or {}
    about = {"realm": realm, "client": body.get("clientId"), **{key: details.get(key) for key in _DETAILS}}
    return AuditEvent(
        event=dotted + (".error" if kind.endswith(_ERROR) else ""),
        outcome="failure" if body.get("error") else "success",
        actor=name(body["userId"]) if body.get("userId") else None,
        action=_ACTIONS.get(base, dotted),
        resource=_resource(about),
        reason=body.get("error"),
        session=body.get("sessionId"),
        ip=body.get("ipAddress"),
        event_id=event.id,
        recovered_by=WAY,
        occurred_at=stamp(event.time),
    )


def _admin(event: Stored, realm: str, name: Name) -> AuditEvent:
    body, who = event.body, event.body.get("authDetails") or {}
    operation = str(body.get("operationType", "UNKNOWN")).lower()
    return AuditEvent(
        event=f"admin.{str(body.get('resourceType', 'UNKNOWN')).lower()}.{operation}",
        outcome="failure" if body.get("error") else "success",
        actor=name(who["userId"]) if who.get("userId") else None,
        action=operation,
        resource=_resource({"realm": realm, "path": body.get("resourcePath")}),
        reason=body.get("error"),
        ip=who.get("ipAddress"),
        event_id=event.id,
        recovered_by=WAY,
        occurred_at=stamp(event.time),
    )


def _resource(about: dict[str, Json]) -> str:
    """`name=value` pairs in the order of their names; a value that could look like another pair is quoted."""
    return " ".join(f"{key}={_unmistakable(str(value))}" for key, value in sorted(about.items()) if value)


def _unmistakable(value: str) -> str:
    plain = all(char != '"' and char.isprintable() and not char.isspace() for char in value)
    return value if plain else orjson.dumps(value).decode()
