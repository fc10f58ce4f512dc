"""audit reconcile: the proof that no event of Keycloak's is missing from the audit files, or its repair.

    Keycloak's stored events ─ ask ─▶ Stored ─┐
    write-ahead files, then audit files ─ read ─▶ Lines ─┴ compare ─▶ Findings ─ append ─▶ report, checkpoints

    stored.py       polls /events and /admin-events, without a gap however many share a millisecond
    written.py      which event ids have a line, and which are announced and will get one
    compare.py      what is missing and what is doubled, purely
    lines.py        a stored event as the audit line that is missing
    progress.py     how far each realm is reconciled, and that only one run is under way
    checkpoints.py  verifies and signs the chains whose writer has no key: Keycloak's
    run.py          all of it, in the one order that is exact
    repeated.py     run after run, with metrics, as a service

Keycloak writes an event's id to its write-ahead file before it commits the event, and removes it only
once the audit file has the line. So who asks Keycloak first, then reads the write-ahead files, and the
audit files last, finds every id that Keycloak has in one of the two; one that is in neither is lost.
"""
