"""Emergency MFA bypass: a code of two halves that stands in for the second factor once, for one person, for hours.

    the person (or whoever asks for them) ─ makes half one, sends its verifier ─▶ request `mfa_bypass`
    a member of security approves ─ makes half two, tells it to the person ─▶ its verifier in the approval
    a system owner approves ─▶ approved ─▶ the reconciler ─ both verifiers, end, request ─▶ the account in Keycloak
    login: password, then both halves ─▶ aal2 in the session until the end, `amr` says mfa_bypass, the code is used up

    code.py     halves and what recognises them (pure)
    carried.py  how a request and an approval carry a verifier (pure)
    account.py  the account in Keycloak: open, look at, withdraw
    client.py   a person's calls: ask, agree; makes the halves
    fulfil.py   an approved request takes effect; called by the reconciler
    watching.py the reconciler's duty: a code that nobody approved is closed, and that is an alert

Neither the person nor an approver can log in alone, and no server holds a code: the person has no second half, the
approver neither the first half nor the password. What is checked at the login, and what such a session may not do,
is in `realm/extension/…/bypass`.
"""
