"""Brokers: what the configuration says of them, and how to speak OAuth 2.0 with them.

    catalog.py   brokers and partners' wishes, as admin-sync signed them into the bundle that OPA serves
    schemas.py   their shapes
    secrets.py   client secrets and webhook secrets, from the files that their names lead to
    metadata.py  a broker's endpoints (RFC 8414), remembered
    oauth.py     the token and the revocation endpoint, in bounded time and size
    offers.py    which brokers a caller may link, and what else they may do; endpoints.py says it over HTTP
    answer.py    pure: what the answer of a token endpoint means

Nothing in here knows partners' rows or keys.
"""
