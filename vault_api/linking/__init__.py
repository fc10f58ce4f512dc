"""Linking a broker: from "connect" to a sealed token set that the right people agreed to.

    start ─ authorize URL ─▶ broker ─ code, state, iss ─▶ workspace ─ the person's own bearer ─▶ callback
                                                                                       └▶ exchange ─▶ seal ─▶ row
                                          (where the partner wants it) somebody else approves ─▶ credential

    pkce.py         pure: state, nonce, verifier and challenge, the authorize URL
    schemas.py      what requests and answers look like
    repository.py   typed calls of the functions in 0004_link.sql
    starting.py     begins a link
    finishing.py    the callback: who, which broker, exchange, keep
    decisions.py    approve and revoke
    revoking.py     the worker's task that tells brokers what was revoked here
    endpoints.py    the same over HTTP

The callback is finished by a call that carries the bearer token of a person: their browser comes back
to the workspace, which holds their session, and the vault compares the subject and the session of the
token with those that began. A state in other hands, or in another browser, thus links nothing.
"""
