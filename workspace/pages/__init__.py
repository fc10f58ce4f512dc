"""The pages: a module for each part of the menu, each a router. A new one is a line in `PAGES`.

signed_in.py   who is looking: the dependency of every page but the few for everybody
home.py        the first page; what everybody sees: signed out, confirm that it is you
partner.py     a partner's connections and audit trail
"""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter

from workspace.pages import home, partner

PAGES: Final[tuple[APIRouter, ...]] = (home.router, partner.router)
