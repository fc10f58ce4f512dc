"""The OpenAPI document: what every endpoint answers besides its own, and the bearer scheme."""

from __future__ import annotations

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
    return dict.fromkeys(sorted({400, 401, 403, 404, 408, 413, 422, 503, *statuses}), _PROBLEM)


def describe(app: FastAPI) -> None:
    """Makes `app.openapi()` know the bearer scheme."""

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            made = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
            for path, operations in made["paths"].items():
                for operation in operations.values():
                    operation["security"] = [{"bearer": []}] if path.startswith("/access/") else []
            schemes = made.setdefault("components", {}).setdefault("securitySchemes", {})
            schemes["bearer"] = {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}
            app.openapi_schema = made
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]
