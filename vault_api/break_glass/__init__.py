"""Custody: the credentials of emergency accounts, sealed under the KMS and given out once each.

    keeper's token ─ gate ─▶ keep (pending) ─ Keycloak takes it ─▶ confirm (sealed)
    person's token ─ gate ─▶ proof of approval ─ verify ─▶ derive ─▶ release (once) ─▶ open ─▶ reply

Two things have to come together, and neither opens anything alone: the person's own, stepped-up token, which
the policy is asked about like any other, and a proof that the access service signed for this person, account
and request after two others approved it. The vault knows that service's public key and nothing else of it; the
access service never sees a credential.

    proof.py       the proof: a signed statement, checked here, trusted for two minutes
    seals.py       the key of one account's version, and what is sealed under it
    repository.py  the rows, as typed calls
    custody.py     keep, confirm, release: the order of things
    endpoints.py   the same over HTTP; schemas.py is what is sent

The key is a context of its own (`break-glass-key`), so no partner's key ever opens a row of this table. Two
holders have to agree and not three: a salt in Keycloak would make the emergency depend on the server that
it may be about. See decision 0052.
"""
