"""The Sigma rules find what they are for in audit lines, and nothing else; tried as SQL on a real SQLite."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pytest
from sigma.backends.sqlite import sqliteBackend
from sigma.collection import SigmaCollection

from stack.layout import CHECKOUT

FOLDER: Final = CHECKOUT / "observability" / "siem"
START: Final = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
COLUMNS: Final = ("timestamp", "event", "outcome", "reason", "actor", "partner", "resource", "session", "ip")

Line = Mapping[str, Any]


def line(event: str, minute: float = 0, **changed: Any) -> Line:
    outcome = "failure" if event.endswith(".error") else "success"
    record = {"event": event, "outcome": outcome, "timestamp": (START + timedelta(minutes=minute)).isoformat()}
    return {"actor": "quant.one@tradepulse.example", **record, **changed}


def wrong(minute: float, **changed: Any) -> Line:
    return line("login.error", minute, resource="credential_type=otp realm=tradepulse-prod", **changed)


def stranger(partner: str, minute: float) -> Line:
    why = "no_role_grants_permission,not_a_member_of_partner"
    return line("credential.release", minute, outcome="denied", reason=why, partner=partner)


QUIET: Final[Mapping[str, list[Line]]] = {
    "an ordinary morning": [
        line("login"),
        line("token.issued"),
        line("login.error", reason="invalid_user_credentials", resource="realm=tradepulse-prod"),
        line("custom_required_action.error", reason="rejected_by_user"),
        line("break_glass.read", actor="service:reconciler"),
        line("token.refreshed.error", reason="invalid_token", resource="client=tradepulse realm=tradepulse-prod"),
        line("audit.reconciled"),
        line("login.risk"),
        line("credential.release", outcome="denied", reason="no_role_grants_permission", partner="acme-capital"),
    ],
    "four wrong codes, and one much later": [*(wrong(minute) for minute in range(4)), wrong(30)],
    "five people mistype once": [wrong(1, actor=f"person-{number}") for number in range(5)],
}

LOUD: Final[Mapping[str, tuple[str, list[Line]]]] = {
    "five wrong codes": ("Second factors of a person fail repeatedly", [wrong(minute) for minute in range(5)]),
    "an emergency code": ("Somebody gets past a second factor, or tries to", [line("mfa_bypass.used")]),
    "a factor without a proof": (
        "Somebody gets past a second factor, or tries to",
        [line("credential.registered.error", reason="not_allowed")],
    ),
    "an emergency account": ("An emergency account is in use", [line("break_glass.open")]),
    "another partner": ("Something of another partner is asked for", [stranger("birch-research", 0)]),
    "three partners": ("Several partners are tried by one actor", [stranger(name, 1) for name in ("a", "b", "c")]),
    "a token twice": (
        "A refresh token came twice",
        [line("token.refreshed.error", resource="cause=refresh_token_reused client=tradepulse")],
    ),
    "two roles": ("Roles that are kept apart would have met", [line("separation.withheld", outcome="denied")]),
    "a hole": ("The audit trail is not whole", [line("audit.reconciled", outcome="failure", reason="missing:3")]),
    "a listed network": ("A login was denied for its risk", [line("login.risk", outcome="denied", reason="network")]),
}

COUNTED: Final = frozenset({"A wrong second factor"})
"""Of no interest alone: others count them."""


@pytest.fixture(scope="module")
def queries() -> Mapping[str, str]:
    """Title -> SQL."""
    found: dict[str, str] = {}
    for file in sorted(FOLDER.glob("*.yml")):
        collection = SigmaCollection.from_yaml(file.read_text())
        for rule in collection.rules:
            if hasattr(rule, "detection"):
                # A rule that is only counted by another has no query of its own.
                found[rule.title] = "\n".join(sqliteBackend().convert_rule(rule))
        counted = [rule for rule in collection.rules if not hasattr(rule, "detection")]
        if counted:
            found[counted[0].title] = sqliteBackend().convert(collection)[-1]
    return found


@pytest.fixture
def table() -> Iterator[sqlite3.Connection]:
    database = sqlite3.connect(":memory:")
    database.execute(f"CREATE TABLE logs ({', '.join(COLUMNS)})")
    yield database
    database.close()


def found(database: sqlite3.Connection, queries: Mapping[str, str], lines: list[Line]) -> set[str]:
    database.executemany(
        "INSERT INTO logs VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", [[one.get(name) for name in COLUMNS] for one in lines]
    )
    runs = {title: query.replace("<TABLE_NAME>", "logs") for title, query in queries.items()}
    return {title for title, query in runs.items() if database.execute(query).fetchall()} - COUNTED


@pytest.mark.parametrize("name", QUIET)
def test_nothing_is_found_where_nothing_is(table: sqlite3.Connection, queries: Mapping[str, str], name: str) -> None:
    assert found(table, queries, QUIET[name]) == set()


@pytest.mark.parametrize("name", LOUD)
def test_what_a_rule_is_for_is_found(table: sqlite3.Connection, queries: Mapping[str, str], name: str) -> None:
    title, lines = LOUD[name]
    assert title in found(table, queries, lines)


def test_every_rule_has_a_case_that_it_finds(queries: Mapping[str, str]) -> None:
    assert {title for title, _ in LOUD.values()} == set(queries) - COUNTED


@pytest.mark.parametrize("file", sorted(FOLDER.glob("*.yml")), ids=lambda file: file.stem)
def test_a_rule_speaks_of_events_that_are_written(file: Path) -> None:
    names = set(
        re.findall(
            r"\b(?:login|mfa_bypass|credential|update_totp|break_glass|token|separation|audit)\.[a-z_.]+",
            file.read_text(),
        )
    )
    sources = [*(CHECKOUT / "realm/extension/src/main/java").rglob("*.java"), *(CHECKOUT / "admin_sync").rglob("*.py")]
    text = "\n".join(one.read_text() for one in [*sources, *(CHECKOUT / "vault_api").rglob("*.py")])
    for name in names:
        assert name.rstrip(".").removesuffix(".error") in text, name
