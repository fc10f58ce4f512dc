"""The reconciler: what people approved and committed becomes true, and what has ended stops being so.

    approved request ─ verify again ─▶ commit ─┐
    head of the repository ────────────────────┼─▶ turn: plan, guard, apply per realm ─▶ bundle ─▶ OPA ─▶ status
    next expiry, new factor, interval ─────────┘                                └▶ ended grants out of the file

    service.py     the loop: what wakes it, back-off, one turn after another; `--once`
    turn.py        one turn, in an order in which it may be killed anywhere and simply be made again
    granting.py    approved requests become bindings in a commit, after everything was checked again
    applying.py    realm after realm; one that refuses or fails does not stop the others
    fulfilling.py  what became of each request, and the duties
    report.py      what a turn did, and what is remembered for the next
    ending.py      grants that ended leave the file in a commit; when the next one ends
    released.py    memberships whose line left the file, also where a provider may give them too
    duties.py      what else is done: a kind of request with an effect of its own, work that is due now and then
    requests.py    the database of requests, for a program without an event loop
    waking.py      what tells the loop that there is something to do
    tally.py       metrics and readiness;  web.py answers them
    settings.py    ADMIN_SYNC_RECONCILER_… and ACCESS_RECONCILER_…

It is not reachable from the network but for health and metrics. It believes neither the database nor the
work tree: a request is verified against the configuration in Git and the roster before it is committed, and
only what is committed is applied. What it keeps is in the repository: commits, and for each realm a reference
to the last one.
"""
