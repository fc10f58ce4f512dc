"""Requests in PostgreSQL: the database `access`, schema `access`.

    database.py    the pool, and a transaction with a deadline
    rows.py        a row becomes a `Record`
    ledger.py      what the desk does inside a transaction: lock, read, insert, move, append to the audit chain
    handover.py    the reconciler's side: what is approved and due, take it, report what came of it
    migrate.py     revisions (`migrations/`), run as `access_owner`

The service is `access_app`, the reconciler is `access_reconciler`; neither owns anything. Triggers keep what no
program may break: a request's text never changes and has the hash of its row, states move only along
`state.MOVES` and by the role that may, an approval names the hash of an open request and is nobody's own, every
move has an audit line in its transaction.
"""
