"""What a partner's pages say, worked out from the vault's answers. Pure: no page and no request in here.

health.py  a connection's state in words: how it is, and what to do about it
trail.py   the audit trail: which lines are wanted, going back from the newest, and whether they hold
export.py  the same as files
terms.py   roles in words, until when somebody has one, and the first steps of a partner
people.py  who linked and approved what, by name
"""
