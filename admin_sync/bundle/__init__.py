"""The signed policy bundle: from the configuration to rules and data that OPA serves.

    PolicySource ─ check ─▶ render ─▶ data ─┐
                        policy/*.rego ─ test ┴─ sign ─▶ Bundle ─ publish ─▶ bundle.tar.gz ─ serve ─▶ OPA

A bundle is always a signed snapshot, never a delta: OPA cannot verify deltas. It says until when it
is good, because OPA keeps serving its last bundle when it cannot have a new one, and a freeze is a
bundle that says so. Serial numbers (Unix milliseconds) let the callers of OPA notice a replay.

    source.py      what a bundle is made from, as values
    check.py       do the names in it lead somewhere
    render.py      values to the data document, and its digest
    routes.py      which role gives which permission, and what each way demands
    build.py       run the rules' own tests, then make a bundle (`build_bundle`)
    sign.py        one call of `opa build` with the signing key
    publish.py     put it in the place of the last one, atomically (`publish`)
    published.py   what a published bundle says of itself (`read_published`)
    await_opa.py   wait until an OPA serves it (`wait_until_served`)
    serve.py       a small web server with long polling, for where no other serves the directory
    opa_config.py  OPA's own configuration (`opa_config`)
    keys.py        the signing key pair
    opa_binary.py  where `opa` is (`find_opa`)
    errors.py      everything that can go wrong, as a tree

The rules are in `policy/`; `policy/README.md` is their page.
"""
