"""The rules that our providers inside Keycloak decide by: which roles are kept apart, and what makes a login riskier.

They are documents that the realm carries as attributes (`ATTRIBUTES`), so that the server has them in
the transaction in which it decides. They come from `policies.yaml` alone, and exceptions to a separation from
`role_bindings.yaml`: one that has ended is not written, and the server looks at its time itself.

`tradepulse.separation`:

    {"exceptions": [{"roles": ["trader"], "rule": "build-or-run", "until": "2026-12-01T18:00:00Z",
                     "user": "a@b.example"}],
     "rules": [{"name": "build-or-run", "roles": ["quant", "trader"]}]}

`tradepulse.risk`; every part may be absent, a window is in seconds:

    {"device_posture": {"claim": "device_compliant", "false": "deny", "missing": "step_up"},
     "failed_mfa": {"action": "lock_and_alert", "count": 5, "window": 600},
     "ip_deny_list": "configs/iam/risky_networks.txt", "new_device": "step_up",
     "travel": {"action": "step_up", "locations": "configs/iam/network_locations.csv", "max_speed": 1000,
                "min_distance": 300}}

where nothing is judged it is `{}`: a realm without the attribute has every login asked for a second factor.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC
from types import MappingProxyType
from typing import Final

from admin_sync.desired.parts import Parts
from admin_sync.holdings import closure, excepted, group_roles
from admin_sync.load.document import POLICIES
from admin_sync.load.schema import Binding, Separation
from admin_sync.model import Json, Ref
from admin_sync.refs import REALM_RULE

SEPARATION: Final = Ref(REALM_RULE, "separation")
RISK: Final = Ref(REALM_RULE, "risk")

ATTRIBUTES: Final[Mapping[str, str]] = MappingProxyType(
    {"separation": "tradepulse.separation", "risk": "tradepulse.risk"}
)
"""The attribute of the realm that carries each document, by its name."""

FIELDS: Final[Mapping[str, Mapping[str, frozenset[str]]]] = MappingProxyType(
    {
        "separation": {"rules": frozenset(), "exceptions": frozenset()},
        "risk": {
            "ip_deny_list": frozenset(),
            "new_device": frozenset(),
            "device_posture": frozenset({"claim", "false", "missing"}),
            "failed_mfa": frozenset({"action", "count", "window"}),
            "travel": frozenset({"action", "locations", "max_speed", "min_distance"}),
        },
    }
)
"""What each document consists of, by its name, and what those of its parts consist of that are mappings."""

FOREIGN: Final = "not_ours"
"""What of a document is none of its fields, or all of it where it is not written as we write it."""


def rules(parts: Parts) -> None:
    """Both documents. A realm that is only watched gets none that its configuration says nothing for."""
    policies = parts.document.policies
    watched = parts.document.roles.environments[parts.environment].existing == "watch"
    documents = (
        (SEPARATION, "segregation_of_duties", policies.segregation_of_duties, _separation(parts)),
        (RISK, "risk", policies.risk.model_fields_set, _risk(parts)),
    )
    for ref, section, said, attrs in documents:
        if said or not watched:
            parts.add(ref, parts.document.at(POLICIES, section, key=True), {**attrs, FOREIGN: None})
        else:
            parts.keep(ref)


def _separation(parts: Parts) -> dict[str, Json]:
    listed = parts.document.policies.segregation_of_duties
    found = sorted({one for rule in listed for one in _exceptions(parts, rule)})
    return {
        "rules": [{"name": rule.name, "roles": sorted(set(rule.roles))} for rule in listed],
        "exceptions": [
            {"roles": list(roles), "rule": rule, "until": until, "user": user} for user, rule, until, roles in found
        ],
    }


def _exceptions(parts: Parts, rule: Separation) -> Iterator[tuple[str, str, str, tuple[str, ...]]]:
    """Who may hold which of the kept apart roles all the same: the person, the rule, until when, the roles."""
    document = parts.document
    for number, binding in enumerate(document.bindings.bindings):
        if parts.environment not in binding.environments or binding.expires is None:
            continue
        if binding.expires <= document.now or not excepted(document, number, rule):
            continue
        roles = sorted(_gives(parts, binding).intersection(rule.roles))
        if roles:
            until = binding.expires.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
            yield binding.subject.user.lower(), rule.name, until, tuple(roles)


def _gives(parts: Parts, binding: Binding) -> set[str]:
    if binding.role is not None:
        return set(closure(parts.document, binding.role))
    return set(group_roles(parts.document, binding.group)) if binding.group is not None else set()


def _risk(parts: Parts) -> dict[str, Json]:
    risk = parts.document.policies.risk
    if risk.environments is not None and parts.environment not in risk.environments:
        return dict.fromkeys(FIELDS["risk"])
    posture, failed = risk.device_posture, risk.failed_mfa
    return {
        "ip_deny_list": risk.ip_deny_list,
        "new_device": risk.new_device,
        "device_posture": posture and {"claim": posture.claim, "missing": posture.missing, "false": posture.unhealthy},
        "failed_mfa": failed
        and {"count": failed.count, "window": int(failed.window.total_seconds()), "action": failed.action},
        "travel": risk.travel and risk.travel.model_dump(),
    }
