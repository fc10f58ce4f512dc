"""Openings over HTTP, under `/access/v1/break-glass`: parse, call one function, render.

What is asked for and agreed to is a request like any other (`POST /requests` of the kind `break_glass`); here is what
comes after. No credential passes through this service.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Path, Response
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from admin_sync.access.api.openapi import problems
from admin_sync.access.request import request_id
from admin_sync.access.service import Access, access_of, person
from admin_sync.break_glass.accounts import address
from admin_sync.break_glass.desk import Shown
from admin_sync.break_glass.stage import Verdict
from identity.principal import Principal

Person = Annotated[Principal, Depends(person)]
Service = Annotated[Access, Depends(access_of)]
RequestName = Annotated[str, Path(max_length=32)]
Findings = Annotated[str, StringConstraints(strip_whitespace=True, min_length=10, max_length=4000)]


class ReviewBody(BaseModel):
    """What a reviewer found."""

    model_config = ConfigDict(extra="forbid", strict=True)

    verdict: Annotated[Verdict, Field(strict=False)]
    findings: Findings


class OpeningBody(BaseModel):
    """An opening as the caller sees it."""

    request: str
    environment: str
    account: str
    username: str
    opener: str
    approvers: list[str]
    reason: str
    stage: Literal["open", "closing", "closed", "reviewed"]
    overdue: bool
    opened_at: datetime
    until: datetime
    review_due: datetime
    closed_at: datetime | None
    reviewed_at: datetime | None
    reviewed_by: str | None
    verdict: str | None
    findings: str | None
    may_close: bool
    may_review: bool

    @classmethod
    def of(cls, shown: Shown) -> OpeningBody:
        """As it is sent."""
        one = shown.opening
        return cls(
            request=request_id(one.number),
            environment=one.environment,
            account=one.account,
            username=address(one.account),
            opener=one.opener,
            approvers=list(one.approvers),
            reason=one.reason,
            stage=one.stage(shown.now).value,
            overdue=one.overdue(shown.now),
            opened_at=one.opened_at,
            until=one.until,
            review_due=one.due,
            closed_at=one.closed_at,
            reviewed_at=one.reviewed_at,
            reviewed_by=one.reviewed_by,
            verdict=one.verdict,
            findings=one.findings,
            may_close=shown.may_close,
            may_review=shown.may_review,
        )


class OpeningsBody(BaseModel):
    """Openings, newest first."""

    openings: list[OpeningBody]


class ProofBody(BaseModel):
    """The proof of approval, and which account of the vault's custody it is for. Good for a minute, for one release."""

    proof: str
    environment: str
    account: str


router = APIRouter(prefix="/access/v1/break-glass", tags=["break-glass"])


@router.get(
    "",
    summary="Openings that you asked for, agreed to, or may review",
    response_model=OpeningsBody,
    responses=problems(),
)
async def list_openings(caller: Person, access: Service) -> OpeningsBody:
    """Lists openings, newest first."""
    return OpeningsBody(openings=[OpeningBody.of(one) for one in await access.emergencies.listed(caller)])


@router.post(
    "/{name}/proof",
    summary="Receive the word that the vault needs besides your own token",
    description="For who asked, with the account that asked, in a stepped-up session, while it is open.",
    response_model=ProofBody,
    responses=problems(409),
)
async def prove(name: RequestName, response: Response, caller: Person, access: Service) -> ProofBody:
    """Signs a proof of approval."""
    proof = await access.emergencies.proof(caller, name)
    response.headers["Cache-Control"] = "no-store"
    return ProofBody(proof=proof.text.text(), environment=proof.environment, account=proof.account)


@router.post(
    "/{name}/closure",
    summary="Close an opening now",
    status_code=202,
    response_model=OpeningBody,
    responses=problems(),
)
async def close(name: RequestName, caller: Person, access: Service) -> OpeningBody:
    """Asks the reconciler to close an opening."""
    return OpeningBody.of(await access.emergencies.close(caller, name))


@router.post(
    "/{name}/review",
    summary="Say what an opening was used for",
    description="For a member of the approvers' group who had no part in it, in a stepped-up session.",
    response_model=OpeningBody,
    responses=problems(409),
)
async def review(name: RequestName, body: ReviewBody, caller: Person, access: Service) -> OpeningBody:
    """Records a review."""
    return OpeningBody.of(await access.emergencies.review(caller, name, body.verdict, body.findings))
