"""Offboarding: everything that a person has here goes, the most dangerous first, and a report says what and when.

    person ─ guard ─▶ journal ─▶ step by step, in every environment ─ look ─▶ take ─ look again ─▶ report
                        ▲                                                      │
                        └────────────── a killed run goes on from here ────────┘

    case.py        who it is about, and what the steps share: Keycloak, the configuration, the clock
    accounts.py    their accounts in each realm, and disabling them
    sessions.py    sessions, offline tokens and consents; Keycloak tells the services behind it
    bindings.py    the commit that bars them and takes their grants out, and the bundle that OPA decides by
    leases.py      what they borrowed from the vault
    requests.py    what they asked for, and what others wait for them to decide
    possessions.py credentials, roles, groups and memberships of partners that their accounts hold
    everybody.py   a freeze ends the sessions of all but the holders of emergency roles
    reinstating.py the way back
    person.py      every address by which something may be theirs
    last.py        the guard: somebody has to be left who can give access
    journal.py     what is about to be done and what was, durable line by line
    run.py         the order of things; `STEPS` is the table
    report.py      what was revoked and when, as JSON and as Markdown
    settings.py    ADMIN_SYNC_OFFBOARDING_…, and the vaults

Accounts are disabled and never deleted: the audit names people by the id of their account. A step that fails
does not keep the others from being done; the run ends with 1 and says what is left. Every step looks before it acts,
so running it again is safe, finishes what was left, and finds what came back.
"""
