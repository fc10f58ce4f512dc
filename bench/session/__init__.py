"""The door: a checked request through nginx beside nginx alone and oauth2-proxy; what Keycloak does; what faults do.

    world.py      a whole stack of its own (`.stack-session-bench`), and people in it who can log in
    provider.py   tokens of the workforce's identity provider, as its clients would get them
    doors.py      three nginx on one upstream: ours, one without any check, one that asks oauth2-proxy
    checks.py     cached and uncached checks through those doors; a verification alone
    realm.py      logins, refreshes, grants and exchanges of Keycloak, in CPU seconds of its process tree
    faults.py     keys rotated, provider and Keycloak killed, under load: errors counted, wrong acceptances none
    __main__.py   `python -m bench.session [--quick]`

Every request that ours lets through carries another token than the one that came in: the upstream answers with
the `Authorization` that it saw, so a raw token that went on would be seen. oauth2-proxy verifies the token on every
request and exchanges nothing; it is the nearest of what a user would put there instead.
"""
