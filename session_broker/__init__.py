"""The session broker: an external token comes in, an internal one goes on, and nothing else ever does.

    bearer ─ verify ─▶ VerifiedIdentity ─ exchange ─▶ InternalToken ─ checks, audit ─▶ Grant ─▶ nginx ─▶ service
             verify.py                   exchange.py                  doorkeeper.py   cache.py

It stands behind the DMZ proxy (`auth_request`) or beside one service (the same check as a sidecar).
Follow one request: `authorize.py` reads the service that nginx names and the bearer token,
`doorkeeper.py` has the order of things, `verify.py` asks who issued the token and checks it by that
issuer's own rules, `exchange.py` redeems it in Keycloak (RFC 7523) and narrows it to one audience
(RFC 8693), and what came back is verified like any other internal token before it goes anywhere.

    __main__.py      serve
    app.py           routes and middleware; `compose.py` puts everything together from `settings.py`
    access.py        the file that says which providers and which services there are
    authorize.py     `GET /authorize` for nginx; `token_endpoint.py` is `POST /token` for clients without nginx
    doorkeeper.py    verify, exchange, check, record, remember: the one way to a grant
    verify.py        tokens by issuer: external ones (`external.py`) and our own
    exchange.py      the seam, and Keycloak behind it; `breaker.py` protects it and us from each other
    cache.py         grants by token hash, for as long as a revocation may take to be noticed
    ended.py         sessions that ended, shared by all processes of a host
    logout.py        `POST /backchannel-logout`; `leases.py` has the vault end what the session borrowed, `relays.py`
                     passes it on to applications, and `errands.py` tries both until they are done
    admission.py     what goes on to the service; in a migration (`migration/`) its phase decides
    trail.py         audit lines; `metrics.py`, `health.py` and `problems.py` are what it says

Three rules hold everywhere. The token that came in never goes on: without an exchange the answer is
401, 403 or 503. Whatever is not in the access file is refused, a service without providers included.
A token that is handed on never lives longer, reaches further or claims more than the one it came from.
"""
