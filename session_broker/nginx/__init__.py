"""The DMZ proxy: nginx's configuration, rendered from one table of routes.

    client ─▶ nginx ─ auth_request ─▶ session-broker /authorize ─▶ internal token ─▶ nginx ─▶ service
                 └─ 401 │ 403 │ 503 (never the raw token)

What it promises, on every route because one function renders all of them:

- a service sees only headers that its route names and those that are ours. Nothing that a client sends
  is forwarded for being there, so no spelling of an internal header, no doubled one and no underscore gets by;
- `Authorization` towards a service is the internal token or is not there;
- a path that two servers could read in two ways (`%2f`, `..`, `//`, `;`, `\\`) is refused before it is matched,
  and what was matched is what is forwarded, byte for byte;
- an answer of the broker that is neither yes nor no is 503 with `Retry-After`;
- nothing is cached, no body or answer is written to a disk, and no query string or token to a log.

Modules, in the order of the flow:

- `site.py`      what a deployment has: addresses, names, limits, TLS; checked, since it ends up in a configuration
- `routes.py`    the table: which path goes where, with which headers, behind which service's check
- `render.py`    table and site to the text of nginx.conf; `parts.py` are its pieces
- `settings.py`  a site from environment variables (`PROXY_…`)
- `__main__.py`  `python -m session_broker.nginx` prints it, or writes it and lets nginx check it

docs/dmz.md is the page for operators.
"""
