"""What the policy was told about a requestor, as JSON that a row keeps and a worker asks with again.

It holds names and roles, as the audit line of the issue does, and no token. It is removed when the lease ends.
"""

from __future__ import annotations

from typing import Any

import orjson

from identity.principal import AssuranceLevel, Membership, Principal


def holder_of(principal: Principal) -> str:
    """The facts of a principal as JSON."""
    return orjson.dumps(
        {
            "subject": principal.subject,
            "email": principal.email,
            "kind": principal.kind,
            "environment": principal.environment,
            "issuer": principal.issuer,
            "client": principal.client,
            "groups": sorted(principal.groups),
            "assurance_level": principal.assurance_level.value,
            "acr": principal.acr,
            "amr": list(principal.amr),
            "auth_time": principal.auth_time,
            "session": principal.session,
            "organizations": {
                alias: {"id": membership.id, "roles": sorted(membership.roles), "lent": dict(membership.lent)}
                for alias, membership in principal.organizations.items()
            },
        }
    ).decode()


def principal_of(holder: str) -> Principal:
    """The principal that `holder_of` wrote down. Raises ValueError for anything else."""
    facts: dict[str, Any] = orjson.loads(holder)
    try:
        return Principal(
            subject=facts["subject"],
            email=facts["email"],
            kind=facts["kind"],
            environment=facts["environment"],
            issuer=facts["issuer"],
            client=facts["client"],
            groups=frozenset(facts["groups"]),
            assurance_level=AssuranceLevel(facts["assurance_level"]),
            acr=facts["acr"],
            amr=tuple(facts["amr"]),
            auth_time=facts["auth_time"],
            session=facts["session"],
            # Nobody presents a token here; what ends is decided by the policy and by the lease.
            expires_at=0,
            organizations={
                # What was written down before roles could end says nothing of ends.
                alias: Membership(
                    alias, membership["id"], frozenset(membership["roles"]), dict(membership.get("lent", {}))
                )
                for alias, membership in facts["organizations"].items()
            },
            token_name="",
        )
    except (KeyError, TypeError, AttributeError):
        raise ValueError("the facts about the holder of a lease are not whole") from None
