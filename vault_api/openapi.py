"""The OpenAPI document: pieces that endpoints share, and the hot route that FastAPI does not know of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

_PROBLEM = {
    "description": "A problem (RFC 9457): `type` is stable, `detail` says the next step",
    "content": {
        "application/problem+json": {
            "schema": {
                "type": "object",
                "required": ["type", "title", "status", "detail", "trace_id"],
                "properties": {
                    "type": {"type": "string", "format": "uri"},
                    "title": {"type": "string"},
                    "status": {"type": "integer"},
                    "detail": {"type": "string"},
                    "trace_id": {"type": "string"},
                },
            }
        }
    },
}


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The problem answers of an endpoint: those that every one has, and `statuses`."""
    return dict.fromkeys(sorted({400, 401, 403, 404, 408, 413, 503, *statuses}), _PROBLEM)


def path_names(*names: str) -> list[dict[str, Any]]:
    """Path parameters. Their form is in no schema that is enforced: a name nobody can have is a 404."""
    return [{"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in names]


def header(name: str, description: str) -> dict[str, Any]:
    """An optional request header."""
    return {"name": name, "in": "header", "required": False, "description": description, "schema": {"type": "string"}}


def query(name: str, kind: str, description: str) -> dict[str, Any]:
    """An optional query parameter."""
    return {"name": name, "in": "query", "required": False, "description": description, "schema": {"type": kind}}


def describe(app: FastAPI, plain_routes: Mapping[str, Mapping[str, Any]]) -> None:
    """Makes `app.openapi()` know the bearer scheme and the POST routes that are not FastAPI's own."""

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            made = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
            for path, operation in plain_routes.items():
                made["paths"].setdefault(path, {})["post"] = {**operation, "security": [{"bearer": []}]}
            for path, operations in made["paths"].items():
                for operation in operations.values():
                    operation.setdefault("security", [{"bearer": []}] if path.startswith("/v1/") else [])
            schemes = made.setdefault("components", {}).setdefault("securitySchemes", {})
            schemes["bearer"] = {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}
            app.openapi_schema = made
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]
