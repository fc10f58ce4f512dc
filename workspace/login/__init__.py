"""Logging in and out: OpenID Connect with a code and PKCE, by the server, for the browser (BFF).

    browser ─ /auth/login ─▶ Keycloak ─ code ─▶ /auth/callback ─ proof, code ─▶ tokens ─▶ sealed session ─▶ cookie

    realm.py      what we ask of the realm's token endpoint, as the client `tradepulse` (RFC 7523)
    attempt.py    one login that is under way: its secrets, and where it leads back to
    endpoints.py  /auth/login, /auth/callback, /auth/logout, /auth/backchannel-logout
    places.py     which addresses a login may lead back to

The request, its answer and the tokens are judged by `identity.login`, as those of the command line are. No token is
ever in an address, in a page or in a cookie.
"""
