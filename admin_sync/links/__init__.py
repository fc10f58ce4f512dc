"""Links between accounts here and the names that a platform's own tokens give them (docs/migration.md).

names.csv ─ listed.py ─▶ Name(subject, email) ─ linking.py, beside the realm ─▶ linked │ already │ why not
"""
