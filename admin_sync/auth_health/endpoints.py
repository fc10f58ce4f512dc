"""Auth health and the pulse over HTTP: parse, call one function, render.

The figures are for whoever may read audit trails (`audit:view`); the pulse is for everybody who can log in.
"""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Path, Query
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from admin_sync.access.api.openapi import problems
from admin_sync.access.service import Access, access_of, person
from admin_sync.auth_health import summary
from admin_sync.auth_health.document import document
from admin_sync.auth_health.figures import KEPT_DAYS, STEP
from admin_sync.auth_health.markdown import markdown
from admin_sync.auth_health.pulse import LONGEST, Audience
from admin_sync.auth_health.report import PULSE_DAYS, Report, report_of
from admin_sync.auth_health.targets import standings
from identity.principal import Principal
from identity.problem import Problem, not_found

VIEW: Final = "audit:view"

Person = Annotated[Principal, Depends(person)]
Service = Annotated[Access, Depends(access_of)]
Environment = Annotated[str, Query(max_length=32, pattern=r"^[a-z][a-z0-9-]*$", description="One, or `all`")]

router = APIRouter(prefix="/access/v1", tags=["auth-health"])


class HealthBody(BaseModel):
    """The figures of a period. Shares are between 0 and 1, times in seconds, `null` is what nobody measured.

    `totals` are those of the whole period and `history` those of each of its spans: people who came in by the
    strongest factor, tries that failed (mistakes of theirs, turned away by policy, faults of ours), failures on the
    way between applications, decisions of the policy, times. `levels` is what was so last, by series.
    """

    environment: str
    environments: list[str]
    since: datetime
    until: datetime
    span_seconds: int
    totals: dict[str, Any]
    by_environment: dict[str, dict[str, Any]]
    history: list[dict[str, Any]]
    levels: dict[str, float]
    levels_history: list[dict[str, Any]]
    standings: list[dict[str, str]]
    pulse: dict[str, Any]
    sources: list[dict[str, Any]]


class ReportBody(BaseModel):
    """The report of a day in both its forms."""

    day: date
    complete: bool
    standings: list[dict[str, str]]
    markdown: str
    html: str


class PulseBody(BaseModel):
    """Whether the caller may be asked how easy it was to log in."""

    due: bool


class AnswerBody(BaseModel):
    """An answer: one to five, or null for somebody who would rather not say."""

    model_config = ConfigDict(extra="forbid", strict=True)

    score: Annotated[int, Field(ge=1, le=5)] | None
    words: Annotated[str, StringConstraints(strip_whitespace=True, max_length=LONGEST)] | None = None


@router.get("/auth-health", summary="How logins go, over a period up to now", responses=problems(422))
async def read_health(
    caller: Person,
    access: Service,
    *,
    hours: Annotated[int, Query(ge=1, le=KEPT_DAYS * 24)] = 24,
    environment: Environment = summary.ALL,
) -> HealthBody:
    """The figures for a dashboard."""
    await access.gate.require(caller, VIEW)
    # The end of the step that is under way, so that what happened just now is in it.
    until = datetime.now(UTC) + timedelta(seconds=STEP)
    period = timedelta(hours=hours)
    since, span = summary.begin(until, period), summary.span_of(period)
    rows = await access.figures.counts(since, until, span)
    measured = await access.figures.levels(since, until, span)
    answers = await access.pulse.answers(until.date() - timedelta(days=PULSE_DAYS), until.date() + timedelta(days=1))
    whole = summary.totals(rows, environment)
    levels = summary.latest(measured, access.settings.environment)
    environments = sorted({row.environment for row in rows} | {access.settings.environment})
    return HealthBody(
        environment=environment,
        environments=environments,
        since=since,
        until=until,
        span_seconds=int(span.total_seconds()),
        totals=asdict(whole),
        by_environment={name: asdict(summary.totals(rows, name)) for name in environments},
        history=[
            {"since": one.since, **asdict(one.totals)}
            for one in summary.history(rows, since=since, until=until, span=span, environment=environment)
        ],
        levels=levels,
        levels_history=[
            {"since": one.since, "series": one.series, "value": one.value}
            for one in measured
            if one.environment == access.settings.environment
        ],
        standings=[asdict(one) for one in standings(whole, levels, answers.content)],
        pulse={
            "days": PULSE_DAYS,
            "count": answers.count,
            "scores": list(answers.scores),
            "content": answers.content,
            "by_audience": dict(answers.by_audience),
            "words": list(answers.words),
        },
        sources=[
            {"name": one.name, "seen_at": one.seen_at, "problem": one.problem} for one in await access.figures.sources()
        ],
    )


@router.get(
    "/auth-health/reports/{day}",
    summary="The auth health report of a day",
    description="In UTC, and not of a day to come or of one whose figures are gone.",
    responses=problems(422),
)
async def read_report(
    day: Annotated[date, Path(description="Such as 2027-01-31")], caller: Person, access: Service
) -> ReportBody:
    """The report, as Markdown and as a page of HTML."""
    await access.gate.require(caller, VIEW)
    now = datetime.now(UTC)
    if not now.date() - timedelta(days=KEPT_DAYS) <= day <= now.date():
        raise not_found()
    made: Report = await report_of(access.figures, access.pulse, day, environment=access.settings.environment, now=now)
    return ReportBody(
        day=day,
        complete=made.complete,
        standings=[asdict(one) for one in made.standings],
        markdown=markdown(made),
        html=document(made),
    )


@router.get("/pulse", summary="Whether you may be asked how easy it was to log in", responses=problems())
async def read_pulse(caller: Person, access: Service) -> PulseBody:
    """At most once in thirty days."""
    return PulseBody(due=await access.pulse.due(caller.subject, datetime.now(UTC)))


@router.post(
    "/pulse",
    summary="Say how easy it was to log in, or that you would rather not",
    description="What is said is kept without your name, with the day only.",
    responses=problems(409, 422),
)
async def answer_pulse(body: AnswerBody, caller: Person, access: Service) -> PulseBody:
    """Takes an answer."""
    audience: Audience = "partner" if caller.organizations else "staff"
    taken = await access.pulse.answer(caller.subject, audience, datetime.now(UTC), body.score, body.words)
    if not taken:
        raise Problem(
            409,
            "asked-already",
            "You were asked lately",
            "Nothing was kept of this. You are asked again when thirty days have passed.",
        )
    return PulseBody(due=False)
