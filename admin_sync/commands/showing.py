"""A plan as it is shown, saved and compared: the realm's, and what OPA would decide otherwise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from admin_sync.bundle.build import served_rules
from admin_sync.commands import bundle
from admin_sync.commands.options import Options
from admin_sync.model import Json
from admin_sync.policy import fingerprint
from admin_sync.render import view
from admin_sync.rules import rule_changes
from admin_sync.sync import Planned, Session


@dataclass(frozen=True, slots=True)
class Show:
    """Makes views of the plans of one run."""

    session: Session
    rules: str
    files: Mapping[str, bytes]
    """The rules by file name, as they would be published."""
    published: Mapping[str, Json] | None
    uncompared: str | None = None
    """Why what is published could not be read. A plan says so; it would look as if nothing were decided otherwise."""

    def view(self, planned: Planned) -> dict[str, Json]:
        """One environment's plan."""
        changes = rule_changes(self.session.document, self.published, planned.plan.environment, self.files)
        warnings = () if self.uncompared is None else (self.uncompared,)
        return view(planned, changes, self.rules, warnings)


def show(options: Options, session: Session) -> Show:
    """What is published is read once for a run."""
    files = served_rules(session.settings.policy_dir)
    return Show(session, fingerprint(session.document, files), files, *bundle.published(options))
