"""`python -m vault_api legacy-…`: what an operator does to move between row formats.

legacy-backfill   brings the present table up to the earlier one; progress on stderr
legacy-report     opens every row of both and compares; exit 1 while they differ
legacy-forward    one phase further; into `new_only` only when the report is complete
legacy-back       one phase back, always possible
legacy-status     the phase
"""

from __future__ import annotations

import asyncio
import getpass
import json
import sys
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from datetime import timedelta

import uvloop

from identity.audit.event import AuditEvent
from vault_api.keyring import KeyContextMismatch, KeyUnavailable
from vault_api.legacy.backfill import Filled
from vault_api.legacy.backfill import backfill as fill
from vault_api.legacy.compose import Legacy
from vault_api.legacy.phase import Phase
from vault_api.legacy.report import compare
from vault_api.settings import VaultSettings
from vault_api.store.database import DatabaseUnavailable
from vault_api.vault import Vault, open_vault

_REFUSED = 5


def status() -> int:
    """Says which phase it is."""
    return _run(_status)


def backfill() -> int:
    """Fills the present table."""
    return _run(_backfill)


def report() -> int:
    """Compares both tables."""
    return _run(_report)


def forward() -> int:
    """One phase further."""
    return _run(lambda vault, legacy: _switch(vault, legacy, +1))


def back() -> int:
    """One phase back."""
    return _run(lambda vault, legacy: _switch(vault, legacy, -1))


def _run(work: Callable[[Vault, Legacy], Awaitable[int]]) -> int:
    settings = VaultSettings()

    async def run() -> int:
        async with open_vault(settings) as vault:
            if vault.legacy is None:
                raise ValueError("set VAULT_LEGACY_KEY_FILE; without it there is no earlier format here")
            try:
                return await work(vault, vault.legacy)
            except (DatabaseUnavailable, KeyUnavailable, KeyContextMismatch) as error:
                _say(f"stopped: {error}; a re-run is safe")
                return 1

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(run())


async def _status(_: Vault, legacy: Legacy) -> int:
    phase, since = await legacy.phases.state()
    _answer({"phase": phase.label, "since": None if since is None else since.isoformat()})
    return 0


async def _backfill(vault: Vault, legacy: Legacy) -> int:
    def observe(partner: str, filled: Filled) -> None:
        _say(f"{partner}: {filled.looked_at} looked at, {filled.written} written, {filled.unreadable} unreadable")

    filled = await fill(legacy.rows, vault.keyring, legacy.key, observe=observe)
    outcome = "failure" if filled.unreadable else "success"
    await vault.trail.record(
        AuditEvent(
            event="legacy.backfill", outcome=outcome, actor=_operator(), resource="platform",
            reason=f"written:{filled.written}",
        )
    )  # fmt: skip
    _answer(asdict(filled))
    return 1 if filled.unreadable else 0


async def _report(vault: Vault, legacy: Legacy) -> int:
    found = await compare(legacy.rows, vault.keyring, legacy.key)
    _answer(found.document())
    return 0 if found.complete else 1


async def _switch(vault: Vault, legacy: Legacy, step: int) -> int:
    before = await legacy.phases.now(fresh=True)
    if before + step not in list(Phase):
        _say(f"{before.label} is the {'last' if step > 0 else 'first'} phase")
        return _REFUSED
    after = Phase(before + step)
    if after == Phase.NEW_ONLY:
        found = await compare(legacy.rows, vault.keyring, legacy.key)
        if not found.complete:
            _answer(found.document())
            _say("the present table does not have everything yet; run legacy-backfill and look at the report")
            return _REFUSED
    event = AuditEvent(event="legacy.switch", outcome="success", actor=_operator(), resource="platform")
    dwell = timedelta(seconds=vault.settings.legacy_dwell)
    outcome = await legacy.rows.switch(before, after, dwell, vault.trail.line(event))
    if outcome != "switched":
        wait = f"it began less than {vault.settings.legacy_dwell:g} s ago" if outcome == "too_soon" else "it has moved"
        _say(f"the phase was not switched: {wait}; look at legacy-status and repeat")
        return _REFUSED
    _answer({"from": before.label, "to": after.label})
    return 0


def _operator() -> str:
    # Whoever runs this holds the service's own secrets; the account's name is what there is to say about them.
    return f"operator:{getpass.getuser()}"


def _answer(document: object) -> None:
    print(json.dumps(document, indent=2))  # noqa: T201 - the result of the command


def _say(line: str) -> None:
    print(f"vault-api: {line}", file=sys.stderr)  # noqa: T201 - progress and what went wrong
