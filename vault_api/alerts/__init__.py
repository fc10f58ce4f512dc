"""Telling partners: what is raised in a transaction is delivered after it, by the routes that the partner named.

vault.alert ─ claim ─▶ routes of the partner ─ webhook, signed │ e-mail ─▶ delivered, or again later

message.py   pure: what a webhook and a mail say; no token is in either
webhook.py   POST to an address that the partner named, through the guard of `identity.destination`
mail.py      SMTP
task.py      the worker's task: every open alert by every route, with patience and an end to it
"""
