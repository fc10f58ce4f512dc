"""Connections: a partner's accounts at brokers, and the token set the vault keeps for each.

schemas.py     what requests and answers look like
conditions.py  If-Match, If-None-Match and Idempotency-Key
brokers.py     which broker a connection is at, remembered
service.py     store, release, describe, list: the order in which key, row and audit line come
outcomes.py    what came of it, told: problems, and what may be shown
endpoints.py   the same over HTTP
"""
