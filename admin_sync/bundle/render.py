"""From a `PolicySource` to the data document that the rules read. Pure, and the same bytes every time.

Whatever can be worked out once is worked out here and not in every decision: roles are expanded
through their includes, times of day become minutes, and `routes` says for each permission which
roles give it and under what conditions. `policy/README.md` describes the document key by key.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from hashlib import sha256

from admin_sync.bundle.check import findings
from admin_sync.bundle.errors import SourceInvalid
from admin_sync.bundle.routes import expanded, partner_routes, routes
from admin_sync.bundle.source import WEEKDAYS, Grant, PolicySource, Window, minute_of_day
from admin_sync.model import Json

NEVER = 253402300799
"""The last second of the year 9999: when a grant without an end ends, so that the rules need only compare."""

_OPA_WEEKDAYS = dict(
    zip(WEEKDAYS, ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"), strict=True)
)


def render(source: PolicySource) -> dict[str, Json]:
    """The document at `data.tradepulse.iam` without its `meta`. Raises SourceInvalid."""
    if problems := findings(source):
        raise SourceInvalid("the policy does not hang together:\n  " + "\n  ".join(problems))
    sensitive = source.assurance.sensitive
    return {
        "permissions": {
            name: {"sensitive": permission.sensitive, "partner_scoped": permission.partner_scoped}
            for name, permission in source.permissions.items()
        },
        "roles": {name: {"permissions": sorted(expanded(source.roles, name))} for name in source.roles},
        "routes": routes(source),
        "partner_routes": partner_routes(source),
        "partner_roles": {
            name: {"permissions": sorted(role.permissions)} for name, role in source.partner_roles.items()
        },
        "partners": {
            alias: {"persona": partner.persona, "brokers": sorted(partner.brokers), "roles": sorted(partner.roles)}
            for alias, partner in source.partners.items()
        },
        "assurance": {
            "interactive": source.assurance.interactive,
            "sensitive": {"level": sensitive.level, "max_age": sensitive.max_age},
            "roles": dict(source.assurance.roles),
        },
        "windows": {role: _window(window) for role, window in source.windows.items()},
        "environments": {
            name: {"deny_roles_from": sorted(environment.deny_roles_from)}
            for name, environment in source.environments.items()
        },
        "grants": _grants(source.grants, source.environments),
        "barred": {email.lower(): True for email in sorted(source.barred)},
        "federated_roles": {name: sorted(source.federated_roles.get(name, ())) for name in source.environments},
        "clients": {
            name: {"environments": sorted(client.environments), "roles": sorted(client.roles)}
            for name, client in source.clients.items()
        },
        "vault": _vault(source),
    }


def canonical(document: Json) -> bytes:
    """JSON with sorted keys and no spaces, so that equal documents are equal bytes."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def digest(data: Mapping[str, Json], emergency_roles: Iterable[str], rules: Mapping[str, bytes]) -> str:
    """SHA-256 in hex over all that decides: the data, the emergency roles and the rules by file name.

    When, how long and whether frozen are not in it, so that an equal digest means that nothing has
    changed since the last publication.
    """
    parts = {
        "data": sha256(canonical(data)).hexdigest(),
        "emergency_roles": sorted(emergency_roles),
        "rules": {name: sha256(text).hexdigest() for name, text in rules.items()},
    }
    return sha256(canonical(parts)).hexdigest()


def _vault(source: PolicySource) -> dict[str, Json]:
    """What no rule reads: the brokers that the vault speaks to, and how each partner wants its connections kept."""
    return {
        "brokers": {
            name: {
                "display_name": broker.display_name,
                "client_id": broker.client_id,
                "secret": broker.secret,
                "issuer": broker.issuer,
                "authorize_url": broker.authorize_url,
                "token_url": broker.token_url,
                "revoke_url": broker.revoke_url,
                "scopes": list(broker.scopes),
                "refresh": {
                    "before_expiry": broker.before_expiry,
                    "rotates": broker.rotates_refresh_token,
                    "never_expires": broker.never_expires,
                    "relink_every": broker.relink_every,
                },
            }
            for name, broker in source.brokers.items()
        },
        "partners": {
            alias: {
                "approve_connections": partner.approve_connections,
                "proactive_refresh": partner.proactive_refresh,
                "usual_alerts": sorted(partner.usual_alerts),
                "alert_routes": [
                    {
                        "alerts": sorted(route.alerts),
                        "email": route.email,
                        "webhook": route.webhook,
                        "secret": route.secret,
                    }
                    for route in partner.alert_routes
                ],
            }
            for alias, partner in source.partners.items()
        },
    }


def _window(window: Window) -> dict[str, Json]:
    return {
        "environments": sorted(window.environments),
        "weekdays": [_OPA_WEEKDAYS[day] for day in WEEKDAYS if day in window.weekdays],
        "opens": minute_of_day(window.opens),
        "closes": minute_of_day(window.closes),
        "timezone": window.timezone,
    }


def _grants(grants: Iterable[Grant], environments: Iterable[str]) -> dict[str, Json]:
    """When each role ends, by environment and person, because that is the order in which a decision asks.

    Of several grants of one role the longest counts.
    """
    ends: dict[str, dict[str, dict[str, int]]] = {environment: {} for environment in environments}
    for grant in grants:
        roles = ends[grant.environment].setdefault(grant.email.lower(), {})
        roles[grant.role] = max(roles.get(grant.role, 0), grant.not_after or NEVER)
    return dict(ends)
