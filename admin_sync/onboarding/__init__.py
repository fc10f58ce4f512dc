"""Onboarding: what a new HR roster means for accounts, for grants and for whoever has to look at them again.

    roster or events ─ read ─▶ Roster ─┐
          the roster of before ────────┴ implausible? ─ compare ─▶ joined, moved, left
          bindings, accounts of the realms ─────────────────────────────┴ survey ─▶ what each has and lacks
                                joined: account, required actions, invitation ─▶ report ─▶ remembered

    events.py        hired, moved, renamed, left: lines of JSON that change a roster
    movement.py      two rosters become who joined, moved and left
    survey.py        what each of them holds: bindings, accounts; what has to be certified again or taken away
    invitations.py   accounts for those who join: made, invited, and where a run was killed in between, invited again
    remembered.py    the roster of before, and who left with something still theirs
    report.py        what was done, in text
    run.py           all of it, one person after the other

A person who joins gets an account where people are local, with a password and a second factor still to be chosen,
and no grant but those that a binding gives: what they need they request (`admin-sync request`). Where people are
federated their account appears at their first login. Who moves keeps what they hold, and the report names it for
their new manager to look at. Who leaves is listed until nothing of theirs is left; taking it is `admin-sync
offboard`, so that a wrong line in a roster takes nothing from anybody.
"""
