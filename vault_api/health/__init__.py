"""Health: is the process alive, can it do its work, and do logins get through.

checks.py      one function for each thing the vault depends on
endpoints.py   `/health/live`, `/health/ready`, `/health/auth`, `/metrics`
"""
