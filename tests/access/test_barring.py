"""Whoever is barred holds nothing, by whatever way; the file says so in one line and keeps everything else."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from repository_world import BINDINGS, granting, make, opened

from admin_sync.answers import explained
from admin_sync.desired import Facts, desire
from admin_sync.errors import InvalidInput
from admin_sync.model import Current, Ref, Resource, index
from admin_sync.policy import policy_source
from admin_sync.refs import group_binding, user

QUANT = "quant.one@tradepulse.example"
TRADER = "trader.one@tradepulse.example"
SECURITY = "security.one@tradepulse.example"
NOW = datetime(2026, 11, 23, 7, 0, tzinfo=UTC)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return make(tmp_path / "iam")


def test_barring_adds_a_line_and_changes_no_other(place: Path) -> None:
    before = (place / BINDINGS).read_text()
    with opened(place).change(SECURITY, "Bar") as change:
        change.bar(QUANT, NOW, 'left: ${HOME} "x"\n- {user: eve}')
    with opened(place).change(SECURITY, "Bar another") as change:
        change.bar(TRADER, NOW)
    after = (place / BINDINGS).read_text()
    assert after.startswith(before.rstrip("\n"))
    assert [one.user for one in opened(place).document().bindings.barred] == [QUANT, TRADER]
    assert len(after.splitlines()) == len(before.splitlines()) + 3


def test_whoever_is_barred_stays_so_from_when_they_were(place: Path) -> None:
    for since in (NOW, NOW + timedelta(hours=1)):
        with opened(place).change(SECURITY, "Bar") as change:
            change.bar(QUANT.upper(), since)
    assert [one.since for one in opened(place).document().bindings.barred] == [NOW]


def test_reinstating_leaves_the_others_barred(place: Path) -> None:
    with opened(place).change(SECURITY, "Bar") as change:
        change.bar(QUANT, NOW)
        change.bar(TRADER, NOW)
    with opened(place).change(SECURITY, "Reinstate") as change:
        change.unbar(QUANT.upper())
    assert [one.user for one in opened(place).document().bindings.barred] == [TRADER]
    with opened(place).change(SECURITY, "Reinstate") as change:
        change.unbar(TRADER)
    assert opened(place).document().bindings.barred == []
    with opened(place).change(SECURITY, "Bar again") as change:
        change.bar(QUANT, NOW)
    assert [one.user for one in opened(place).document().bindings.barred] == [QUANT]


def test_nothing_that_is_declared_counts_for_somebody_barred(place: Path) -> None:
    with opened(place).change(SECURITY, "Bar") as change:
        change.bar(SECURITY, NOW)
    document = opened(place).document()
    said = explained(document, "prod", SECURITY)
    assert (said["roles"], said["permissions"], said["partners"]) == ([], [], [])
    assert SECURITY in policy_source(document).barred


def test_the_account_of_somebody_barred_is_disabled_and_stays(place: Path) -> None:
    with opened(place).change(SECURITY, "Bar") as change:
        change.bar(QUANT, NOW)
    document = opened(place).document()
    account = Resource(
        user(QUANT), {"email": QUANT, "email_verified": True, "enabled": True, "providers": ["workforce"]}, managed=True
    )
    membership = Resource(group_binding(QUANT, "research"), {"user": QUANT, "group": "research"}, managed=True)
    current = Current("tradepulse-dev", exists=True, resources=index([account, membership]))
    desired = desire(document, "dev", current, Facts())
    assert desired.resources[user(QUANT)].attrs == {"enabled": False}
    assert Ref("binding", f"{QUANT} group research") not in desired.resources


def test_nobody_grants_anything_to_somebody_who_is_barred(place: Path) -> None:
    with opened(place).change(SECURITY, "Bar") as change:
        change.bar(QUANT, NOW - timedelta(days=400))
    with pytest.raises(InvalidInput) as refused, opened(place).change(SECURITY, "Grant") as change:
        change.add(granting(7, user=QUANT))
    assert {one.code for one in refused.value.findings} == {"barred"}
