"""Compliance: what happened and what is held, for those who have to answer for it.

trail and rows (one tenant at a time) ─ gather.py ─▶ Digest ─┬ markdown.py ─▶ people
                                                              └ JSON ─▶ programs
api_events.jsonl ─ ecs.py ─▶ Elastic Common Schema ─▶ the SOC

digest.py      the digest as a value, and the pure counting
gather.py      reads one partner after the other
markdown.py    the same for reading
endpoints.py   `GET /v1/compliance/digest`: one partner for its own people, all of them for auditors
weekly.py      the worker's task that writes last week's digest to a directory
ecs.py         every audit event in ECS field names; `python -m vault_api soc` converts a stream of lines
"""
