"""Watching the audit log for what somebody has to be told of: failed and bypassed factors, lock-outs, refused roles.

    iam_events.jsonl ─ follow ─▶ line ─ detect ─▶ Alert ─▶ outbox ─ webhook, signed ─▶ whoever watches
                                   └─ tally ─▶ /metrics

    line.py      a line as detectors read it
    follow.py    the lines of a file in order, over rotations and half lines, from where we stopped
    detect.py    the table of what is an alert; pure, with what it has to remember
    alert.py     what is said, and its id, which is the same whenever the same lines are read
    state.py     where we stopped, what detectors remember, what is not delivered yet: one file, replaced whole
    deliver.py   Standard Webhooks, with patience and an end to it
    tally.py     Prometheus
    service.py   the loop

An alert is written down before it is sent and crossed out afterwards, so a crash repeats it at worst, under the same
id, and never loses it.
"""
