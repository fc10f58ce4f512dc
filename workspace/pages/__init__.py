"""The pages: a module for each part of the menu, each a router. A new one is a line in `PAGES`.

signed_in.py   who is looking: the dependency of every page but the few for everybody
home.py        the first page; what everybody sees: signed out, confirm that it is you
partner.py     a partner's connections; linking.py: a new one; trail.py: the audit trail
members.py     who belongs to a partner, and its first steps
onboarding.py  partners as staff bring them in;   invitation.py: as those see it who are invited
simulation.py  a partner's workspace as one of its members sees it;   presence.py: a page that stays open
alerting.py    where a partner is told what
auth_health.py how logins go, its reports, and the question after a login
access.py      what somebody was granted; access_….py: asking, deciding, certification, emergencies
"""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter

from workspace.pages import (
    access,
    access_ask,
    access_campaigns,
    access_emergencies,
    access_requests,
    alerting,
    auth_health,
    home,
    invitation,
    linking,
    members,
    onboarding,
    partner,
    presence,
    simulation,
    trail,
)

PAGES: Final[tuple[APIRouter, ...]] = (
    home.router,
    partner.router,
    linking.router,
    trail.router,
    alerting.router,
    members.router,
    invitation.router,
    onboarding.router,
    simulation.router,
    presence.router,
    access_ask.router,
    access_requests.router,
    access.router,
    access_campaigns.router,
    access_emergencies.router,
    auth_health.router,
)
