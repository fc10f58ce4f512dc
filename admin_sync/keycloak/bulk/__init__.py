"""Reading a realm in one request and changing it in one transaction, where the server has our provider.

    capability.py   whether it has, and what it takes
    reader.py       the state document as a `Reader`
    recorder.py     what adapters would send, written down instead: a `Writer` over it
    batch.py        what was written down, cut into transactions
    gateway.py      the three put together

The server's side is `realm/extension/.../bulk/`. It carries the recorded admin calls out with
Keycloak's own resource classes, so rights, checks and admin events are the same by both gateways.
"""
