"""Sealing: how a broker token becomes bytes that are worth nothing without three holders.

Everything here takes values and returns values; there is no I/O, no clock and no configuration.

    canonical.py   the one encoding of a tuple of byte strings
    keys.py        a partner's key from the KMS's answer; its fingerprint; the keys of one record
    envelope.py    seal, open, and the layout of a sealed value

Frozen vectors of the format live in `tests/vault_api/vectors/` and are checked there by a second
implementation that shares no code with this one.
"""
