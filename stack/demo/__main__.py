"""`python -m stack.demo`: tell the story against the running stack."""

from __future__ import annotations

import os
import sys

from admin_sync.keycloak.connection import Connection, KeycloakProblem
from admin_sync.settings import settings as sync_settings
from stack import settings
from stack.demo.narrator import Narrator, StoryBroken
from stack.demo.story import Story
from stack.layout import Layout
from stack.login import LoginFailed
from stack.paper_broker.visit import VisitFailed


def main() -> int:
    """Exit 0 when every step ended as it must, else 1 with one line that says which did not."""
    layout = Layout.here()
    os.environ.update(settings.read(layout))
    admin = Connection(sync_settings(os.environ).account())
    try:
        Story(layout, settings.read(layout), admin, Narrator()).tell()
    except (StoryBroken, LoginFailed, VisitFailed, KeycloakProblem, LookupError) as problem:
        print(f"\nThe story broke: {problem}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
