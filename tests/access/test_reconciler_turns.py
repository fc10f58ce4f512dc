"""A turn does what it can: whatever is away or broken keeps nothing else from happening, and ends still end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from repository_world import BINDINGS, git, granting, make, opened

from admin_sync.reconciler.duties import Duty
from admin_sync.reconciler.ending import clear, next_end
from admin_sync.reconciler.service import opened as reconciler_of
from admin_sync.reconciler.settings import reconciler_settings
from admin_sync.reconciler.turn import Reconciler
from admin_sync.reconciler.waking import PAUSES, Wake, sleep

APPROVER = "security.one@tradepulse.example"
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


@contextmanager
def alone(place: Path, folder: Path, **more: str) -> Iterator[Reconciler]:
    """A reconciler whose Keycloak is away, and that has no requests and no place for bundles."""
    secret = folder / "secret"
    secret.touch(mode=0o600)
    secret.write_text("nobody asks for it")
    environ = {
        "ADMIN_SYNC_REPOSITORY": str(place),
        "ADMIN_SYNC_KEYCLOAK_URL": "http://127.0.0.1:9",
        "ADMIN_SYNC_CLIENT_ID": "admin-sync",
        "ADMIN_SYNC_CLIENT_SECRET_FILE": str(secret),
        "TRADEPULSE_AUDIT_DIR": str(folder / "audit"),
        "ADMIN_SYNC_RECONCILER_LOCK_WAIT": "1s",
        **more,
    }
    with reconciler_of(environ, lambda text: None) as made:
        yield made


def test_a_keycloak_that_is_away_is_a_problem_of_each_realm_and_no_end_of_the_turn(tmp_path: Path) -> None:
    place = make(tmp_path / "iam")
    with alone(place, tmp_path) as reconciler:
        report = reconciler.turn()
    assert [(one.environment, str(one.outcome)) for one in report.realms] == [
        ("dev", "failed"),
        ("staging", "failed"),
        ("prod", "failed"),
    ]
    assert not report.well
    assert not report.refused
    assert report.commit == git(place, "rev-parse", "HEAD").strip()
    assert reconciler.standing.applied == {}


def test_duties_are_done_although_nobody_knows_what_was_approved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    duty = Duty("closing", timedelta(seconds=30), lambda hand: done.append("closing"))
    monkeypatch.setattr("admin_sync.reconciler.duties.DUTIES", [duty])
    password = tmp_path / "password"
    password.touch(mode=0o600)
    password.write_text("nobody asks for it")
    away = {
        "ACCESS_RECONCILER_DATABASE_URL": "postgresql://access_reconciler@127.0.0.1:9/access",
        "ACCESS_RECONCILER_DATABASE_PASSWORD_FILE": str(password),
    }
    with alone(make(tmp_path / "iam"), tmp_path, **away) as reconciler:
        report = reconciler.turn()
    assert done == ["closing"]
    assert any("the database of requests" in problem for problem in report.problems)


def test_a_commit_that_is_not_valid_leaves_what_was_before_it_in_force(tmp_path: Path) -> None:
    place = make(tmp_path / "iam")
    valid = git(place, "rev-parse", "HEAD").strip()
    path = place / BINDINGS
    path.write_text(path.read_text().replace("role: viewer", "role: nobody-knows", 1))
    git(place, "commit", "--quiet", "--all", "--message=Broken")
    with alone(place, tmp_path) as reconciler:
        report = reconciler.turn()
    assert report.commit == valid
    assert any("unknown-role" in problem for problem in report.problems)


def test_what_ended_leaves_the_file_only_where_keycloak_has_let_go_of_it(tmp_path: Path) -> None:
    place = make(tmp_path / "iam")
    repository = opened(place)
    with repository.change(APPROVER, "Grant") as change:
        change.add(granting(7))
        change.add(
            granting(8, user="mlops.one@tradepulse.example").model_copy(update={"environments": ["dev", "staging"]})
        )
    later = datetime.now(UTC) + timedelta(hours=2)
    document = repository.snapshot().document({}, later)
    made = clear(repository, document, {"dev"})
    assert made is not None
    left = {one.request for one in repository.document().bindings.bindings}
    assert "REQ-7" not in left
    assert "REQ-8" in left
    assert clear(repository, repository.snapshot().document({}, later), {"dev"}) is None
    assert clear(repository, repository.snapshot().document({}, later), {"dev", "staging"}) is not None
    assert "Ended-request: REQ-8" in git(place, "log", "-1", "--format=%B")
    assert repository.granted_by("REQ-7") is not None


def test_what_ended_takes_nothing_with_it_that_is_like_it_elsewhere(tmp_path: Path) -> None:
    """Same person, same role, same end, and still in Keycloak, because the realm of the other could not be read."""
    place = make(tmp_path / "iam")
    repository = opened(place)
    plain = granting(9).model_copy(update={"request": None, "approvals": [], "justification": None})
    with repository.change(APPROVER, "Grant") as change:
        change.add(plain)
        change.add(plain.model_copy(update={"environments": ["staging"]}))
        change.add(granting(9).model_copy(update={"environments": ["prod"], "expires": plain.expires}))
    later = datetime.now(UTC) + timedelta(hours=2)
    assert clear(repository, repository.snapshot().document({}, later), {"dev"}) is not None
    left = [one for one in repository.document().bindings.bindings if one.expires == plain.expires]
    assert [(one.environments, one.request) for one in left] == [(["staging"], None), (["prod"], "REQ-9")]


def test_the_next_end_is_the_nearest_that_is_still_to_come(tmp_path: Path) -> None:
    repository = opened(make(tmp_path / "iam"))
    with repository.change(APPROVER, "Grant") as change:
        change.add(granting(7, seconds=600))
        change.add(granting(8, user="mlops.one@tradepulse.example", seconds=60))
    document = repository.document()
    ends = {one.request: one.expires for one in document.bindings.bindings}
    assert next_end(document) == ends["REQ-8"]
    assert next_end(repository.snapshot().document({}, ends["REQ-8"])) == ends["REQ-7"]


@pytest.mark.parametrize(
    ("failures", "ends", "expected"),
    [
        (0, None, 300.0),
        (0, NOW + timedelta(seconds=10), 10.05),
        (0, NOW - timedelta(hours=1), 0.05),
        (1, None, PAUSES[0]),
        (3, NOW + timedelta(seconds=2), 2.05),
        (99, None, PAUSES[-1]),
    ],
)
def test_the_loop_sleeps_until_the_next_end_or_the_next_try(
    failures: int, ends: datetime | None, expected: float
) -> None:
    assert sleep(failures=failures, ends=ends, now=NOW, every=300.0) == pytest.approx(expected)


def test_a_bell_that_was_rung_before_anybody_listened_is_heard_once_with_its_realms() -> None:
    wake = Wake()
    wake.ring("tradepulse-dev")
    wake.ring()
    wake.ring("tradepulse-prod")
    assert wake.wait(60) == {"tradepulse-dev", "tradepulse-prod"}
    assert wake.wait(0) == frozenset()


def test_half_a_database_is_refused_by_its_settings() -> None:
    with pytest.raises(Exception, match="both, or neither"):
        reconciler_settings({"ACCESS_RECONCILER_DATABASE_URL": "postgresql://access_reconciler@localhost/access"})
