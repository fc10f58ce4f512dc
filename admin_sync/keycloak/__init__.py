"""The conversation with Keycloak: one connection, a gateway that reads and writes, one adapter per kind of object.

gateway.py     `Gateway`, the protocol of both ways to a realm, and `choose`
choice.py      what an operator may say about the way
adapter.py     `Reader` (what adapters read from), `Writer`, `Adapter`
registry.py    every adapter, in the order of dependency; `state.py` asks them all
rest/          the way by the admin API alone
base/, iam/    the adapters of the base realm and of `configs/iam`
connection.py  HTTP, tokens, errors by cause, retries of reads
"""
