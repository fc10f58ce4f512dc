"""Pages: Jinja2 with everything escaped, one frame around all, and a fragment of it for htmx."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse

from identity.principal import AssuranceLevel
from identity.trace import trace_id
from workspace.navigation import entries
from workspace.session.sessions import Session

_PROVED: Final = {
    AssuranceLevel.AAL1: "password only",
    AssuranceLevel.AAL2: "two factors",
    AssuranceLevel.AAL3: "security key",
}
_UNITS: Final = ((86_400, "d"), (3600, "h"), (60, "min"))

_templates: Final = Environment(
    loader=PackageLoader("workspace", "templates"),
    autoescape=True,
    # A name that is misspelt in a page is an error and no empty place.
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def page(
    request: Request, template: str, session: Session | None = None, *, status: int = 200, **values: Any
) -> HTMLResponse:
    """A page as a response. `values` are the template's own; the frame's are `session`, `navigation` and `path`."""
    shown = {
        "session": session,
        "navigation": entries(session.principal) if session is not None else (),
        "path": request.url.path,
        "notice": session.notice if session is not None else None,
        "trace": trace_id(),
        "presence": session is not None and _stays(values.get("offers")),
        **values,
    }
    return HTMLResponse(_templates.get_template(template).render(shown), status)


def _stays(offers: object) -> bool:
    """Whether a page is one of a live desk, whose session is renewed while it is open (docs/sessions.md)."""
    return isinstance(offers, Mapping) and offers.get("proactive_refresh") is True


def instant(value: str | float | datetime | None) -> datetime | None:
    """A time as services write it (RFC 3339, or unix seconds); None for none, and for what is no time."""
    if value is None or value == "":
        return None
    try:
        if isinstance(value, datetime):
            return value.astimezone(UTC)
        if isinstance(value, int | float):
            return datetime.fromtimestamp(value, UTC)
        return datetime.fromisoformat(value).astimezone(UTC)
    except (ValueError, OverflowError, OSError):
        return None


def day_and_time(value: str | float | datetime | None) -> str:
    """A time for people, in UTC: `23 Nov 2026, 07:15`."""
    found = instant(value)
    return "-" if found is None else f"{found.day} {found:%b %Y, %H:%M}"


def distance(value: str | float | datetime | None) -> str:
    """How far a time is from now: `in 3 h`, `5 min ago`."""
    found = instant(value)
    if found is None:
        return "-"
    seconds = found.timestamp() - time.time()
    size = abs(seconds)
    text = next((f"{round(size / unit)} {name}" for unit, name in _UNITS if size >= unit), None)
    if text is None:
        return "now"
    return f"in {text}" if seconds > 0 else f"{text} ago"


def proved(level: AssuranceLevel) -> str:
    """What a login of this level proved, for people."""
    return _PROVED[level]


def timestamp(value: str | float | datetime | None) -> str:
    """A time for machines (RFC 3339), as `<time datetime>` wants it; empty for none."""
    found = instant(value)
    return "" if found is None else found.isoformat(timespec="seconds")


_templates.filters.update(day_and_time=day_and_time, distance=distance, proved=proved, timestamp=timestamp)
