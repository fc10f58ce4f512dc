"""What is checked again before an approved request takes effect. Pure.

The reconciler does not believe the database: whoever can write there must still forge people who exist, in
capacities they have by the configuration in Git, about a text whose hash they named.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from admin_sync.access.chain import Voice, missing
from admin_sync.access.refusal import Refusal
from admin_sync.access.request import Record, Request
from admin_sync.access.rules import Facts, elsewhere, matter_of, needs_of, still_refused
from admin_sync.access.speakers import Speakers
from admin_sync.access.state import State
from admin_sync.load.document import Document
from admin_sync.roster import Roster


def problems(
    document: Document, roster: Roster | None, record: Record, others: Iterable[Request], now: datetime
) -> list[Refusal]:
    """Why an approved request must not take effect; empty if it may. `others` are approved ones of the same person.

    Capacities are judged at the instant of each approval, everything else now.
    """
    request = record.request
    if record.state is not State.APPROVED:
        return [Refusal("not-approved", f"{request.id} is {record.state.value}")]
    if request.hash != record.stored_hash:
        return [Refusal("hash", f"{request.id} is not the text that was approved")]
    facts = Facts(document, Speakers(document, roster, now), now)
    found = still_refused(facts, request, others)
    if found:
        return found
    voices: list[Voice] = []
    for approval in record.approvals:
        speakers = Speakers(document, roster, approval.at)
        voice = speakers.voice(approval.by, approval.capacity, matter_of(request))
        if approval.hash != request.hash:
            found.append(Refusal("hash", f"the approval by {approval.by} is of another text"))
        elif not request.asked_at <= approval.at <= now or approval.at >= request.expires:
            found.append(Refusal("approval-time", f"the approval by {approval.by} is dated {approval.at.isoformat()}"))
        elif voice is None or voice.person != approval.person or approval.account == request.requester_account:
            found.append(Refusal("no-say", f"{approval.by} has no say as {approval.capacity}"))
        elif away := elsewhere(document, approval.realm, request.environments):
            found += away
        else:
            voices.append(voice)
    lacking = missing(needs_of(facts, request), voices)
    if lacking:
        found.append(Refusal("missing-approval", f"approvals lack: {', '.join(map(str, lacking))}"))
    return found
