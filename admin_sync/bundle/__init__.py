"""The signed policy bundle: from the configuration to rules and data that OPA serves.

    PolicySource ─ check ─▶ render ─▶ data ─┐
                        policy/*.rego ─ test ┴─ sign ─▶ Bundle ─ publish ─▶ directory │ https │ registry ─▶ OPA
                                          audit ◀─ decisions, status ◀─ receive ◀──────────────────────────┘

A bundle is always a signed snapshot, never a delta: OPA cannot verify deltas. The same input gives
the same bytes. It says until when it is good, because OPA keeps serving its last bundle when it
cannot have a new one, and a freeze is a bundle that says so. Serial numbers (Unix milliseconds) let
the callers of OPA notice a replay.

    source.py      what a bundle is made from, as values
    check.py       do the names in it lead somewhere
    render.py      values to the data document, and its digest
    lapsed.py      grants that the bundle before had on record and this one has not
    routes.py      which role gives which permission, and what each way demands
    build.py       run the rules' own tests, then make a bundle (`build_bundle`)
    sign.py        one call of `opa build` with the signing key, signed again deterministically
    archive.py     files to an archive, always the same bytes
    publish.py     put it in the place of the last one, atomically (`publish`)
    release.py     build, publish, wait until it is served, one audit line (`release`)
    published.py   what a published bundle says of itself (`read_published`)
    target.py      what every place for a bundle can do; address.py finds the one that an address names
    directory.py   a directory; http_target.py: PUT to a web server; oci_target.py: a tag in a registry
    oci_auth.py    how a registry is told who we are; web.py: HTTP as publishing needs it
    await_opa.py   wait until an OPA serves it (`wait_until_served`)
    serve.py       a small web server with long polling, for where no other serves the directory
    receive.py     what OPA reports, made durable and known when it comes twice (`Receiver`)
    decisions.py   OPA's decision log as audit events
    opa_config.py  OPA's own configuration (`opa_config`)
    keys.py        the signing key pair
    opa_binary.py  where `opa` is (`find_opa`)
    errors.py      everything that can go wrong, as a tree

The rules are in `policy/`; `policy/README.md` is their page.
"""
