"""How logins go: counted as they happen, kept by steps of five minutes, and told to whoever may read audit trails.

    iam_events.jsonl ─ lines ─▶ counts ─┐
    metrics of services ─ scraped ──────┴ collector ─▶ PostgreSQL `access` ─ summary ─▶ dashboard, daily report
    a person ─ one question, one answer ─ pulse ──────▶

    figures.py    pure: a count, a level, steps of time
    lines.py      pure: what a line of the audit log counts as
    scraped.py    pure: what of a service's metrics is taken, and what became more since the last look
    store.py      the tables; what was read and how far are written together
    collector.py  the loop of the access service that feeds them
    summary.py    pure: rows made the figures of a period and their history; targets.py says what is good
    report.py     the report of a day, as Markdown (markdown.py) and as a page that needs nothing else (document.py)
    pulse.py      the question after a login: whom to ask, and what was answered
    endpoints.py  all of it over HTTP

Nothing here names a person: labels are reasons, methods and environments.
"""
