"""Leases: credentials that are lent for a while and taken back, whatever happens in between.

    ask ─ policy, for every scope ─▶ begin (row, caps) ─▶ make at the target ─▶ active (row, line) ─▶ told once
    expiry │ logout │ offboarding │ freeze │ crash half-way ─▶ ending ─ worker, until the target agrees ─▶ ended

    templates.py   what the operator allows to be lent: databases, scopes and their permissions, templates
    schemas.py     requests and answers
    holder.py      what the policy was told about the requestor, kept so that it can be asked again
    admission.py   may they hold it, and until when
    issuing.py     issue and renew: the order in which row, target and line come
    holdings.py    list, describe and end
    seals.py       narrowed tokens at rest
    compose.py     all of it put together
    keeper.py      the worker's task: ends what is due, and asks the policy about what lives
    targets.py     what a target can do; `postgres.py` (with `scram.py`) and `broker.py` are the two there are
    repository.py  the rows
    endpoints.py   the same over HTTP

A lease never holds more than its requestor may do: every role on a database and every scope at a broker
has a permission in the operator's table, the policy is asked for each of them, and a lease ends with the
decision that allowed it. A caller names a template and never anything that becomes SQL.
"""
