"""The audit trail: hash-chained JSON lines, durable before the effect they record.

event ─▶ chain ─▶ file ─▶ signed checkpoint (copied off the host) ─▶ verify

- `event.py`: `AuditEvent`, what happened; cannot carry a secret.
- `chain.py`: the hash chain, which chain a line belongs to, `follow` for whoever chains in a database.
- `log.py`: `AuditLog`, one writer thread, grouped and synced; `AuditUnavailable` if not durable in time.
- `rejected.py`: refused tokens, a line each up to a rate.
- `journal.py`: which line of a chain comes next; `file.py`, `lock.py`, `hint.py`: the file, shared
  safely with other processes and mended after a crash.
- `shipper.py`: what a database chained in its transactions, brought into the file; `shipped_file.py`: each line once.
- `checkpoint.py`: Ed25519 signed notes of where a chain stood.
- `verify.py`: `verify_file` names the first line that was edited, removed, inserted, moved or cut off.
"""
