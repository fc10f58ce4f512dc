"""Telling partners: what is raised in a transaction is delivered after it, by the routes that the partner named.

vault.alert ─ claim ─▶ routes of the partner ─ webhook, signed │ e-mail ─▶ delivered, or again later

schemas.py   what there is to be told, and how a partner says where
routes.py    a partner's own routes, their secrets sealed; endpoints.py has them over HTTP, and the log of deliveries
message.py   pure: what a webhook and a mail say; no token is in either
webhook.py   POST to an address that the partner named, through the guard of `identity.destination`
mail.py      SMTP
weekly.py    the worker's tasks that tell the vault's week and new keys
task.py      the worker's task: every open alert by every route, with patience and an end to it
"""
