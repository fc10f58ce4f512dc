"""Refreshing brokers' tokens: in time, once, and without losing one.

    schedule ─ claim, fence ─▶ begin (intent) ─▶ open ─▶ sending (intent) ─▶ broker ─▶ seal ─▶ commit (compare and set)
                                                                              └▶ fail: again later │ reconnect_needed

    timing.py      pure: when a token is refreshed, and how long a failure waits
    repository.py  typed calls of the functions in 0005_refresh.sql
    refresher.py   one refresh for one claim: the order in which intent, broker and commit come
    freshness.py   what a release near the end of a token waits for: one refresh for all who wait
    tasks.py       the worker's tasks: refresh what is due, look after brokers that want the person again

What must survive a crash is in PostgreSQL before the broker is called: that this refresh token is being
sent, by which claim. No transaction is open while a broker thinks, and whoever finds the trace of a
dead worker knows whether the token may have been spent.
"""
