"""What clients prove themselves with: how many hold nothing, a key, or a secret that somebody has to rotate."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Final

from admin_sync.desired import realm_name
from admin_sync.measures.subject import Subject
from admin_sync.model import Current, Json
from admin_sync.static_secrets import FEDERATED, KEYS, SECRETS, confidential

_SORTS: Final[Mapping[str, str]] = {
    FEDERATED: "federated",
    **dict.fromkeys(KEYS, "key"),
    **dict.fromkeys(SECRETS, "static_secret"),
}


def credentials_of_clients(subject: Subject) -> Mapping[str, Json]:
    """The numbers of every realm and of all together. Raises InvalidInput, Misconfigured and KeycloakProblem.

    Only clients with a service account count: they act by themselves. `federated_share` is the share of those whose
    platform vouches for them (workload identity), `secretless_share` that of those without a static secret; both are
    between 0 and 1, None where there is no such client. `static_secrets` names every client that has one, also those
    that people log in with.
    """
    realms: dict[str, Json] = {}
    together: Counter[str] = Counter()
    for environment in subject.environments():
        current = subject.session.gateway(environment).read(realm_name(subject.document, environment))
        counted = _counted(current)
        together.update(counted)
        secrets = [one.ref.name for one in confidential(current) if one.attrs.get("authenticator") in SECRETS]
        realms[current.realm] = {**_numbers(counted), "static_secrets": secrets}
    return {**_numbers(together), "realms": realms}


def _counted(current: Current) -> Counter[str]:
    return Counter(
        _SORTS.get(str(one.attrs.get("authenticator")), "other")
        for one in confidential(current)
        if one.attrs.get("service_account")
    )


def _numbers(counted: Counter[str]) -> dict[str, Json]:
    total = counted.total()
    return {
        "service_accounts": total,
        **{sort: counted[sort] for sort in ("federated", "key", "static_secret", "other")},
        "federated_share": round(counted["federated"] / total, 4) if total else None,
        "secretless_share": round((counted["federated"] + counted["key"]) / total, 4) if total else None,
    }
