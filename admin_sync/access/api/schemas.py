"""What comes in and goes out over HTTP. Bodies are exact: an unknown member is a mistake."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from admin_sync.access.desk import Wish
from admin_sync.access.preview import Asked, Gain, Preview
from admin_sync.access.request import Approval, written
from admin_sync.access.views import Seen
from admin_sync.load.scalars import Email, Instant, Name

Comment = Annotated[str, Field(strict=True, max_length=2000, pattern=r"^[^\x00-\x08\x0b-\x1f\x7f]*$")]
Why = Annotated[str, Field(strict=True, min_length=10, max_length=2000, pattern=r"^[^\x00-\x08\x0b-\x1f\x7f]*$")]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class RequestBody(_Body):
    """A request to make, or to look at before it is made."""

    kind: Literal["grant", "exception", "break_glass", "mfa_bypass"] = "grant"
    payload: dict[str, Any] = Field(
        description="By kind: grant {role} or {group}; exception the same and {rules: [name]}; break_glass {account}; "
        "mfa_bypass {half: {salt, hash}}"
    )
    environments: list[Name] = Field(min_length=1, max_length=16)
    justification: Annotated[str, Field(strict=True, min_length=10, max_length=2000)]
    expires: Instant
    starts: Instant | None = None
    subject: Email | None = Field(default=None, description="For whom; without it for yourself")

    def wish(self) -> Wish:
        """The body as the desk wants it."""
        return Wish(
            kind=self.kind,
            payload=self.payload,
            environments=tuple(self.environments),
            justification=self.justification,
            expires=self.expires,
            starts=self.starts,
            subject=self.subject,
        )


class ApprovalBody(_Body):
    """A yes to one text."""

    hash: Annotated[str, Field(strict=True, pattern=r"^[0-9a-f]{64}$")]
    comment: Comment | None = None
    capacity: Name | None = Field(
        default=None, alias="as", description="In which capacity; without it the first missing"
    )


class DenialBody(_Body):
    """A no, with its reason."""

    comment: Why


class CancellationBody(_Body):
    """Taking a request back."""

    comment: Comment | None = None


class GainShown(BaseModel):
    """A permission that would be gained."""

    environment: str
    permission: str
    way: tuple[str, ...] = Field(description="From what is asked for to the permission's role")
    sensitive: bool


class NeedShown(BaseModel):
    """An approval that is missing, and who could give it."""

    capacity: str
    owners: tuple[str, ...] = Field(description="Members of any of these groups; empty where the capacity says who")
    who: tuple[str, ...]


class ApprovalShown(BaseModel):
    """A yes that was given."""

    by: str
    capacity: str = Field(serialization_alias="as")
    at: str
    comment: str | None
    assurance_level: str
    realm: str | None = Field(description="The environment whose realm they had logged in to")


class RequestShown(BaseModel):
    """A request with everything that happened to it."""

    id: str
    hash: str = Field(description="What an approval names")
    kind: str
    state: str
    requester: str
    subject: str
    payload: dict[str, Any]
    environments: tuple[str, ...]
    justification: str
    asked_at: str
    starts: str | None
    expires: str
    changed_at: str
    changed_by: str
    reason: str | None
    approvals: tuple[ApprovalShown, ...]
    waiting_for: tuple[NeedShown, ...]
    gains: tuple[GainShown, ...]
    may_decide: bool = Field(description="Whether your yes is one that is missing")
    result: dict[str, Any] = Field(description="What the reconciler reported")


class RequestsShown(BaseModel):
    """A page of requests."""

    requests: tuple[RequestShown, ...]
    next: str | None = Field(description="What to give as `after` for the next page")


class PreviewShown(BaseModel):
    """What would come of a request."""

    gains: tuple[GainShown, ...]
    approvals: tuple[NeedShown, ...]
    refusals: tuple[dict[str, str], ...]


class GrantShown(BaseModel):
    """A grant as the configuration has it."""

    target: str
    environments: tuple[str, ...]
    expires: str | None
    in_force: bool
    request: str | None
    justification: str | None


class GrantsShown(BaseModel):
    """What somebody was granted by bindings."""

    user: str
    grants: tuple[GrantShown, ...]


def shown(one: Seen) -> RequestShown:
    """A request as JSON."""
    record, request = one.record, one.record.request
    return RequestShown(
        id=request.id,
        hash=record.stored_hash,
        kind=request.kind,
        state=record.state.value,
        requester=request.requester,
        subject=request.subject,
        payload=dict(request.payload),
        environments=request.environments,
        justification=request.justification,
        asked_at=written(request.asked_at),
        starts=None if request.starts is None else written(request.starts),
        expires=written(request.expires),
        changed_at=written(record.changed_at),
        changed_by=record.changed_by,
        reason=record.reason,
        approvals=tuple(map(_approval, record.approvals)),
        waiting_for=_needs(one.waiting_for),
        gains=_gains(one.gains),
        may_decide=one.may_decide,
        result=dict(record.result),
    )


def previewed(found: Preview) -> PreviewShown:
    """A preview as JSON."""
    refusals = tuple({"code": one.code, "detail": one.message} for one in found.refusals)
    return PreviewShown(gains=_gains(found.gains), approvals=_needs(found.needs), refusals=refusals)


def granted(
    target: str, environments: Iterable[str], expires: datetime | None, now: datetime, **more: str | None
) -> GrantShown:
    """A binding as JSON."""
    return GrantShown(
        target=target,
        environments=tuple(environments),
        expires=None if expires is None else written(expires),
        in_force=expires is None or expires > now,
        request=more.get("request"),
        justification=more.get("justification"),
    )


def _approval(one: Approval) -> ApprovalShown:
    return ApprovalShown(
        by=one.by,
        capacity=one.capacity,
        at=written(one.at),
        comment=one.comment,
        assurance_level=one.acr,
        realm=one.realm,
    )


def _needs(found: Iterable[Asked]) -> tuple[NeedShown, ...]:
    return tuple(NeedShown(capacity=one.need.capacity, owners=one.need.owners, who=one.who) for one in found)


def _gains(found: Iterable[Gain]) -> tuple[GainShown, ...]:
    return tuple(
        GainShown(environment=one.environment, permission=one.permission, way=one.way, sensitive=one.sensitive)
        for one in found
    )
