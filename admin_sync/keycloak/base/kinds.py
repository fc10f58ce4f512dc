"""The kinds of the base realm: their adapters, and the order in which they depend on each other."""

from __future__ import annotations

from typing import Final

from admin_sync.keycloak.adapter import Adapter
from admin_sync.keycloak.base.builtin_client import BuiltinClientAdapter
from admin_sync.keycloak.base.client_policy import ClientPolicyAdapter, ClientProfileAdapter
from admin_sync.keycloak.base.client_scope import ClientScopeAdapter
from admin_sync.keycloak.base.events import EventsAdapter
from admin_sync.keycloak.base.flow import FlowAdapter, FlowBindingAdapter
from admin_sync.keycloak.base.realm import RealmAdapter
from admin_sync.keycloak.base.required_action import RequiredActionAdapter
from admin_sync.keycloak.base.user_profile import UserProfileAdapter

BASE_ADAPTERS: Final[tuple[Adapter, ...]] = (
    RealmAdapter(),
    UserProfileAdapter(),
    EventsAdapter(),
    BuiltinClientAdapter(),
    ClientProfileAdapter,
    ClientPolicyAdapter,
    ClientScopeAdapter(),
    RequiredActionAdapter(),
    FlowAdapter(),
    FlowBindingAdapter(),
)

BASE_ORDER: Final = [adapter.kind for adapter in BASE_ADAPTERS]
"""The kinds in dependency order; those of `admin_sync.keycloak.iam` come after them."""
