"""Requests for access: who asks for what, who has to agree, and one transaction that decides.

    person ─ CLI, workspace ─ token ─▶ api/ ─▶ desk.py ─▶ one transaction ─▶ PostgreSQL `access`
                                        what a request may be: kinds.py, rules.py, separation.py
                                        who may speak about it: speakers.py, chain.py
    PostgreSQL: approved ─ store/handover.py ─▶ the reconciler ─ verified.py ─▶ its effect ─▶ fulfilled │ failed

Pure, and open to read without a server:

    request.py     `Request`, the text that is hashed, `Approval`, `Record`: a request with all that happened to it
    state.py       open, approved, fulfilled │ denied │ cancelled │ expired │ failed, and who may move it
    chain.py       `Need` and `Voice`: which approvals are missing
    speakers.py    who is one person, and in which capacity they may speak about a request
    kinds.py       the table of kinds: payload, approvals, longest duration, what it gives. A new kind is a line here
    rules.py       why a request cannot be made, or cannot be approved any more
    separation.py  segregation of duties with everything that is asked for at the same time
    preview.py     what a request would change: permissions by environment, conflicts, who could agree
    catalogue.py   what can be asked for: roles, groups, for how long, which rules know an exception
    verified.py    what the reconciler checks again before anything takes effect: hash, voices, chain, rules

With servers:

    desk.py        submit, approve, deny, cancel: each one transaction under the lock of the person it is about
    configured.py  configuration and HR roster as they are now, read again when a file changes
    store/         PostgreSQL: transactions, rows, the audit chain, the reconciler's side (`handover.py`)
    api/           HTTP under /access/v1;   service.py puts all together;   __main__.py: serve, migrate

Three rules hold everywhere. A request never changes: whoever wants something else asks again. Nobody speaks about
what they asked for or are given, whichever account they use. Nothing happens that has no audit line in the same
transaction. The service can neither change Keycloak nor the configuration: it only records what people decided.
"""
