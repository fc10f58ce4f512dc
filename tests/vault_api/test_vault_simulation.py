"""Staff look at a partner as one of its members would, see what that member would see, and can do nothing else.

The attack is walked along the OpenAPI document, so that a call that is added later is held to it as well.
"""

from __future__ import annotations

import json
import time
from typing import Any

import asyncpg
import pytest
from vault_world import FIRST, TOKENS, VaultProcess, World, audit_url, credential_url

from identity.simulation import HEADER

REASON = "Ticket 4711: the partner says that a connection is missing"
READINGS = {
    ("get", "/v1/partners/{partner}/offers"),
    ("get", "/v1/partners/{partner}/connections"),
    ("get", "/v1/partners/{partner}/connections/{connection}/credential"),
    ("get", "/v1/partners/{partner}/audit"),
    ("get", "/v1/compliance/digest"),
    ("get", "/v1/partners/{partner}/members"),
    ("get", "/v1/partners/{partner}/alert-routes"),
    ("get", "/v1/partners/{partner}/alerts"),
}


def staff(world: World, **claims: Any) -> dict[str, str]:
    """Somebody of staff who may simulate."""
    usual = {"sub": "sub-root", "email": "root@example.test", "groups": ["super_admin"], "sid": "session-staff"}
    return world.realm.bearer(None, **{**usual, **claims})


def begun(vault: VaultProcess, world: World, partner: str, role: str = "partner-admin", **body: Any) -> dict[str, Any]:
    answer = vault.http.post(
        f"/v1/partners/{partner}/simulations",
        headers=staff(world),
        json={"role": role, "reason": REASON, **body},
    )
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def under(world: World, simulation: dict[str, Any], **claims: Any) -> dict[str, str]:
    return {**staff(world, **claims), HEADER: simulation["simulation"]}


@pytest.fixture
def linked(vault: VaultProcess, world: World, partner: str) -> str:
    """A partner with a connection."""
    stored = vault.http.put(
        credential_url(partner, "main"), headers={**world.realm.bearer(partner), **FIRST}, json=TOKENS
    )
    assert stored.is_success
    return partner


def trail(vault: VaultProcess, world: World, partner: str) -> list[dict[str, Any]]:
    got = vault.http.get(audit_url(partner), headers=world.realm.bearer(partner), params={"limit": 500}).json()
    assert got["chain"]["intact"]
    return list(got["events"])


def without_age(document: dict[str, Any]) -> Any:
    """An answer without what changes with every second."""
    return json.loads(
        json.dumps(document), object_hook=lambda one: {k: v for k, v in one.items() if k != "age_seconds"}
    )


@pytest.mark.parametrize(
    ("role", "may"),
    [("partner-admin", {"connection:revoke"}), ("partner-analyst", set())],
)
def test_a_simulation_sees_what_a_member_with_that_role_sees(
    vault: VaultProcess, world: World, linked: str, role: str, may: set[str]
) -> None:
    # What staff see as themselves is another thing, and none of it depends on the role.
    assert vault.http.get(f"/v1/partners/{linked}/offers", headers=staff(world)).json()["may"] == []
    simulation = begun(vault, world, linked, role)
    for path in ("connections", "connections/main/credential", "offers"):
        own = vault.http.get(f"/v1/partners/{linked}/{path}", headers=world.realm.bearer(linked, role=role))
        seen = vault.http.get(f"/v1/partners/{linked}/{path}", headers=under(world, simulation))
        assert (seen.status_code, without_age(seen.json())) == (200, without_age(own.json())), path
    assert set(seen.json()["may"]) == may
    lines = vault.http.get(audit_url(linked), headers=under(world, simulation)).json()["events"]
    assert lines[-1]["actor"] == "root@example.test"


