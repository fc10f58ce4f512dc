"""The reconciler's part: what is due is rotated without being asked."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from admin_sync.errors import Interrupted
from admin_sync.reconciler.duties import Hand
from admin_sync.service_secrets.run import rotate_due
from admin_sync.service_secrets.sink import Sink
from admin_sync.trail import Trail


def work(hand: Hand) -> datetime | None:
    """Rotate what is due, where a sink is set and policy has an exception. Raises what `rotate_due` raises, and
    Interrupted where a client's secret could not be replaced; the next turn tries again."""
    folder = hand.environ.get("ADMIN_SYNC_SECRETS_DIR")
    if not folder or not hand.document.policies.service_accounts.exceptions:
        return None
    session = hand.session
    done = rotate_due(
        hand.document,
        session.connection,
        lambda environment, realm: session.gateway(environment).read(realm),
        Sink(Path(folder)),
        Trail(hand.audit),
        environments=hand.document.environments,
        account_realm=hand.settings.realm,
        note=hand.note,
    )
    failed = [f"{one.held.client} in {one.held.realm}" for one in done if one.problem is not None]
    if failed:
        raise Interrupted(f"the secret of {', '.join(failed)} was not replaced; the next turn tries again")
    return None
