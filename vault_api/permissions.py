"""Which call needs which permission: the one table. A call that is not in it cannot be made.

The permission is what OPA is asked for; who has it, where, until when and with which assurance is
the policy's business. `event` names the call in the audit, `action` is there the permission itself.
"""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple


class _Call(NamedTuple):
    event: str
    permission: str
    platform: bool = False


class Call(Enum):
    """Everything that can be asked of the vault: on behalf of a partner, or about the platform as a whole."""

    STORE = _Call("credential.store", "connection:link")
    RELEASE = _Call("credential.release", "credential:release")
    READ = _Call("credential.read", "connection:read")
    LIST = _Call("connection.list", "connection:read")
    LINK = _Call("connection.link", "connection:link")
    LINK_FINISH = _Call("connection.callback", "connection:link")
    APPROVE = _Call("connection.approve", "connection:approve")
    REVOKE = _Call("connection.revoke", "connection:revoke")
    OFFERS = _Call("offers.read", "connection:read")
    READ_AUDIT = _Call("audit.read", "connection:read")
    # What a lease holds needs more permissions, one for each of its scopes: see leases/templates.py.
    LEASE_ISSUE = _Call("lease.issue", "credential:release")
    LEASE_RENEW = _Call("lease.renew", "credential:release")
    # One's own; somebody else's needs connection:revoke besides.
    LEASE_REVOKE = _Call("lease.revoke", "credential:release")
    LEASE_READ = _Call("lease.read", "connection:read")
    LEASE_LIST = _Call("lease.list", "connection:read")
    MEMBERS = _Call("member.list", "connection:read")
    MEMBER_GIVE = _Call("member.give", "member:manage")
    MEMBER_TAKE = _Call("member.take", "member:manage")
    MEMBER_REMOVE = _Call("member.remove", "member:manage")
    INVITE = _Call("invitation.make", "member:manage")
    WITHDRAW = _Call("invitation.withdraw", "member:manage")
    # Nobody's permission: an invitation is the right to take it up, and the policy is not asked.
    JOIN = _Call("invitation.accept", "member:join")
    ONBOARDING = _Call("onboarding.read", "partner:manage", platform=True)
    ONBOARD = _Call("invitation.make", "partner:manage", platform=True)
    ONBOARD_WITHDRAW = _Call("invitation.withdraw", "partner:manage", platform=True)
    ALERT_ROUTES = _Call("alert.routes.read", "connection:read")
    ALERT_ROUTE_SET = _Call("alert.route.set", "alert:manage")
    ALERT_ROUTE_DROP = _Call("alert.route.drop", "alert:manage")
    ALERT_TEST = _Call("alert.test", "alert:manage")
    ALERT_LOG = _Call("alert.log.read", "connection:read")
    LEASES_END = _Call("lease.revoke", "lease:revoke", platform=True)
    LEGACY_STATUS = _Call("legacy.read", "audit:view", platform=True)
    PARTNER_DIGEST = _Call("digest.read", "connection:read")
    ROTATE = _Call("key.rotation.begin", "secret:rotate", platform=True)
    ROTATION_PAUSE = _Call("key.rotation.pause", "secret:rotate", platform=True)
    ROTATION_RESUME = _Call("key.rotation.resume", "secret:rotate", platform=True)
    ROTATION_ABORT = _Call("key.rotation.abort", "secret:rotate", platform=True)
    ROTATIONS = _Call("key.rotation.read", "secret:rotate", platform=True)
    CUSTODY = _Call("break_glass.read", "emergency:seal", platform=True)
    CUSTODY_KEEP = _Call("break_glass.seal", "emergency:seal", platform=True)
    CUSTODY_CONFIRM = _Call("break_glass.sealed", "emergency:seal", platform=True)
    CUSTODY_RELEASE = _Call("break_glass.release", "emergency:open", platform=True)
    CENSUS = _Call("key.census", "secret:rotate", platform=True)
    DIGEST = _Call("digest.read", "audit:view", platform=True)
    SIMULATION_CHOICES = _Call("simulation.choices", "partner:simulate", platform=True)
    SIMULATE = _Call("simulation.begin", "partner:simulate")
    SIMULATION_END = _Call("simulation.end", "partner:simulate")

    @property
    def event(self) -> str:
        """The name of the call in the audit."""
        return self.value.event

    @property
    def permission(self) -> str:
        """What OPA is asked for."""
        return self.value.permission

    @property
    def platform(self) -> bool:
        """Whether it is about no single partner."""
        return self.value.platform
