"""Rotation of partners' keys and of the root key, and what else can be done about keys as a whole.

    POST /v1/keys/rotations ─ requests.py ─▶ vault.rotation ─▶ task.py, in the worker
        stage: partners ─ claim ─▶ turn.py: waiting ▶ settling ▶ sealing ▶ draining ▶ done
        all done ─ health gate ─▶ the next stage │ paused, with the reason

    endpoints.py, schemas.py   over HTTP
    stages.py                  canary, 10 %, 100 %: who goes when
    requests.py                asking, reading, steering: as vault_app, in the serving process
    task.py, turn.py           doing: as vault_rotator and as Keycloak's client vault-rotator, in the worker
    store.py, gate_store.py    the worker's statements; `sealed.py` knows which tables hold something sealed
    reseal.py                  a page of rows from one key to another, pure
    salt_writer.py             adds, points to and removes salts in Keycloak
    compose.py                 the parts put together
    retire.py                  removing an old salt, at zero rows
    shred.py                   removing a partner's salts for good, with proof
    recover.py                 disaster recovery: do the three holders still fit together?

A rotation of the root is one of partner keys: a key version stays under the root version that it was
pinned with, so whoever wants to leave an old root key gives every partner a new key under the new one.
"""
