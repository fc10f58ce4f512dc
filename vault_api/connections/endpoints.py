"""Connections over HTTP: parse, call one function, render.

The release is the hot path and is a plain Starlette route inside the FastAPI application: FastAPI's
own routing and dependency layer costs about as much as everything else the release does. Its entry in
the OpenAPI document is `RELEASE_OPENAPI`.
"""

from __future__ import annotations

from typing import Any

import orjson
from fastapi import APIRouter, Request, Response
from pydantic import BaseModel
from starlette.routing import Route

from vault_api import names
from vault_api.connections.conditions import etag, expected_version, idempotency_key
from vault_api.connections.schemas import (
    Connections,
    Credential,
    CredentialStored,
    ReleasedToken,
    TokenSet,
    parse_token_set,
)
from vault_api.openapi import header, path_names, problems, query
from vault_api.paging import name_after, page_size
from vault_api.permissions import Call
from vault_api.vault import vault_of

_CONNECTIONS = "/v1/partners/{partner}/connections"
_CREDENTIAL = _CONNECTIONS + "/{connection}/credential"
RELEASE_PATH = _CREDENTIAL + "/release"

router = APIRouter(tags=["connections"])


@router.put(
    _CREDENTIAL,
    summary="Store a token set",
    description="The first one of a connection creates the connection and needs `If-None-Match: *`; every other one "
    "replaces the version named in `If-Match`. What was stored before is gone.",
    responses={200: {"model": CredentialStored}, 201: {"model": CredentialStored}, **problems(409, 412, 422, 428, 500)},
    openapi_extra={
        "requestBody": {"required": True, "content": {"application/json": {"schema": TokenSet.model_json_schema()}}},
        "parameters": [
            *path_names("partner", "connection"),
            header("If-None-Match", "`*` for the first token set"),
            header("If-Match", "the ETag of the version to replace"),
            header("Idempotency-Key", "makes a repetition of this very store answer what the first one did"),
        ],
    },
)
async def store(request: Request) -> Response:
    """Stores a token set."""
    vault = vault_of(request)
    partner, connection = _names(request)
    caller = await vault.gate.caller(request, Call.STORE, partner, connection)
    async with vault.gate.recording(caller):
        expected = expected_version(request.headers)
        key = idempotency_key(request.headers, caller.principal.subject)
        tokens = parse_token_set(await request.body())
    admitted = await vault.gate.admit(caller, {"broker": tokens.broker})
    result = await vault.connections.store(admitted, connection, tokens, expected=expected, idempotency=key)
    headers = {"ETag": etag(result.stored.version)}
    if result.replayed:
        headers["Idempotency-Replayed"] = "true"
    return _json(result.stored, status=201 if result.created else 200, headers=headers)


@router.get(
    _CREDENTIAL,
    summary="Describe a credential",
    description="Everything but the tokens; the ETag is what a store needs.",
    responses={200: {"model": Credential}, **problems()},
    openapi_extra={"parameters": path_names("partner", "connection")},
)
async def describe(request: Request) -> Response:
    """Describes a credential."""
    vault = vault_of(request)
    partner, connection = _names(request)
    admitted = await vault.gate.admit(await vault.gate.caller(request, Call.READ, partner, connection))
    found = await vault.connections.describe(admitted, connection)
    return _json(found, headers={} if found.version is None else {"ETag": etag(found.version)})


@router.get(
    _CONNECTIONS,
    summary="List connections",
    responses={200: {"model": Connections}, **problems(422)},
    openapi_extra={
        "parameters": [
            *path_names("partner"),
            query("after", "string", "`next` of the page before"),
            query("limit", "integer", "1 to 500, by default 100"),
        ]
    },
)
async def list_connections(request: Request) -> Response:
    """Lists a partner's connections."""
    vault = vault_of(request)
    caller = await vault.gate.caller(request, Call.LIST, str(request.path_params["partner"]))
    admitted = await vault.gate.admit(caller)
    async with vault.gate.recording(admitted):
        after = name_after(request.query_params, names.is_connection)
        limit = page_size(request.query_params)
    found = await vault.connections.list(admitted, after=after, limit=limit)
    following = found[-1].connection if len(found) == limit else None
    return _json(Connections(connections=tuple(found), next=following))


async def release(request: Request) -> Response:
    """Releases an access token."""
    vault = vault_of(request)
    partner, connection = _names(request)
    caller = await vault.gate.caller(request, Call.RELEASE, partner, connection)
    admitted = await vault.connections.admit_release(caller, connection)
    released = await vault.connections.release(admitted, connection)
    body = {
        "connection": released.connection,
        "broker": released.broker,
        "version": released.version,
        "token_type": "Bearer",
        "access_token": released.token.text(),
        "expires_at": released.expires_at,
        "scopes": released.scopes,
    }
    return Response(orjson.dumps(body), media_type="application/json", headers={"ETag": etag(released.version)})


release_route = Route(RELEASE_PATH, release, methods=["POST"])

RELEASE_OPENAPI: dict[str, Any] = {
    "tags": ["connections"],
    "summary": "Release the access token",
    "description": "Answers the access token and never the refresh token. Needs no body. An expired token is a "
    "`reconnect-needed` problem. Every release is in the partner's audit trail before it is answered.",
    "operationId": "release",
    "parameters": path_names("partner", "connection"),
    "responses": {
        "200": {
            "description": "The access token",
            "content": {"application/json": {"schema": ReleasedToken.model_json_schema()}},
        },
        **{str(status): answer for status, answer in problems(409, 500).items()},
    },
}


def _names(request: Request) -> tuple[str, str]:
    return str(request.path_params["partner"]), str(request.path_params["connection"])


def _json(answer: BaseModel, *, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(answer.model_dump_json(), status, headers, media_type="application/json")
