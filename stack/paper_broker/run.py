"""The practice broker as a service of the stack."""

from __future__ import annotations

from collections.abc import Mapping

from stack.files import digest
from stack.layout import Layout
from stack.service import Service

SECRET = "broker-paper"  # noqa: S105 - the name of a file
PASSWORD = "broker-paper-account"  # noqa: S105 - the name of a file


def issuer(ports: Mapping[str, int]) -> str:
    """Its address."""
    return f"http://localhost:{ports['paper-broker']}"


def service(layout: Layout, ports: Mapping[str, int], environment: Mapping[str, str]) -> Service:
    """The broker as the supervisor runs it. It may be killed at any time: every answer is a commit."""
    address = issuer(ports)
    return Service(
        name="paper-broker",
        command=(str(layout.python), "-m", "stack.paper_broker"),
        url=address,
        health=f"{address}/health",
        cwd=str(layout.checkout),
        environment={
            "PAPER_BROKER_ISSUER": address,
            "PAPER_BROKER_STATE": str(layout.state / "paper-broker.sqlite"),
            "PAPER_BROKER_CLIENT_SECRET_FILE": str(layout.secret(SECRET)),
            "PAPER_BROKER_PASSWORD_FILE": str(layout.secret(PASSWORD)),
            "PAPER_BROKER_REDIRECT_URIS": environment["VAULT_LINK_REDIRECT_URIS"],
        },
        revision=digest([layout.checkout / "stack" / "paper_broker"]),
    )
