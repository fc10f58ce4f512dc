"""What somebody agreed to while they could stands after they left; an approval that was never theirs does not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from reconciler_world import ROSTER, RequestBase, at, request_base
from repository_world import BINDINGS, SAMPLE, granting, make, opened

from admin_sync.access.speakers import Speakers
from admin_sync.check import check
from admin_sync.errors import InvalidInput
from admin_sync.load.document import Document, load
from admin_sync.load.schema import Binding, BindingsFile
from admin_sync.reconciler.granting import Granted, grant
from admin_sync.reconciler.requests import Requests
from admin_sync.repository import Repository, Selector
from admin_sync.roster import read

SECURITY = "security.one@tradepulse.example"
ALIAS = "sam@idp.example"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return make(tmp_path / "iam")


def said(place: Path) -> str:
    return (place / BINDINGS).read_text()


def codes(document: Document) -> list[str]:
    return [one.code for one in check(document)]


def test_the_offboarding_of_an_approver_leaves_what_they_agreed_to_in_force(place: Path) -> None:
    repository = opened(place)
    granted = [one for one in repository.document().bindings.bindings if one.request == "REQ-000001"]
    with repository.change("operator@tradepulse.example", "Offboard") as change:
        change.bar(SECURITY, datetime.now(UTC), "left")
        change.remove(Selector(user=SECURITY))
    document = repository.document()
    assert check(document) == []
    assert [one for one in document.bindings.bindings if one.request == "REQ-000001"] == granted
    [former] = document.bindings.former_approvers
    # Only what a grant rests on: they were in the group everywhere, the grant is in staging.
    assert (former.user, former.group, former.environments) == (SECURITY, "security", ["staging"])
    assert former.until <= datetime.now(UTC)


def test_a_former_approver_speaks_no_more(place: Path) -> None:
    repository = opened(place)
    with repository.change("operator@tradepulse.example", "Leave the group") as change:
        change.remove(Selector(user=SECURITY, group="security"))
    document = repository.document()
    later = replace(document, now=document.now + timedelta(hours=1))
    forged = granting(7).model_copy(update={"environments": ["staging"]})
    approval = forged.approvals[0].model_copy(update={"by": SECURITY, "capacity": "security", "at": later.now})
    bindings = [*document.bindings.bindings, forged.model_copy(update={"approvals": [*forged.approvals, approval]})]
    assert codes(replace(later, bindings=document.bindings.model_copy(update={"bindings": bindings}))) == [
        "not-an-approver"
    ]
    speakers = Speakers(document, read(ROSTER), document.now)
    assert SECURITY not in speakers.members("security", ["staging"])


def test_what_no_grant_rests_on_any_more_is_forgotten_with_it(place: Path) -> None:
    repository, before = opened(place), said(place)
    with repository.change("operator@tradepulse.example", "Leave the group") as change:
        left = change.remove(Selector(user=SECURITY, group="security"))
    assert "former_approvers:" in said(place)
    with repository.change("operator@tradepulse.example", "End the grant") as change:
        change.remove(Selector(request="REQ-000001"))
    assert repository.document().bindings.former_approvers == []
    with repository.change("operator@tradepulse.example", "Come back") as change:
        change.add(left[0])
    assert repository.document().bindings.former_approvers == []
    assert len(before) > len(said(place))


def test_a_membership_that_ended_by_itself_is_remembered_until_its_end(place: Path) -> None:
    repository = opened(place)
    end = datetime(2026, 11, 21, tzinfo=UTC)
    with repository.change("operator@tradepulse.example", "A membership that ends") as change:
        [member] = change.remove(Selector(user=SECURITY, group="security"))
        change.add(member.model_copy(update={"expires": end}))
    assert repository.document().bindings.former_approvers == []
    with repository.change("operator@tradepulse.example", "Clear what ended") as change:
        change.remove(Selector(user=SECURITY, group="security"))
    assert [one.until for one in repository.document().bindings.former_approvers] == [end]


def test_an_approval_that_was_never_theirs_is_neither_remembered_nor_valid(place: Path) -> None:
    repository = opened(place)
    forged = granting(9)
    approval = forged.approvals[0].model_copy(update={"by": "quant.one@tradepulse.example", "capacity": "security"})
    binding = forged.model_copy(
        update={
            "subject": forged.subject.model_copy(update={"user": "trader.one@tradepulse.example"}),
            "approvals": [*forged.approvals, approval],
        }
    )
    with pytest.raises(InvalidInput) as raised:
        _leave_and_grant(repository, "quant.one@tradepulse.example", binding)
    assert [one.code for one in raised.value.findings] == ["not-an-approver"]


def _leave_and_grant(repository: Repository, who: str, binding: Binding) -> None:
    with repository.change("operator@tradepulse.example", "Forge and leave") as change:
        change.remove(Selector(user=who))
        change.add(binding)


def test_a_former_membership_has_ended_and_names_what_exists() -> None:
    document = load(SAMPLE, {})
    told = document.bindings.model_dump(by_alias=True, mode="json", exclude_none=True)
    ahead = (document.now + timedelta(days=1)).isoformat()
    told["former_approvers"] = [
        {"user": SECURITY, "group": "no-such-group", "environments": ["nowhere"], "until": ahead}
    ]
    made = replace(document, bindings=BindingsFile.model_validate(told))
    assert sorted(codes(made)) == ["former-approver", "unknown-environment", "unknown-group"]


@pytest.fixture(scope="module")
def base(postgres: Any, tmp_path_factory: pytest.TempPathFactory) -> RequestBase:
    return request_base(postgres, "former_approvers", tmp_path_factory.mktemp("base"))


@pytest.fixture
def requests(base: RequestBase) -> Iterator[Requests]:
    base.sql("TRUNCATE access.request CASCADE")
    made = Requests(base.settings(), node="test")
    yield made
    made.close()


@pytest.mark.parametrize("bound", [SECURITY, ALIAS])
def test_an_approval_by_an_alias_is_committed_as_the_person_that_the_group_knows(
    base: RequestBase, requests: Requests, tmp_path: Path, bound: str
) -> None:
    source = tmp_path / "sample"
    source.mkdir()
    for file in SAMPLE.iterdir():
        (source / file.name).write_text(file.read_text().replace(SECURITY, bound))
    roster = tmp_path / "roster.csv"
    people = [line + (ALIAS if line.startswith(SECURITY) else "") for line in ROSTER.read_text().splitlines()]
    roster.write_text("\n".join(people) + "\n")
    repository = opened(make(tmp_path / "iam", source))
    voices = (("manager.one", "manager"), ("owner.one", "system_owner"), ("security.one", "security"))
    base.approved(31, user="mlops.one", role="sre", voices=voices)
    base.sql("UPDATE access.approval SET by_email = $1 WHERE person = $2", ALIAS, at("security.one"))
    made = grant(repository, requests, requests.due("grant")[0], read(roster))
    assert isinstance(made, Granted), base.result(31)
    [binding] = [one for one in repository.document().bindings.bindings if one.request == "REQ-000031"]
    assert [one.by for one in binding.approvals if one.capacity == "security"] == [bound]
