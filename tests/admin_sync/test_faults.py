"""Keycloak away, overloaded, forgetful or withdrawing its permission in the middle of an apply."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from admin_sync_world import Realms
from faulty_proxy import FaultyProxy

pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]


@pytest.fixture
def proxy(realms: Realms) -> Iterator[FaultyProxy]:
    """A proxy before Keycloak, and no realm behind it."""
    realms.admin.delete(realms.path("dev"))
    made = FaultyProxy(realms.environ["ADMIN_SYNC_KEYCLOAK_URL"])
    yield made
    made.close()


def through(realms: Realms, proxy: FaultyProxy) -> Realms:
    """The same realms, reached through the proxy, a write at a time."""
    environ = {**realms.environ, "ADMIN_SYNC_KEYCLOAK_URL": proxy.url, "ADMIN_SYNC_GATEWAY": "rest"}
    return Realms(realms.name, realms.configuration, environ, realms.admin)


def test_writes_that_fail_or_whose_answers_are_lost_are_made_once(realms: Realms, proxy: FaultyProxy) -> None:
    faults = {3: "503", 40: "drop", 120: "500", 200: "drop"}
    proxy.decide = faults.get
    done = through(realms, proxy).run("apply", "--env", "dev")
    assert done.code == 0, done.err
    assert proxy.writes > max(faults)
    assert realms.run("drift", "--env", "dev").code == 0
    people = realms.admin.get(f"{realms.path('dev')}/users")
    assert len(people) == len({person["email"] for person in people}) == 6


def test_a_keycloak_that_stays_away_ends_in_exit_1_with_what_was_done(realms: Realms, proxy: FaultyProxy) -> None:
    proxy.decide = lambda number: "503" if number > 150 else None
    done = through(realms, proxy).run("apply", "--env", "dev")
    assert done.code == 1
    assert "a re-run is safe" in done.err
    assert "applied " in done.err
    assert "Traceback" not in done.err
    proxy.decide = lambda number: None
    assert through(realms, proxy).run("apply", "--env", "dev").code == 0
    assert realms.run("drift", "--env", "dev").code == 0


def test_permission_withdrawn_in_the_middle_is_exit_4_with_what_was_done(realms: Realms, proxy: FaultyProxy) -> None:
    proxy.decide = lambda number: "403" if number > 150 else None
    done = through(realms, proxy).run("apply", "--env", "dev")
    assert done.code == 4
    assert "a re-run is safe" in done.err


def test_a_token_refused_once_is_renewed(realms: Realms, proxy: FaultyProxy) -> None:
    proxy.decide = lambda number: "401" if number == 60 else None
    done = through(realms, proxy).run("apply", "--env", "dev")
    assert done.code == 0, done.err
