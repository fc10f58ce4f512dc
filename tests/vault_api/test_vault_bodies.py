"""Case 9: bodies that are empty, huge, broken, ambiguous, deep or slow."""

from __future__ import annotations

import json
import socket
import time
from typing import Any
from urllib.parse import urlsplit

import psutil
import pytest
from vault_world import FIRST, TOKENS, VaultProcess, World, credential_url

INVALID = "urn:tradepulse:problem:invalid-request"
MALFORMED = "urn:tradepulse:problem:malformed-json"

BODIES: dict[str, tuple[bytes, int, str]] = {
    "empty": (b"", 422, INVALID),
    "not JSON": (b"access_token=x", 422, MALFORMED),
    "not UTF-8": (b'{"broker": "\xff"}', 422, MALFORMED),
    "half a surrogate pair": (b'{"broker": "\\ud800"}', 422, MALFORMED),
    "a duplicate key": (b'{"broker": "paper", "access_token": "a", "access_token": "b"}', 422, MALFORMED),
    "nested 20,000 deep": (b"[" * 20_000 + b"]" * 20_000, 422, MALFORMED),
    "nested in a field": (b'{"broker": ' + b'{"a":' * 3_000 + b"1" + b"}" * 3_000 + b"}", 422, MALFORMED),
    "NaN": (b'{"broker": NaN}', 422, MALFORMED),
    "a huge number": (b'{"broker": 1' + b"0" * 5_000 + b"}", 422, MALFORMED),
    "a list": (b"[]", 422, INVALID),
    "null": (b"null", 422, INVALID),
    "64 KiB and a byte": (b" " * 65_537, 413, "urn:tradepulse:problem:body-too-large"),
    "8 MiB": (b" " * (8 << 20), 413, "urn:tradepulse:problem:body-too-large"),
}

FIELDS: dict[str, dict[str, Any]] = {
    "no broker": {"broker": ...},
    "no access token": {"access_token": ...},
    "an empty access token": {"access_token": ""},
    "a token with a line break": {"access_token": "a\nb"},
    "a token with a NUL": {"access_token": "a\0b"},
    "a token beyond ASCII": {"access_token": "a\u00e9"},
    "a token of 16 KiB and a byte": {"access_token": "x" * 16_385},
    "a token that is a number": {"access_token": 7},
    "a token that is a list": {"access_token": ["a"]},
    "a refresh token that is true": {"refresh_token": True},
    "a broker that is no name": {"broker": "Paper; --"},
    "a time without an offset": {"expires_at": "2099-01-01T00:00:00"},
    "a time that is a number": {"expires_at": 4070908800},
    "a time that is none": {"expires_at": "soon"},
    "a scope with a space": {"scopes": ["a b"]},
    "too many scopes": {"scopes": ["s"] * 101},
    "scopes that are one text": {"scopes": "trade"},
    "a field we do not know": {"client_secret": "x"},
}


def put(vault: VaultProcess, world: World, partner: str, body: bytes) -> Any:
    headers = {**world.realm.bearer(partner), **FIRST, "Content-Type": "application/json"}
    return vault.http.put(credential_url(partner, "main"), headers=headers, content=body, timeout=30)


@pytest.mark.parametrize("body", BODIES)
def test_a_body_that_means_nothing_is_refused(body: str, vault: VaultProcess, world: World, partner: str) -> None:
    content, status, kind = BODIES[body]
    answer = put(vault, world, partner, content)
    assert (answer.status_code, answer.json()["type"]) == (status, kind), answer.text


@pytest.mark.parametrize("field", FIELDS)
def test_a_field_that_is_not_as_described_is_refused(
    field: str, vault: VaultProcess, world: World, partner: str
) -> None:
    document = {name: value for name, value in {**TOKENS, **FIELDS[field]}.items() if value is not ...}
    answer = put(vault, world, partner, json.dumps(document).encode())
    assert (answer.status_code, answer.json()["type"]) == (422, INVALID), answer.text
    assert answer.json()["errors"]
    assert vault.http.get(credential_url(partner, "main"), headers=world.realm.bearer(partner)).status_code == 404


def test_the_largest_token_set_that_is_described_is_stored(vault: VaultProcess, world: World, partner: str) -> None:
    tokens = {**TOKENS, "access_token": "x" * 16_384, "refresh_token": "y" * 16_384, "scopes": ["s" * 200] * 100}
    assert put(vault, world, partner, json.dumps(tokens).encode()).status_code == 201
    answer = vault.http.post(f"{credential_url(partner, 'main')}/release", headers=world.realm.bearer(partner))
    assert answer.json()["access_token"] == "x" * 16_384


def test_a_body_that_does_not_come_is_given_up_after_ten_seconds(
    vault: VaultProcess, world: World, partner: str
) -> None:
    address = urlsplit(vault.url)
    head = (
        f"PUT {credential_url(partner, 'main')} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n"
        f"Authorization: {world.realm.bearer(partner)['Authorization']}\r\nIf-None-Match: *\r\n\r\n{{"
    )
    with socket.create_connection((address.hostname, address.port), timeout=30) as connection:
        connection.sendall(head.encode())
        started = time.monotonic()
        answer = connection.recv(65_536)
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert 9 < time.monotonic() - started < 15


def test_huge_bodies_leave_memory_flat(vault: VaultProcess, world: World, partner: str) -> None:
    def resident() -> int:
        return int(psutil.Process(vault.process.pid).memory_info().rss)

    for content in (b" " * 65_000, b"[" * 65_000, b" " * (8 << 20)):
        put(vault, world, partner, content)
    before = resident()
    for _ in range(30):
        assert put(vault, world, partner, b" " * (8 << 20)).status_code == 413
        assert put(vault, world, partner, b"[" * 65_000).status_code == 422
    assert resident() - before < 16 << 20


def test_paths_and_queries_that_mean_nothing_are_404_or_422_and_never_500(
    vault: VaultProcess, world: World, partner: str
) -> None:
    bearer = world.realm.bearer(partner)
    long = "x" * 3000
    for path in (
        "/", "/v1", "/v1/partners", f"/v1/partners/{partner}", f"/v1/partners/{partner}/connections/", "/docs",
        "/%2e%2e/etc/passwd", "/v1/partners/%ff/connections", f"/v1/partners/{long}/connections",
    ):  # fmt: skip
        assert vault.http.get(path, headers=bearer).status_code == 404, path
    assert vault.http.delete(credential_url(partner, "main"), headers=bearer).status_code == 405