def test_both_trails_say_who_looked_at_what_and_why(vault: VaultProcess, world: World, linked: str) -> None:
    simulation = begun(vault, world, linked)
    number = simulation["simulation"]
    vault.http.get(f"/v1/partners/{linked}/connections", headers=under(world, simulation))
    vault.http.delete(f"/v1/partners/{linked}/simulations/{number}", headers=staff(world))
    lines = trail(vault, world, linked)
    first, looked, last = (
        next(line for line in lines if line["event"] == event and line["actor"] == "root@example.test")
        for event in ("simulation.begin", "connection.list", "simulation.end")
    )
    assert first["reason"].startswith(f"{number} as partner-admin: {REASON} until 2")
    assert looked["roles"] == [f"simulation:{number}", "partner_role:partner-admin"]
    assert last["reason"] == number
    deadline = time.monotonic() + 20
    while True:
        shipped = [json.loads(line) for line in (vault.audit / "api_events.jsonl").read_text().splitlines()]
        platform = [
            line["event"]
            for line in shipped
            if line["partner"] is None and line["outcome"] == "success" and number in (line["reason"] or "")
        ]
        if platform == ["simulation.begin", "simulation.end"]:
            break
        assert time.monotonic() < deadline, platform
        time.sleep(0.05)


def test_every_call_that_is_not_one_of_the_readings_is_refused_under_a_simulation(
    vault: VaultProcess, world: World, linked: str
) -> None:
    simulation = begun(vault, world, linked)
    document = vault.http.get("/openapi.json").json()
    walked = [
        (method, path)
        for path, operations in document["paths"].items()
        for method in operations
        # Whoever is invited has no token, and so no simulation either.
        if path.startswith("/v1/") and path != "/v1/link/callback" and not path.endswith("/acceptance")
    ]
    assert set(walked) >= READINGS
    before = vault.http.get(credential_url(linked, "main"), headers=world.realm.bearer(linked)).json()
    refused = 0
    for method, path in walked:
        filled = path.replace("{partner}", linked).replace("{connection}", "main").replace("{lease}", "0" * 24)
        filled = filled.replace("{simulation}", simulation["simulation"])
        body = TOKENS if path.endswith("/credential") and method == "put" else {}
        answer = vault.http.request(
            method,
            filled,
            headers={**under(world, simulation), "If-Match": '"1"'},
            params={"partner": linked} if "digest" in path else None,
            json=None if method in ("get", "delete") else body,
        )
        if (method, path) in READINGS:
            assert answer.status_code == 200, (method, path, answer.text)
            continue
        # A call that reads its body first may refuse that; none does anything.
        assert answer.status_code == 403, (method, path, answer.text)
        slug = answer.json()["type"].rpartition(":")[2]
        assert slug in ("simulation-reads-only", "simulation-over"), (method, path, slug)
        assert TOKENS["access_token"] not in answer.text
        refused += 1
    assert refused > 20
    after = vault.http.get(credential_url(linked, "main"), headers=world.realm.bearer(linked)).json()
    assert (after["version"], after["state"], after["last_released_at"]) == (
        before["version"],
        before["state"],
        before["last_released_at"],
    )
    denied = [line for line in trail(vault, world, linked) if line["reason"] == "simulation_reads_only"]
    assert {"credential.release", "credential.store", "connection.revoke"} <= {line["event"] for line in denied}


def test_its_number_is_worth_nothing_to_anybody_else(
    vault: VaultProcess, world: World, linked: str, other_partner: str
) -> None:
    simulation = begun(vault, world, linked)

    def status(partner: str = linked, **claims: Any) -> int:
        path = f"/v1/partners/{partner}/connections"
        return int(vault.http.get(path, headers=under(world, simulation, **claims)).status_code)

    assert status() == 200
    assert status(partner=other_partner) == 403
    assert status(partner="no-such-partner") == 403
    assert status(sid="another-session") == 403
    assert status(sub="sub-somebody-else") == 403
    # Neither a member of another partner nor one of this partner gets more by it.
    stolen = {HEADER: simulation["simulation"]}
    for owner in (linked, other_partner):
        bearer = {**world.realm.bearer(owner), **stolen}
        assert vault.http.get(f"/v1/partners/{linked}/connections", headers=bearer).status_code == 403
    for wrong in ("", "0" * 32, "x", simulation["simulation"].upper()):
        headers = {**staff(world), HEADER: wrong}
        assert vault.http.get(f"/v1/partners/{linked}/connections", headers=headers).status_code == 403
    twice = [*staff(world).items(), (HEADER, simulation["simulation"]), (HEADER, simulation["simulation"])]
    assert vault.http.get(f"/v1/partners/{linked}/connections", headers=twice).status_code == 403


