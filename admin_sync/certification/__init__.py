"""Certification: once a quarter, somebody else looks at every binding and says keep or revoke, with a reason.

    role_bindings.yaml ─┐
    HR roster ──────────┼─ snapshot ─▶ items ─ decide ─▶ decisions ─ close ─▶ outcomes ─ commit ─▶ role_bindings.yaml
    who made it (git) ──┤                                                └▶ report ─ sign ─▶ evidence
    last use (events) ──┘

    item.py        one binding as a reviewer sees it; its key and its hash
    provenance.py  who wrote each binding, and when: the history of the file
    usage.py       when each person was last seen in each environment, and how far back that is known
    snapshot.py    all of it put together, or the reasons why this roster is not believed
    reviewer.py    who may decide: manager, owner or security, and never who had a hand in it
    outcome.py     what becomes of every item when a campaign is closed, and what is refused
    calendar.py    quarters, and whether the next campaign is overdue
    report/        the evidence: content, text, page, signature, and its verification

Everything but `provenance.py` and the readers of `usage.py` is pure. Campaigns live in the database `access`
(`admin_sync/access/campaigns`), where decisions are taken over HTTP by people with a stepped-up session. Opening and
closing are an operator's: they need Keycloak's events and the right to commit, and the API has neither.
"""
