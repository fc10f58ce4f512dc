"""Static secrets of clients: where policy still allows one, it is rotated by itself and written where its client reads.

    policies.yaml exceptions ─┐
    Keycloak: since when ─────┼─ due ─▶ rotate ─▶ CLIENT.next ─▶ Keycloak ─▶ CLIENT (one file each, 0600) ─▶ audit
    the sink: what is there ──┘

    due.py       which secrets are due, and why; pure
    sink.py      the files that clients read their secret from
    rotate.py    one secret, in an order that a crash cannot break; run.py: all that are due, in all realms
    duty.py      the same as a duty of the reconciler

Everything else than these exceptions has no secret: a key of its own, or a platform that vouches for it
(docs/workload-identity.md). In realms of ours Keycloak refuses a secret whatever is written here, because a policy of
the realm does; the exceptions are for realms that somebody else made (`base: theirs`).
"""
