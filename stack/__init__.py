"""The embedded development stack: the real servers as child processes, without a container engine.

    make up ─ prerequisites ─▶ install │ fetch │ build ─▶ provision ─▶ start, in order of need ─▶ apply ─▶ story
                 (every step runs as soon as what it needs is done; a second `make up` finds most of it done)

    up ─ services.json ─▶ supervisor ─ spawn ─▶ postgres, keycloak, opa, bundles, neighbours, vault, access, …
    status ◀─ state.json ─┘      └─ a crash starts again, later each time; SIGTERM stops all, the database last

What it promises: everything listens on loopback only; every secret is generated, and lies in one file that
only its owner can read; a killed supervisor takes its children along; ports that are taken are replaced; what
is not ours is never signalled; all of it works as root and as an ordinary user, twice beside each other
(TRADEPULSE_STACK_DIR names another state directory).

    __main__.py       the commands that the Makefile calls
    up.py             the steps of `make up` and what each needs
    steps.py          run steps side by side, say how long each took
    prerequisites.py  what the machine must have, all that is missing in one run
    install.py        .venv and OPA
    java.py           Java and Maven as they are here
    keycloak.py       Keycloak: fetch, package the extension, build, run
    postgres.py       PostgreSQL: initialise, roles and databases, run
    account.py        who runs what must not run as root, and where its files can lie
    opa.py            OPA and the server of its bundle
    neighbours/       identity providers of others, played by a real OpenID server
    paper_broker/     a broker of ours to practise on: OAuth 2.0 with rotating refresh tokens, and orders
    vault.py          vault-api: root key, schema, run
    access.py         requests for access: schema, run
    workspace.py      the web application: schema, run
    session_broker.py the token exchange: run
    reconciler.py     the repository of the configuration, and the reconciler: run
    proxy.py          the DMZ proxy: render its configuration, run the machine's nginx on it
    provision.py      secrets, key pairs, OPA's configuration and `.stack/env`
    settings.py       every setting of the product's programs
    people.py         one-time passwords for the people of dev
    invitation.py     a member of a partner, with a one-time password
    service.py        what the supervisor is told of a service, and whether it is well
    control.py        start, tell, await and stop the supervisor
    supervisor.py     the daemon that owns the children
    process.py        start, recognise and end processes
    status.py         what a person is told
    layout.py         where everything lies
    files.py          atomic files, digests, locks
    ports.py          free ports
    login/            log in as a person would (browser with a security key, or plain HTTP)
    demo/             the story that the first `make up` tells
    images/           `make images`: the container images of docker-compose.yml
    compose/          the jobs that a deployment by docker compose starts with
"""
