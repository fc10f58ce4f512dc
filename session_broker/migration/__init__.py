"""Leaving a platform's own tokens behind, in four phases that can be walked both ways (docs/migration.md).

token ─ legacy_token.looks_legacy ─▶ desk.py: what does the phase say? ─▶ doorkeeper, by the bridge ─▶ Admission

phase.py         what each phase accepts and hands upstream
phase_file.py    where the phase stands, for all processes
steps.py         `python -m session_broker migration status|forward|back|start`
desk.py          what a phase makes of a request
legacy_token.py  the platform's HS256 tokens, read and written here alone
bridge.py        the assertion by which Keycloak gives an internal token for a legacy one
roles.py         the one enumeration of legacy role names
usage.py         who still comes with legacy tokens
opening.py       all of it put together from settings.py; endpoint.py serves the bridge's public key
"""
