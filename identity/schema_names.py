"""Where in a request a mistake is, in words of our own schema only, never in the caller's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastapi import FastAPI


def location(app: FastAPI, path: Sequence[str | int]) -> list[str | int]:
    """A path into the request. A key that our schema does not know is the caller's text: left out."""
    names = _schema_names(app)
    return [step if isinstance(step, int) or step in names else "?" for step in path]


def _schema_names(app: FastAPI) -> frozenset[str]:
    """Every field and parameter name of the app's own OpenAPI document."""
    known: frozenset[str] | None = getattr(app.state, "problem_names", None)
    if known is None:
        known = frozenset({"body", "query", "path", "header", "cookie", *_names_in(app.openapi())})
        app.state.problem_names = known
    return known


def _names_in(document: Any) -> set[str]:
    found: set[str] = set()
    if isinstance(document, dict):
        properties = document.get("properties")
        if isinstance(properties, dict):
            found.update(properties)
        if isinstance(document.get("in"), str) and isinstance(document.get("name"), str):
            found.add(document["name"])
        for value in document.values():
            found |= _names_in(value)
    elif isinstance(document, list):
        for value in document:
            found |= _names_in(value)
    return found
