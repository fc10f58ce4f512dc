"""Case 10: a secret sent through everything is found nowhere but in the body of a release."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable
from typing import Any

import asyncpg
import httpx
from vault_world import FIRST, TOKENS, VaultProcess, World, audit_url, credential_url


def forms(canary: str) -> list[str]:
    """The canary as it is, and as it would look after the usual conversions."""
    raw = canary.encode()
    return [canary, raw.hex(), repr(raw)[2:-1], canary[5:-5]]


async def test_a_secret_is_found_nowhere_but_in_the_body_of_a_release(
    start_vault: Callable[..., VaultProcess], own_database: dict[str, str], world: World, partner: str, tmp_path: Any
) -> None:
    vault = start_vault(
        **own_database, TRADEPULSE_AUDIT_DIR=str(tmp_path / "audit"), VAULT_LOG_LEVEL="DEBUG",
        VAULT_STATEMENT_SECONDS="1", VAULT_KEY_SECONDS="1",
    )  # fmt: skip
    # Neither has the shape that the log's redaction knows; only never writing it down helps.
    access, refresh = f"Canary-{secrets.token_hex(16)}", f"Canary-{secrets.token_hex(16)}"
    answers = await asyncio.to_thread(drive, vault, world, partner, access, refresh)

    address = own_database["VAULT_DATABASE_URL"].rpartition("/")[2]
    superuser = await asyncpg.connect(world.postgres.dsn("postgres", address))
    try:
        # Under errors that PostgreSQL raises in the middle of a store.
        await superuser.execute(
            "CREATE FUNCTION public.refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
            "RAISE EXCEPTION 'refused: %', NEW USING ERRCODE = 'data_exception', DETAIL = NEW::text; END $$;"
            "CREATE TRIGGER refuse BEFORE INSERT OR UPDATE ON vault.credential "
            "FOR EACH ROW EXECUTE FUNCTION public.refuse()"
        )
        answers += await asyncio.to_thread(drive, vault, world, partner, access, refresh)
        await superuser.execute("DROP TRIGGER refuse ON vault.credential")
        tables = await superuser.fetch(
            "SELECT format('%I.%I', schemaname, tablename) AS name FROM pg_tables WHERE schemaname = 'vault'"
        )
        dumped = [
            str(row[0])
            for table in tables
            for row in await superuser.fetch(f"SELECT t::text FROM {table['name']} t")  # noqa: S608 - from pg_tables
        ]
    finally:
        await superuser.close()
    released = [answer for answer in answers if answer.status_code == 200 and answer.url.path.endswith("/release")]
    assert released
    assert all(answer.json()["access_token"] == access for answer in released)
    bodies = [answer.text for answer in released]
    assert all(refresh not in body for body in bodies)
    metrics = vault.http.get("/metrics").text
    await asyncio.sleep(0.5)
    vault.end()
    files = [path.read_text(errors="replace") for path in (tmp_path / "audit").rglob("*") if path.is_file()]
    assert len(dumped) > 30
    assert any("credential.release" in file for file in files)
    places = {
        "answers": "\n".join(shown(answer) for answer in answers if answer not in released),
        "headers of releases": "\n".join(str(answer.headers) for answer in released),
        "log": vault.logged(),
        "metrics": metrics,
        "database": "\n".join(dumped),
        "audit files": "\n".join(files),
    }
    for place, text in places.items():
        for canary in (access, refresh):
            for form in forms(canary):
                assert form not in text, place


def shown(answer: httpx.Response) -> str:
    return f"{answer.headers}\n{answer.text}"


def drive(vault: VaultProcess, world: World, partner: str, access: str, refresh: str) -> list[httpx.Response]:
    """Both secrets through every call and into every place of it where a caller can put text."""
    url, bearer = credential_url(partner, "main"), world.realm.bearer(partner)
    tokens = {**TOKENS, "access_token": access, "refresh_token": refresh}
    answers: list[httpx.Response] = []

    def send(method: str, address: str, **more: Any) -> None:
        answers.append(vault.http.request(method, address, timeout=30, **more))

    send("PUT", url, headers={**bearer, **FIRST, "Idempotency-Key": access}, json=tokens)
    send("PUT", url, headers={**bearer, **FIRST, "Idempotency-Key": access}, json={**tokens, "access_token": refresh})
    send("PUT", url, headers={**bearer, "If-Match": '"7"'}, json=tokens)
    send("PUT", url, headers=bearer, json=tokens)
    send("PUT", url, headers={**bearer, **FIRST}, content=f'{{"access_token": "{access}"'.encode())
    send("PUT", url, headers={**bearer, **FIRST}, content=f"access_token={access}".encode())
    send("PUT", url, headers={**bearer, **FIRST, "Content-Type": "text/plain"}, content=f"[{access}".encode())
    for field in ("broker", "expires_at", "refresh_expires_at", "scopes", access):
        for value in (access, [access], {access: refresh}, [{refresh: access}]):
            send("PUT", url, headers={**bearer, **FIRST}, json={**tokens, field: value})
    send("PUT", url, headers={**bearer, **FIRST}, json={**tokens, "access_token": f"{access} {refresh}"})
    send("PUT", url, headers={**bearer, **FIRST}, json={**tokens, "broker": access.lower()})
    for name in ("If-Match", "If-None-Match", "Idempotency-Key", "traceparent", "Cookie", "X-Forwarded-For"):
        send("PUT", url, headers={**bearer, **FIRST, name: f"{access} {refresh}"}, json=tokens)
    send("POST", f"{url}/release", headers=bearer)
    send("POST", f"{url}/release", headers=bearer, json=tokens)
    send("POST", f"{url}/release", headers={"Authorization": f"Bearer {access}"})
    send("POST", f"{url}/release", headers={"Authorization": f"Basic {access}"})
    send("POST", f"{url}/release", params={"access_token": access}, headers=bearer)
    send("GET", url, headers=bearer)
    send("GET", url, headers=bearer, params={access: refresh})
    send("GET", f"/v1/partners/{partner}/connections", headers=bearer, params={"after": access, "limit": refresh})
    send("GET", audit_url(partner), headers=bearer, params={"after": access, "limit": refresh})
    send("GET", audit_url(partner), headers=bearer)
    send("GET", credential_url(access, refresh), headers=bearer)
    send("GET", credential_url(partner, access), headers=bearer)
    send("POST", f"{credential_url(partner, access)}/release", headers=bearer)
    send("PUT", credential_url(partner, access), headers={**bearer, **FIRST}, json=tokens)
    send("GET", f"/{access}")
    send(access, url, headers=bearer)
    world.realm.away = True
    time.sleep(1.1)
    try:
        send("POST", f"{url}/release", headers=bearer)
        send("PUT", url, headers={**bearer, "If-Match": '"1"'}, json=tokens)
    finally:
        world.realm.away = False
    for health in ("live", "ready", "auth"):
        send("GET", f"/health/{health}", params={access: refresh})
    return answers
