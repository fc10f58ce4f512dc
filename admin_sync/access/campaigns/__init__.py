"""Campaigns of certification in the database `access`, and decisions over HTTP.

    operator ─ certify open ─▶ store.opened ─▶ campaign, items
    reviewer ─ token ─▶ endpoints ─▶ deciding: stepped up? may they? ─▶ one transaction: decisions, audit lines
    operator ─ certify close ─▶ store.closing ─▶ (commit, evidence) ─▶ store.closed

    store.py      rows of campaigns, items and decisions, inside somebody else's transaction
    office.py     the operator's side: open, begin to close, close, each one transaction (role `access_reconciler`)
    deciding.py   the reviewer's side (role `access_app`)
    bodies.py, endpoints.py   what is sent and answered under /access/v1/campaigns

What is asked and who may answer is `admin_sync/certification`, which knows nothing of servers.
"""
