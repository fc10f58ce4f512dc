"""`python -m session_broker`: serve, or step through a migration. Settings are environment variables (`settings.py`).

exit 0   stopped by a signal, or done
exit 1   a server or the system did not do its part
exit 3   a setting or a file is wrong; the message says which and what to do
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import Sequence

import uvloop
from pydantic import ValidationError

from identity import logs
from identity.serving import listen, parent
from session_broker.app import create_server
from session_broker.broker import SOURCE, StartRefused, open_broker
from session_broker.migration import steps
from session_broker.settings import BrokerSettings


def _serve() -> int:
    settings = BrokerSettings()
    host, port = settings.address
    if settings.workers > 1:
        own = {"SESSION_BROKER_WORKERS": "1", "SESSION_BROKER_SHARE_PORT": "true"}
        return parent(["session_broker", "serve"], settings.workers, own)

    async def serve() -> None:
        # Opened before the server listens and closed after it stopped: what is wrong is one line and no traceback.
        async with open_broker(settings) as broker:
            await listen(create_server(broker), host, port, share=settings.share_port)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve())
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code."""
    parser = argparse.ArgumentParser(prog=SOURCE, description=__doc__.partition("\n")[0])
    commands = parser.add_subparsers(dest="command", metavar="serve | migration")
    commands.add_parser("serve", help="serve (the default)")
    migration = commands.add_parser("migration", help="leave a platform's own tokens, step by step")
    steps.add_arguments(migration)
    parsed = parser.parse_args(arguments)
    logs.configure(SOURCE, level=os.environ.get("SESSION_BROKER_LOG_LEVEL", "INFO"))
    try:
        if parsed.command == "migration":
            return steps.run(parsed, BrokerSettings(), source=SOURCE)
        return _serve()
    except steps.StepRefused as error:
        _fail(str(error))
        return error.code
    except ValidationError as error:
        _fail("; ".join(f"{'.'.join(map(str, mistake['loc']))}: {mistake['msg']}" for mistake in error.errors()))
    except (StartRefused, ValueError) as error:
        _fail(str(error))
    except OSError as error:
        _fail(f"cannot listen: {error.strerror}; see SESSION_BROKER_BIND")
        return 1
    return 3


def _fail(line: str) -> None:
    print(f"{SOURCE}: {line}", file=sys.stderr)  # noqa: T201 - one clear line for whoever started it


if __name__ == "__main__":
    sys.exit(main())
