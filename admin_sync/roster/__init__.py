"""The HR roster: who works here, for whom, since when, and under which other addresses.

    roster.csv │ users.json (SCIM-shaped) ─ parse ─▶ rows ─ judge ─▶ Roster │ every finding, with its line
                                            Roster of before, Roster of now ─ implausible ─▶ reasons to stop

    people.py      `Employee` and `Roster`: who somebody is, whether they are employed, who leads them
    csv_form.py    rows of a CSV file (RFC 4180)
    scim_form.py   rows of a SCIM list response (RFC 7643, RFC 7644)
    judge.py       what is wrong between rows: duplicates, unknown and circular managers
    plausible.py   a roster that cannot be the next one: empty, half, doubled
    reading.py     a file becomes a `Roster`, or `InvalidInput` with every finding

Everything but `reading.read` is pure. A roster with a finding is no roster: who is missing from a broken file
must not look as if they had left. Somebody who is not in a roster is nobody: they have no manager and nobody
speaks for them (deny by default).
"""

from __future__ import annotations

from admin_sync.roster.people import Employee, Roster, canonical
from admin_sync.roster.plausible import implausible
from admin_sync.roster.reading import parse, read

__all__ = ["Employee", "Roster", "canonical", "implausible", "parse", "read"]
