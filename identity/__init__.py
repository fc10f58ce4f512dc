"""What every Python service shares: who is calling, may they, and the record of it.

bearer ─ verify ─▶ Principal ─ OPA ─▶ Decision ─ audit ─▶ effect ─▶ reply

In the order of the flow:

- `bearer.py`: the one access token of a request, and the verified caller as a FastAPI dependency.
- `verify.py`: token to `Principal`; `jws.py` opens and checks the signature, `claims.py` the claims,
  `jwks.py` keeps the issuer's keys, `key_set.py` reads them, `reject.py` names the reasons,
  `strict_json.py` parses.
- `principal.py`: `Principal`, `Membership`, `AssuranceLevel`.
- `opa.py`: asks the policy engine; `decision.py` is what it answers.
- `audit/`: hash-chained events, durable before their effect.
- `problem.py`: errors as RFC 9457; `body.py` bounds request bodies, `form.py` reads forms,
  `schema_names.py` names their mistakes; `trace.py` carries the trace id.
- `settings.py`, `secret.py`: environment variables, and secrets from files only we can read.
- `service_token.py`: our own services' tokens, `client_key.py` how they prove themselves (RFC 7523);
  `outbound.py` calls other servers bounded, `trust.py` says whom it believes, `webhook.py` signs what we tell them.
- `serving.py`: the HTTP server, in one process or several; `observed.py` counts and times what it answers.
- `flight.py`: one piece of work for all who ask for the same at once.
- `durable.py`: files that are there as a whole or not at all.
- `chart.py`: figures as a picture (SVG) for pages and reports.
- `revisions.py`: a service's schema in PostgreSQL, brought up to date.
- `logout_token.py`: the issuer says that a session is over.
- `login/`: a person at a terminal: the session that all their programs share.
- `logs.py`, `redact.py`: JSON logs to stderr, without secrets.

This package imports nothing of the others.
"""
