"""What holds for every call there is, walked along the OpenAPI document, so that a new one is held to it as well.

No input makes a 5xx, another partner's things answer as missing ones, and a secret that is sent into any
place is found nowhere.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import asyncpg
import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from joserfc.jwk import OKPKey
from lease_world import OPERATOR, Target, new_target
from test_vault_canary import forms
from vault_world import FIRST, TOKENS, VaultProcess, World, credential_url, new_database, private_file

PARTNER = "/v1/partners/{partner}"

EXAMPLES = int(os.environ.get("TRADEPULSE_EXAMPLES", "6"))
"""Generated requests for each call; more of them find more."""

BODIES: dict[tuple[str, str], Any] = {
    ("put", f"{PARTNER}/connections/{{connection}}/credential"): TOKENS,
    ("post", f"{PARTNER}/connections"): {"broker": "paper", "connection": "main"},
    ("post", f"{PARTNER}/leases"): {"template": "reporting"},
    ("post", f"{PARTNER}/leases/{{lease}}/renew"): {},
    ("post", f"{PARTNER}/simulations"): {"role": "partner-analyst", "reason": "a call that was walked along"},
    ("put", f"{PARTNER}/members/{{account}}/roles/{{role}}"): {},
    ("post", f"{PARTNER}/invitations"): {"email": "somebody@partner.example", "role": "partner-analyst"},
    ("put", f"{PARTNER}/alert-routes/{{route}}"): {"email": "ops@partner.example"},
}
"""A sound body for each call on a partner that takes one; a new call has to give its own."""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("every-call")


@pytest.fixture(scope="module")
def target(world: World, home: Path) -> Target:
    return asyncio.run(new_target(world, home))


@pytest.fixture(scope="module")
def served(world: World, target: Target, home: Path) -> Iterator[tuple[VaultProcess, dict[str, str]]]:
    """A vault with everything switched on, at the most talkative log level."""
    approvals = OKPKey.generate_key("Ed25519", {"use": "sig", "alg": "Ed25519", "kid": "access"})
    (home / "approvals.json").write_text(json.dumps({"keys": [approvals.as_dict(private=False)]}))
    chosen = {
        **asyncio.run(new_database(world)),
        "TRADEPULSE_AUDIT_DIR": str(home / "audit"),
        "VAULT_LOG_LEVEL": "DEBUG",
        "VAULT_APPROVAL_KEYS_FILE": str(home / "approvals.json"),
        "VAULT_LEASES_FILE": str(target.templates(home, limits="per_partner = 500\nper_person = 500")),
        "VAULT_LEGACY_KEY_FILE": str(private_file(home / "legacy.key", secrets.token_hex(32))),
    }
    vault = world.start(**chosen)
    yield vault, chosen
    vault.end()


def document(vault: VaultProcess) -> dict[str, Any]:
    return dict(vault.http.get("/openapi.json").json())


def calls(vault: VaultProcess) -> list[tuple[str, str, dict[str, Any]]]:
    paths = document(vault)["paths"]
    return [(method, path, operation) for path, operations in paths.items() for method, operation in operations.items()]


def test_no_input_makes_a_5xx(served: tuple[VaultProcess, dict[str, str]], world: World, partner: str) -> None:
    vault, _ = served
    assert vault.http.put(
        credential_url(partner, "main"), headers={**world.realm.bearer(partner), **FIRST}, json=TOKENS
    ).is_success
    bearers = (
        world.realm.bearer(partner, role="partner-admin", **{"groups": ["super_admin"], "email": OPERATOR["email"]}),
        world.realm.bearer(partner, role="partner-analyst"),
    )
    seen: dict[str, set[int]] = {}
    for result in schemathesis.openapi.from_dict(document(vault)).get_all_operations():
        operation = result.ok()
        label = f"{operation.method.upper()} {operation.path}"
        seen[label] = generated(vault, operation, bearers, {"partner": partner, "connection": "main"})
        assert all(status < 500 for status in seen[label]), (label, seen[label])
    assert len(seen) > 15
    # It got past the gate: some calls did something.
    assert {200, 404, 422} <= set().union(*seen.values())


def generated(vault: VaultProcess, operation: Any, bearers: Any, known: dict[str, str]) -> set[int]:
    """The statuses of generated requests: once as they come, and once where there is something."""
    statuses: set[int] = set()

    @settings(
        max_examples=EXAMPLES, deadline=None, derandomize=True, database=None, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(case=operation.as_strategy())
    def send(case: schemathesis.Case) -> None:
        sent = case.as_transport_kwargs(base_url=vault.url)
        for number, bearer in enumerate(bearers):
            names = {**(case.path_parameters or {}), **(known if number == 0 else {})}
            path = operation.path
            for name, value in names.items():
                path = path.replace(f"{{{name}}}", quote(str(value), safe="") or "x")
            headers = {k: v for k, v in dict(sent.get("headers") or {}).items() if sendable(k, v)}
            data = sent.get("data")
            answer = vault.http.request(
                operation.method, path, headers={**headers, **bearer}, params=sent.get("params"),
                json=sent.get("json"), content=data if isinstance(data, bytes) else None, timeout=30,
            )  # fmt: skip
            statuses.add(answer.status_code)

    send()
    return statuses


def sendable(name: str, value: object) -> bool:
    text = f"{name}{value}"
    return text.isascii() and text.isprintable() and name.lower() not in ("authorization", "content-length", "host")


def test_every_call_on_another_partner_answers_as_on_one_that_does_not_exist(
    served: tuple[VaultProcess, dict[str, str]], world: World, partner: str, other_partner: str
) -> None:
    vault, _ = served
    for owner in (partner, other_partner):
        url = credential_url(owner, "main")
        assert vault.http.put(url, headers={**world.realm.bearer(owner), **FIRST}, json=TOKENS).is_success
    bearer = world.realm.bearer(partner, role="partner-admin")

    def seen(method: str, path: str, place: str) -> Any:
        filled = path.replace("{partner}", place).replace("{connection}", "main").replace("{lease}", "0" * 24)
        filled = filled.replace("{simulation}", "0" * 32)
        body = BODIES.get((method, path))
        answer = vault.http.request(
            method, filled, headers={**bearer, "If-Match": '"1"'}, json=body, params={"after": "x", "limit": "x"}
        )
        shown = {name: value for name, value in answer.json().items() if name != "trace_id"}
        return answer.status_code, shown, {k: v for k, v in answer.headers.items() if k != "date"}

    walked = [(method, path, operation) for method, path, operation in calls(vault) if path.startswith(PARTNER)]
    for method, path, operation in walked:
        assert "requestBody" not in operation or (method, path) in BODIES, f"give {method} {path} a body in BODIES"
        missing = seen(method, path, "no-such-partner")
        assert missing[0] == 404, (method, path, missing)
        assert seen(method, path, other_partner) == missing, (method, path)
    assert len(walked) >= 12


def test_a_secret_sent_into_every_place_of_every_call_is_found_nowhere(
    served: tuple[VaultProcess, dict[str, str]], world: World, partner: str, home: Path
) -> None:
    vault, chosen = served
    canary = f"Canary-{secrets.token_hex(16)}"
    bearer = world.realm.bearer(
        partner, role="partner-admin", **{"groups": ["super_admin"], "email": OPERATOR["email"]}
    )
    assert vault.http.put(
        credential_url(partner, "main"), headers={**bearer, **FIRST}, json={**TOKENS, "access_token": canary}
    ).is_success
    answers: list[httpx.Response] = []
    for method, path, operation in calls(vault):
        for filled, more in places(method, path, operation, partner, canary):
            answers.append(
                vault.http.request(
                    method, filled, timeout=30, **{**more, "headers": {**bearer, **more.get("headers", {})}}
                )
            )
    lent = vault.http.post(f"/v1/partners/{partner}/leases", headers=bearer, json={"template": "reporting"})
    password = lent.json()["credential"]["password"]
    released = [one for one in answers if one.status_code == 200 and one.url.path.endswith("/credential/release")]
    assert released
    assert len(answers) > 150
    shown = "\n".join(f"{one.headers}\n{one.text}" for one in answers if one not in released)
    metrics = vault.http.get("/metrics").text
    dumped = asyncio.run(dump(world, chosen))
    files = [path.read_text(errors="replace") for path in (home / "audit").rglob("*") if path.is_file()]
    assert len(dumped) > 1000
    found_in = {
        "answers": shown,
        "log": vault.logged(),
        "metrics": metrics,
        "database": dumped,
        "audit": "\n".join(files),
    }
    for place, text in found_in.items():
        for secret in (canary, password):
            for form in forms(secret):
                assert form not in text, (place, text[max(0, text.index(form) - 200) : text.index(form) + 50])


def places(
    method: str, path: str, operation: dict[str, Any], partner: str, canary: str
) -> Iterator[tuple[str, dict[str, Any]]]:
    """The canary in each path parameter, query parameter, header, field of the body, and in bodies that are none."""
    # What is revoked on the way must not be what is released at the end.
    connection = "main" if method != "delete" else "another"
    sound = path.replace("{partner}", partner).replace("{connection}", connection).replace("{lease}", "0" * 24)
    sound = sound.replace("{rotation}", "0" * 24).replace("{verb}", "pause")
    sound = sound.replace("{simulation}", "0" * 32)
    declared = operation.get("parameters", [])
    yield sound, {"params": {"after": canary, "limit": canary, canary: canary}}
    yield sound, {"headers": {"Idempotency-Key": canary, "If-Match": canary, "Cookie": canary, "Accept": canary}}
    yield sound, {"headers": {"Authorization": f"Bearer {canary}"}}
    for parameter in declared:
        name = parameter["name"]
        if parameter["in"] == "path":
            yield (
                path.replace(f"{{{name}}}", canary).replace("{partner}", partner).replace("{connection}", connection),
                {},
            )
        elif parameter["in"] == "query":
            yield sound, {"params": {name: canary}}
        elif parameter["in"] == "header":
            yield sound, {"headers": {name: canary}}
    if "requestBody" not in operation:
        return
    yield sound, {"content": f'{{"x": "{canary}"'.encode()}
    yield sound, {"content": canary.encode(), "headers": {"Content-Type": "text/plain"}}
    yield sound, {"json": {canary: canary}}
    (content,) = operation["requestBody"]["content"].values()
    for field in content.get("schema", {}).get("properties", {}):
        for value in (canary, canary.lower(), [canary], {canary: canary}):
            body = {**(BODIES.get((method, path)) or {}), field: value}
            yield sound, {"content": json.dumps(body).encode(), "headers": {"If-Match": '"9"'}}


async def dump(world: World, chosen: dict[str, str]) -> str:
    """Everything in the vault's schema as text."""
    name = chosen["VAULT_DATABASE_URL"].rpartition("/")[2]
    superuser = await asyncpg.connect(world.postgres.dsn("postgres", name))
    try:
        tables = await superuser.fetch(
            "SELECT format('%I.%I', schemaname, tablename) AS name FROM pg_tables WHERE schemaname = 'vault'"
        )
        rows = [
            str(row[0])
            for table in tables
            for row in await superuser.fetch(f"SELECT t::text FROM {table['name']} t")  # noqa: S608 - from pg_tables
        ]
        return "\n".join(rows)
    finally:
        await superuser.close()