def test_it_ends_with_the_permission_with_its_time_and_by_its_person(
    vault: VaultProcess, world: World, linked: str, superuser: asyncpg.Connection
) -> None:
    simulation = begun(vault, world, linked)
    url = f"/v1/partners/{linked}/connections"
    assert vault.http.get(url, headers=under(world, simulation, groups=[])).status_code == 403
    # The login need not be as fresh as it was at the beginning.
    stale = under(world, simulation, auth_time=int(time.time()) - 1200)
    assert vault.http.get(url, headers=stale).status_code == 200

    own = f"/v1/partners/{linked}/simulations/{simulation['simulation']}"
    assert vault.http.delete(own, headers=staff(world, sub="sub-somebody-else")).status_code == 404
    assert vault.http.delete(own, headers=staff(world, groups=[])).status_code == 204
    assert vault.http.delete(own, headers=staff(world)).status_code == 404
    gone = vault.http.get(url, headers=under(world, simulation))
    assert (gone.status_code, gone.json()["type"]) == (403, "urn:tradepulse:problem:simulation-over")


async def test_its_time_is_up_when_it_is_and_a_second_one_takes_its_place(
    vault: VaultProcess, world: World, linked: str, superuser: asyncpg.Connection
) -> None:
    first = begun(vault, world, linked)
    second = begun(vault, world, linked, "partner-analyst")
    url = f"/v1/partners/{linked}/connections"
    assert vault.http.get(url, headers=under(world, first)).status_code == 403
    assert vault.http.get(url, headers=under(world, second)).status_code == 200
    await superuser.execute(
        "UPDATE vault.simulation SET opened_at = opened_at - interval '31 minutes', "
        "ends_at = ends_at - interval '31 minutes' WHERE simulation = $1",
        second["simulation"],
    )
    assert vault.http.get(url, headers=under(world, second)).status_code == 403
    with pytest.raises(asyncpg.CheckViolationError):
        await superuser.execute(
            "UPDATE vault.simulation SET ends_at = opened_at + interval '31 minutes' WHERE simulation = $1",
            second["simulation"],
        )


@pytest.mark.parametrize(
    ("claims", "body", "status"),
    [
        ({"groups": []}, {}, 404),
        ({"auth_time": 1}, {}, 401),
        ({"assurance_level": "aal1", "acr": "aal1"}, {}, 401),
        ({}, {"reason": "too short"}, 422),
        ({}, {"reason": " " * 40}, 422),
        ({}, {"seconds": 1801}, 422),
        ({}, {"seconds": 1}, 422),
        ({}, {"role": "partner-owner"}, 422),
        ({}, {"role": "super_admin"}, 422),
        ({}, {"partner": "another"}, 422),
    ],
)
def test_it_begins_for_nobody_else_and_for_no_longer(
    vault: VaultProcess, world: World, partner: str, claims: dict[str, Any], body: dict[str, Any], status: int
) -> None:
    answer = vault.http.post(
        f"/v1/partners/{partner}/simulations",
        headers=staff(world, **claims),
        json={"role": "partner-analyst", "reason": REASON, **body},
    )
    assert answer.status_code == status, answer.text


def test_a_member_of_a_partner_and_a_service_begin_none_and_nobody_one_at_a_partner_that_is_none(
    vault: VaultProcess, world: World, partner: str, other_partner: str
) -> None:
    body = {"role": "partner-analyst", "reason": REASON}
    member = world.realm.bearer(other_partner, groups=["super_admin"], email="root@example.test")
    url = f"/v1/partners/{partner}/simulations"
    assert vault.http.post(url, headers=member, json=body).status_code == 403
    assert vault.http.post("/v1/partners/nobody-at-all/simulations", headers=staff(world), json=body).status_code == 404
    known = vault.http.get("/v1/simulations/choices", headers=staff(world)).json()["partners"]
    assert {"partner": partner, "persona": "live-trading",
            "roles": ["partner-admin", "partner-analyst", "partner-trader"]} in known  # fmt: skip
    assert vault.http.get("/v1/simulations/choices", headers=staff(world, groups=[])).status_code == 403
