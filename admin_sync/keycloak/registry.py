"""Every kind of object that admin-sync knows, and the order in which they depend on each other."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from admin_sync.keycloak.adapter import Adapter
from admin_sync.keycloak.base.kinds import BASE_ADAPTERS, BASE_ORDER
from admin_sync.keycloak.iam import IAM_ADAPTERS
from admin_sync.refs import (
    BINDING,
    CLIENT,
    CLIENT_ROLE,
    IAM_ORDER,
    ORGANIZATION,
    ORGANIZATION_GROUP,
    PROVIDER_MAPPER,
    RIGHT,
    ROLE,
    USER,
)

ORDER: Final = (*BASE_ORDER, *IAM_ORDER)

ADAPTERS: Final[Mapping[str, Adapter]] = MappingProxyType(
    {adapter.kind: adapter for adapter in (*BASE_ADAPTERS, *IAM_ADAPTERS)}
)

SIDE_BY_SIDE: Final = frozenset(
    {ROLE, CLIENT, CLIENT_ROLE, PROVIDER_MAPPER, ORGANIZATION, ORGANIZATION_GROUP, USER, BINDING, RIGHT}
)
"""Kinds whose objects do not depend on each other, so that several may be written at once."""
