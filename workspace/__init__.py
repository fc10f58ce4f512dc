"""The workspace: where partners link brokers and staff ask for access. A backend for the browser (BFF).

    browser ─ cookie ─▶ session ─ the person's own token ─▶ vault, access service ─▶ page
                        session/  upstream/                                          pages/, templates/

It holds no key and decides nothing: what a person may see and do is said by the services behind it, which ask the
policy. Pages are made on the server and work without JavaScript; htmx makes some of them livelier.

    __main__.py     serve, migrate
    app.py          routes and middleware;   service.py puts everything together from settings.py
    guard.py        headers of every answer, and the origin of every change
    login/          in by the realm's login page (code and PKCE), out everywhere
    session/        the cookie, and what is sealed behind it
    upstream/       the services, asked with the person's token; what they refuse, as exceptions
    partner/        pure: what the vault says of a partner, in words for its pages
    failures.py     what people see when something went wrong
    pages/          a module for each part of the menu;   navigation.py is the menu
    asking.py       the form in which access is asked for, made a request
    render.py       pages from templates/;   static/ has styles, and what others made in vendor/
    health.py, metrics.py
"""
