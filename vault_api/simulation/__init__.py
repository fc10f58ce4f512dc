"""Simulations: somebody of staff looks at a partner's workspace as a member of it would, and can do nothing there.

    staff ─ partner:simulate, stepped up, a reason ─▶ begin ─▶ row, and a line in both trails, in one transaction
    reading, with the simulation's number ─▶ gate ─ does it stand? still allowed? ─▶ as that member ─ OPA ─▶ answer

schemas.py     requests and answers
endpoints.py   choose, begin, end
opening.py     what has to be true before one begins
standing.py    a request under a simulation: which calls it may make, and as whom
directory.py   the partners and the roles that each may hand out, as the bundle has them
repository.py  the rows

A simulation changes who is asked about and never what is allowed: the policy decides about a member with that
role, so a role that the partner may not hand out sees nothing here either. It is bound to the account and the
session that opened it, lasts half an hour at most, and ends with the permission. Every reading is a line in the
partner's own trail under the name of who looks, and `roles` says `simulation:<number>`.
"""
