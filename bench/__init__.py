"""Benchmarks: ours and what a user would pick instead, measured in one run on one machine.

    sync/        a realm as code: admin-sync, keycloak-config-cli, OpenTofu, kcadm
    vault/       release, store and rotation beside OpenBao
    session/     a checked request through nginx beside oauth2-proxy; what Keycloak does; faults under load
    peers.py     where the other programs are; `python -m bench.peers build` fetches and builds them
    measure.py   wall time, CPU and memory of whole process trees; requests in an access log
    results.py   the result file: its shape, reading, merging, writing
    table.py     a table for people; plot.py a picture of it

Nothing here is part of the product and no test asserts a time. What could not be measured is null in
the result file, with the reason beside it.
"""
