"""The vault: keeps partners' broker tokens, and gives one out only against a decision and an audit line.

    bearer ─ verify ─▶ Caller ─ OPA ─▶ Admitted ─▶ key ─▶ seal │ open ─▶ row and audit line ─▶ reply
             identity/          gate.py            keyring.py  sealing/   store/, one transaction
                                                   ├ kms/      root key
                                                   ├ salts.py  Keycloak
                                                   └ store/    pinned fingerprint

Follow one release: `connections/endpoints.py` parses, `gate.py` says who and whether, the service in
`connections/service.py` has the order of things (the policy is asked about the connection's broker,
which `connections/brokers.py` remembers), `store/migrations/0001_functions.sql` reads the row and
appends the line in one round trip, `sealing/envelope.py` opens the value, `trail/shipper.py`
brings the line into `api_events.jsonl`.

    __main__.py      serve, worker, migrate, and the operator's commands
    app.py           routes and middleware; `vault.py` puts everything together from `settings.py`
    fast_lane.py     release, store and describe ahead of the framework; `identity/serving.py` listens
    gate.py          who calls, and may they; `permissions.py` is the table of which call needs what
    connections/     store, release, describe, list
    members/         who belongs to a partner: invited, given roles for a while or for good, taken leave of
    linking/         connecting a broker by OAuth; `brokers/` speaks with brokers, `refresh/` keeps tokens fresh
    leases/          credentials that are lent for a while, and taken back
    break_glass/     credentials of emergency accounts, in custody until somebody may open one
    simulation/      staff who look at a partner as a member of it would, and can do nothing there
    legacy/          the earlier row format beside the present one, and the way between them
    compliance/      the digest, and the trail in the words of a SOC
    trail/           the audit trail: its lines, a partner's view of it, the file
    health/          live, ready, auth, metrics
    worker/          what is done without being asked, in a process of its own; `alerts/` tells partners
    rotation/        keys as a whole: rotating, retiring, shredding, and proving a recovery
    sealing/         pure: from the KMS's answer to a sealed token, and back
    keyring.py       partners' keys, for a bounded time; `kms/` and `salts.py` are two of the three holders
    store/           PostgreSQL: pool, typed calls, migrations, and what row security rests on (`posture.py`)
    names.py, tokens.py, problems.py, paging.py, openapi.py, metrics.py   what they say

Three rules hold everywhere. Nothing is done for a caller that is not recorded in the same transaction. Tenancy is
PostgreSQL's row security and not a WHERE clause somebody has to remember. A token is of type
`BrokerToken`, which shows itself nowhere, until it is sealed or put into the body of a release.
"""
