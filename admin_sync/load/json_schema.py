"""What each file of `configs/iam` may hold, as JSON Schema (2020-12) for editors. From the same code that loads them.

The loader has the last word: it also knows what names exist and what may not stand together. What the
schema refuses the loader refuses; the reverse does not hold. As `${NAME}` is expanded before anything
is checked, any text may hold one wherever the loader would take its value.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib import resources
from typing import Any, Final

from admin_sync.load.document import FILES
from admin_sync.model import Json

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
_VARIABLE: Final = {"type": "string", "pattern": r"\$\{[A-Za-z_]"}


def file_name(file: str) -> str:
    """`roles.schema.json` for `roles.yaml`."""
    return f"{file.removesuffix('.yaml')}.schema.json"


def schema_of(file: str) -> Json:
    """The schema of one of the files, by its name. Raises KeyError."""
    made = _converted(FILES[file].model_json_schema())
    title = f"configs/iam/{file}"
    return {"$schema": DIALECT, "$id": file_name(file), **made, "title": title}


def schemas() -> dict[str, str]:
    """Every schema as the text of its file, by the file's name."""
    return {file_name(file): json.dumps(schema_of(file), indent=1, ensure_ascii=False) + "\n" for file in FILES}


def published() -> Mapping[str, str]:
    """The schemas that come with the package, by the file's name; equal to `schemas()`, which a test proves."""
    folder = resources.files("admin_sync") / "schemas"
    return {name: (folder / name).read_text(encoding="utf-8") for name in map(file_name, FILES)}


def _converted(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_converted(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    # A discriminator is OpenAPI's, and a variable could stand in its place.
    kept = {name: value for name, value in schema.items() if name not in {"discriminator", "title", "default"}}
    if "discriminator" in schema:
        kept["anyOf"] = kept.pop("oneOf")
    if "patternProperties" in kept:
        kept = _by_key(kept)
    # `properties` and `$defs` are names and not keywords, and keys are never expanded.
    made = {
        name: value
        if name == "propertyNames"
        else {key: _converted(one) for key, one in value.items()}
        if name in {"properties", "$defs"}
        else _converted(value)
        for name, value in kept.items()
    }
    return _or_variable(made)


def _by_key(schema: dict[str, Any]) -> dict[str, Any]:
    """A mapping whose keys have a form: any other key is refused instead of being left unchecked."""
    ((pattern, value),) = schema.pop("patternProperties").items()
    keys = {**schema.get("propertyNames", {}), "pattern": pattern}
    return {**schema, "propertyNames": keys, "additionalProperties": value}


def _or_variable(schema: dict[str, Any]) -> dict[str, Any]:
    described = {name: schema.pop(name) for name in ("description",) if name in schema and "enum" in schema}
    words = "const" in schema or "enum" in schema
    shaped = schema.get("type") == "string" and schema.keys() & {"pattern", "minLength", "maxLength", "format"}
    if not (words or shaped) or not isinstance(schema.get("const", ""), str):
        return {**described, **schema}
    return {**described, "anyOf": [schema, dict(_VARIABLE)]}
