"""The practice broker: a small OAuth 2.0 authorization server with accounts, orders and a mind of its own.

It exists so that linking and refreshing are tried against somebody who keeps the rules: code with PKCE
(S256 only), exact redirect URIs, `iss` in the answer (RFC 9207), metadata (RFC 8414), refresh tokens that
are good for one use and whose family dies when one is used again, revocation (RFC 7009), and orders that
only a token with the scope `trade` can place. It belongs to the stack and is no part of the product.

    __main__.py   `python -m stack.paper_broker`: settings from the environment, one or two ports
    app.py        authorize, token, revoke, metadata, orders
    wire.py       forms, token answers, loopback addresses
    consent.py    the page on which an account's owner logs in and agrees
    grants.py     codes, families and tokens, in SQLite so that a restart forgets nobody
    control.py    a port of its own for tests: lifetimes, faults, counts; absent unless asked for
    run.py        the broker as a service of the stack
    visit.py      agree on that page without a browser
"""
