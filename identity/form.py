"""A form that was sent, read strictly: every field once, and not more of them than a form has."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import parse_qsl

from starlette.requests import Request

_FORM = "application/x-www-form-urlencoded"
_MAX_FIELDS = 32


class BadForm(ValueError):
    """The body is not a form in which every field has one value."""


async def form_of(request: Request, *, max_fields: int = _MAX_FIELDS) -> Mapping[str, str]:
    """The fields of a form, in UTF-8. Raises `BadForm`; RFC 6749 section 3.2 has no field twice, nor have our pages."""
    types = request.headers.getlist("content-type")
    if len(types) != 1 or types[0].partition(";")[0].strip().lower() != _FORM:
        raise BadForm(f"the body must be {_FORM}")
    try:
        text = (await request.body()).decode("ascii")
        if not text:
            return {}
        pairs = parse_qsl(text, keep_blank_values=True, strict_parsing=True, errors="strict", max_num_fields=max_fields)
    except ValueError:
        raise BadForm("the body is no form") from None
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise BadForm("a field is given twice")
    return fields
