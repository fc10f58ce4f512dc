"""`python -m stack.paper_broker`: settings from the environment.

PAPER_BROKER_ISSUER              its own address, under which it also listens
PAPER_BROKER_STATE               the SQLite file it remembers by
PAPER_BROKER_CLIENT_ID           the one client it knows
PAPER_BROKER_CLIENT_SECRET_FILE  that client's secret
PAPER_BROKER_REDIRECT_URIS       where that client may send browsers back to, separated by commas
PAPER_BROKER_PASSWORD_FILE       the password of every practice account
PAPER_BROKER_ACCESS_SECONDS      how long access tokens live (600)
PAPER_BROKER_BIND                the address to listen at (127.0.0.1), at the issuer's port
PAPER_BROKER_CONTROL             host:port for tests, with PAPER_BROKER_CONTROL_TOKEN_FILE
"""

from __future__ import annotations

import asyncio
import os
import urllib.parse
from pathlib import Path

import uvicorn
from starlette.applications import Starlette

from stack.paper_broker.app import PaperBroker, Registration
from stack.paper_broker.control import Behaviour, control_app
from stack.paper_broker.grants import Grants


def _secret(name: str) -> str:
    return Path(os.environ[name]).read_text().strip()


def _server(app: Starlette, host: str, port: int) -> uvicorn.Server:
    return uvicorn.Server(
        uvicorn.Config(app, host=host, port=port, log_level="error", access_log=False, server_header=False)
    )


async def serve() -> None:
    """Runs until a signal."""
    environment = os.environ
    issuer = environment["PAPER_BROKER_ISSUER"]
    grants = Grants(environment["PAPER_BROKER_STATE"])
    behaviour = Behaviour(float(environment.get("PAPER_BROKER_ACCESS_SECONDS", "600")), 30 * 86400.0)
    registration = Registration(
        client_id=environment.get("PAPER_BROKER_CLIENT_ID", "tradepulse"),
        client_secret=_secret("PAPER_BROKER_CLIENT_SECRET_FILE"),
        redirect_uris=tuple(environment["PAPER_BROKER_REDIRECT_URIS"].split(",")),
        password=_secret("PAPER_BROKER_PASSWORD_FILE"),
    )
    where = urllib.parse.urlsplit(issuer)
    broker = PaperBroker(issuer, registration, grants, behaviour)
    servers = [_server(broker.application(), environment.get("PAPER_BROKER_BIND", "127.0.0.1"), where.port or 80)]
    if "PAPER_BROKER_CONTROL" in environment:
        host, _, port = environment["PAPER_BROKER_CONTROL"].rpartition(":")
        control = control_app(behaviour, _secret("PAPER_BROKER_CONTROL_TOKEN_FILE"))
        servers.append(_server(control, host, int(port)))
    try:
        await asyncio.gather(*(server.serve() for server in servers))
    finally:
        grants.close()


if __name__ == "__main__":
    os.umask(0o077)
    asyncio.run(serve())
