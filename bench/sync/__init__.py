"""A realm as code, measured: the same objects by admin-sync and by its peers, on one Keycloak with PostgreSQL.

    workload.py     what there is to be: roles, groups, clients, people. Deterministic
    formats/        the same workload as each tool wants it written
    server.py       Keycloak with an access log, restarted when it is to be cold
    tools.py        how each tool is told to apply, to look for drift and to apply one change
    runner.py       the order of things; one measurement for each cell
    __main__.py     `python -m bench.sync --sizes small,medium,large`

Every tool starts from a realm that is not there. `no-op` is a run that really looks at the server and
finds nothing to do; keycloak-config-cli's own no-op compares a checksum only and is a row of its own.
"""
