"""monitor: watches the audit log and tells of failed and bypassed factors, lock-outs and refused roles."""

from __future__ import annotations

import json
import signal
import threading
from typing import TYPE_CHECKING, Annotated

import typer

from admin_sync.commands.arguments import command, group
from admin_sync.commands.options import Options
from admin_sync.console import DONE, FAILED
from admin_sync.load.document import Document

if TYPE_CHECKING:
    from admin_sync.monitor.alert import Alert
    from admin_sync.monitor.detect import Limits

app = group()

Once = Annotated[bool, typer.Option("--once", help="Read what is there, deliver what is due, and end.")]
FromStart = Annotated[
    bool,
    typer.Option("--from-start", help="At the first run: begin with the oldest line, not with what comes."),
]


@command(app)
def monitor(options: Options, *, once: Once = False, from_start: FromStart = False) -> int:
    """Tell of failed and bypassed second factors, lock-outs and refused roles as they come into the audit log."""
    # Loaded here: no other command needs an HTTP client or the metrics.
    from admin_sync.monitor.service import Monitor  # noqa: PLC0415
    from admin_sync.monitor.settings import monitor_settings  # noqa: PLC0415
    from admin_sync.monitor.state import held  # noqa: PLC0415

    document = options.document()
    own = monitor_settings(options.environ)
    path = options.settings().audit_dir / "iam_events.jsonl"
    if own.webhook is None:
        options.console.say("no webhook is configured (ADMIN_SYNC_MONITOR_WEBHOOK): alerts are only shown here")
    with held(own.state_dir):
        watching = Monitor(
            path,
            own,
            limits(document),
            lambda alert: _show(options, alert),
            options.console.say,
            from_start=from_start,
        )
        if once:
            watching.once()
            return FAILED if watching.state.outbox else DONE
        stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        options.console.say(f"watching {path}")
        watching.run(stop)
    return DONE


def limits(document: Document) -> Limits:
    """What the policies say about failed factors and emergency accounts."""
    from admin_sync.monitor.detect import Limits  # noqa: PLC0415

    failed = document.policies.risk.failed_mfa
    return Limits(
        count=failed.count if failed is not None else 5,
        window=failed.window.total_seconds() if failed is not None else 600.0,
        emergency=frozenset(name.lower() for name in document.policies.break_glass.accounts),
    )


def _show(options: Options, alert: Alert) -> None:
    if options.console.as_json:
        options.console.data(json.dumps(alert.record(), ensure_ascii=False) + "\n")
    else:
        options.console.data(f"{alert.at} {alert.severity:8} {alert.kind}: {alert.summary}\n")
