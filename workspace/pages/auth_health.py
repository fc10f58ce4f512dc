"""How logins go: the dashboard, the report of each day, the week of the vault. And the question after a login."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Request
from starlette.responses import RedirectResponse, Response

from identity.form import form_of
from workspace.auth_health import words
from workspace.auth_health.charts import charts
from workspace.pages.signed_in import Person
from workspace.render import page
from workspace.service import Workspace, workspace_of
from workspace.upstream.answer import Refused

router = APIRouter(include_in_schema=False)

Here = Annotated[Workspace, Depends(workspace_of)]

LIVE_SECONDS: Final = 15
_REPORTS: Final = 14
"""Days whose reports are offered."""


@router.get("/auth-health")
async def dashboard(
    request: Request, person: Person, here: Here, *, hours: str = "24", environment: str = "all", tables: str = ""
) -> Response:
    """The figures of a period up to now. With scripts it is renewed by itself."""
    period = int(hours) if hours in {str(one) for one, _ in words.PERIODS} else 24
    query = {"hours": str(period), "environment": environment}
    try:
        found = await here.access.get(person.token, "auth-health", query=query)
    except Refused as refused:
        if refused.status != 422:
            raise
        environment = "all"
        found = await here.access.get(person.token, "auth-health", query={"hours": str(period)})
    today = datetime.now(UTC).date()
    return page(
        request,
        "auth_health.html",
        person,
        found=found,
        totals=found["totals"],
        charts=charts(found),
        words=words,
        hours=period,
        environment=environment,
        tables=tables == "yes",
        live_seconds=LIVE_SECONDS,
        now=datetime.now(UTC),
        days=[today - timedelta(days=back) for back in range(_REPORTS)],
    )


@router.get("/auth-health/reports/{day}.{form}")
async def report(day: str, form: str, person: Person, here: Here) -> Response:
    """The report of a day as a file: Markdown, or a page of HTML."""
    known = {"md": ("markdown", "text/markdown"), "html": ("html", "text/html")}
    if form not in known or not _is_day(day):
        raise Refused(404, "not-found", "There is no such report", "Choose one from the auth health page.", {})
    name, kind = known[form]
    found = await here.access.get(person.token, "auth-health", "reports", day)
    return Response(
        found[name],
        media_type=f"{kind}; charset=utf-8",
        # It has styles of its own, which no page of ours may have: it is a file, to be opened outside.
        headers={"Content-Disposition": f'attachment; filename="auth-health-{day}.{form}"'},
    )


@router.get("/auth-health/vault")
async def vault_week(request: Request, person: Person, here: Here) -> Response:
    """The vault's digest of the last seven days, over all partners."""
    found = await here.vault.get(person.token, "compliance", "digest")
    return page(request, "auth_health_vault.html", person, digest=found, rows=[_week(one) for one in found["partners"]])


@router.post("/pulse")
async def pulse(request: Request, person: Person, here: Here) -> Response:
    """An answer to the question on the first page, or none."""
    form = await form_of(request)
    score = form.get("score", "")
    said = form.get("words", "").strip()[:500]
    if "later" in form:
        body: dict[str, Any] = {"score": None}
    elif score in {"1", "2", "3", "4", "5"}:
        body = {"score": int(score), "words": said or None}
    else:
        await here.sessions.say(person, "Choose one of the five, or “Rather not”.")
        return RedirectResponse("/", 303)
    try:
        await here.access.post(person.token, "pulse", body=body)
    except Refused as refused:
        if refused.status != 409:
            raise
    if "later" not in form:
        await here.sessions.say(person, "Thank you. That was kept without your name.")
    return RedirectResponse("/", 303)


def _week(one: dict[str, Any]) -> dict[str, Any]:
    return {
        "partner": one["partner"],
        "credentials": one["holdings"]["credentials"],
        "expired": one["holdings"]["expired"],
        "oldest": one["holdings"]["oldest_stored_at"],
        "stores": one["stores"],
        "releases": one["releases"],
        "refusals": sum(one["refusals"].values()),
        "exceptions": sum(one["exceptions"].values()),
        "rotations": sum(one["rotations"].values()),
        "leases": one["holdings"]["leases"],
    }


def _is_day(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False
