"""A person's session in the workspace: an opaque cookie outside, sealed tokens inside.

    cookie.py    the two cookies, and the secret in them
    seal.py      that secret to a row's name and to the key that opens the row
    store.py     the rows (PostgreSQL)
    content.py   what lies sealed in a row
    sessions.py  open, find, renew under a lock, end
    migrations/  the schema

The service holds no key. A row is sealed under a key that is derived from the cookie, so neither a copy of the
database nor the cookie alone is a session. A session ends with the realm's: by logout, by back-channel logout, when
it was not used for long, and after a working day whatever was done.
"""
