"""The vault beside OpenBao: release and store, kv-v2 read and write, transit, rotation; in one run.

    world.py      PostgreSQL (with fsync), OPA with the real rules, a loopback realm, and the vault on them
    openbao.py    OpenBao on raft and on that PostgreSQL, with its file audit device on
    load.py       wrk: requests per second, p50, p99; CPU of the servers for each request
    scripts.py    what wrk sends
    rotation.py   100,000 rows moved to a new key while others read; transit rewrap of as many values
    __main__.py   `python -m bench.vault`

Ours does the whole path for each request: verified token, policy decision, row security, open or seal, an
audit line chained and committed with it. OpenBao checks its token and policy, and writes two audit lines
that it does not sync. The realm is the tests' own (`tests/vault_api/vault_world.py`): Keycloak takes no
part in a release.
"""

from __future__ import annotations

import sys

from stack.layout import CHECKOUT

# The surroundings of the vault's tests are modules of theirs, not of a package.
sys.path.insert(0, str(CHECKOUT / "tests" / "vault_api"))
