"""Break-glass: emergency accounts that nobody can use until two members of security agree, and then for an hour.

    seal     make credential ─▶ vault keeps it (pending) ─▶ Keycloak takes it ─▶ vault confirms (sealed)
    open     request ─ two approvals ─▶ reconciler: opening noted, account enabled, grant committed
             person's token + proof signed by the access service ─▶ vault ─▶ the credential, once
    close    its end, or earlier by hand ─▶ sessions ended, account disabled, grant gone, credential sealed anew
    review   within `review_within`, by somebody else; `status` is red until then

In the order of the flow:

    accounts.py    which accounts there are, what they are called in a realm, which role an opening gives
    passkey.py     a security key in software: what a realm stores of it, and its signature at a login
    credential.py  a password and such a key; the text that is sealed
    realm.py       the account in Keycloak: enabled or not, its credentials and sessions
    custody.py     the vault, as the keeper who can put credentials in and take none out
    sealing.py     a new credential, in an order in which a crash leaves none that nobody can open
    opening.py     the reconciler's fulfilment of a request (`reconciler/duties.py`)
    closing.py     the reconciler's duty: what is over is closed, what was enabled by hand is disabled, what was not
                   reviewed in time is told again
    store.py       openings in the database `access`;  stage.py: what one is at an instant, pure
    proof.py       the access service's word to the vault;  endpoints.py, desk.py: what it answers over HTTP
    login.py       how whoever opened logs in with it at a terminal

Emergency accounts are no people: they have no line in the roster, no standing binding and nothing to certify.
Their grant is an ordinary binding with an end, in a commit with its request and approvals, so OPA denies them on
time even if nothing here runs any more. See docs/break-glass.md.
"""
