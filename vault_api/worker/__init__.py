"""Work that nobody asked for over HTTP: refreshing, rotating, ending leases, telling partners.

    task.py      what a task is: a name, a rhythm, one round
    runner.py    runs every task in its own loop: jitter, back-off, and a failure stays its own
    tasks.py     the tasks of this vault, built from its parts; a new one is a line there
    endpoints.py is the worker alive, do its tasks succeed, metrics

`python -m vault_api worker` is a process beside the one that serves requests, and several of them may run:
what must not be done twice is claimed in PostgreSQL, never remembered in a process.
"""
