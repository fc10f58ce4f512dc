"""adopt: a realm that somebody else made, as a configuration whose next plan is empty.

    realm ─ read, as if what is asked for were ours ─▶ Current ─ propose ─▶ five files ─ check, desire, diff ─▶ plan
                        ▲                                                                                       │
                        └────────────── without what the plan would change, and with the reason ───────────────┘

remembered.py  the realm, read once, with our mark put over what would be taken
candidates.py  what can be named at all in this format
proposal.py    objects as sections of the five files
writing.py     the sections as YAML, and which line belongs to which object; a directory in one step
survey.py      propose, plan, leave out, and again until the plan is empty

Nothing is derived about what Keycloak means: a proposal is loaded, checked and planned by the same
code as any other configuration, and what that would change is left out. So the plan after an
adoption is empty because it was, and nobody loses anything because the plan that is carried out
afterwards takes nothing.
"""
