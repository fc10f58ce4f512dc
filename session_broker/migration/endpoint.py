"""The bridge's public key, for Keycloak to fetch. The proxy leads nobody here."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from identity.problem import not_found
from session_broker.broker import broker_of
from session_broker.requests import json_answer


async def bridge_keys(request: Request) -> Response:
    """A key set (RFC 7517)."""
    migration = broker_of(request).migration
    if migration is None:
        raise not_found()
    return json_answer(migration.bridge.key_set())
