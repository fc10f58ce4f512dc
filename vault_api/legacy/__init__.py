"""The earlier row format, and the way from it to the present one without anybody noticing.

    phase            writes            a tie is read from
    legacy           the earlier       the earlier
    both             both              the earlier
    new_preferred    both              the present
    new_only         the present       the present, and nothing else is looked at

    format.py        the earlier format (docs/decisions/0024), with frozen vectors in tests/vault_api/vectors
    phase.py         the phases, and who knows which one it is now
    repository.py    the rows
    connections.py   store, release, describe and list while both formats are there
    backfill.py      brings the present table up to the earlier one, with progress
    report.py        opens every row of both and says where they differ
    commands.py      `legacy-status`, `-backfill`, `-report`, `-forward`, `-back` of `python -m vault_api`
    endpoints.py     `GET /v1/legacy/status`

It is there only with VAULT_LEGACY_KEY_FILE; without it no request looks at any of this. Two rules make a switch
harmless. A connection's newest version wins, whichever table has it, so in every phase but the last all that was ever
stored is found. And a writer's phase is checked in the transaction of its write: one step behind or ahead is fine,
because neighbouring phases share a table, and more is refused and asked again.
"""
