"""The trail: every call on a partner leaves a line, in the transaction of its effect, and the line reaches a file.

    line.py      cuts a canonical audit line into the pieces that PostgreSQL splices and hashes
    record.py    writes down what was refused or failed
    rejected.py  refused tokens: a line each up to a rate, one line for all the others
    page.py      reads a partner's own trail and recomputes its hashes
    shipper.py   appends committed lines to `api_events.jsonl`, exactly once and in the order of their chains
    file.py      that file: whole lines, durable, shared with other writers

Lines about one partner are chained per partner. Whatever cannot be put on a partner's account (a
refused token, a caller who does not belong to it) is in the chain of no partner, so that nobody can write
into somebody else's trail, or make chains by asking for names.
"""
