"""The neighbours: OpenID providers that belong to others, played by one real server that is not Keycloak.

One `mock-oauth2-server` (Maven) serves three issuers on one port. It asks nobody for a password, which
is why it exists only here:

    /workforce  the staff's identity provider: type an e-mail address as the user name; claims such as
                `{"acr": "...", "groups": ["tp-research"]}` go into the second field of its page
    /mock       the development login, with the same tokens as any other
    /ci         mints the workload identity of a CI job: POST /ci/token with
                grant_type=client_credentials and audience=<the realm's issuer>

`issuers.json` is its configuration, `pom.xml` what Maven fetches.
"""

from __future__ import annotations

import os
from pathlib import Path

from stack.files import digest, locked
from stack.java import java, maven
from stack.layout import Layout
from stack.service import Service
from stack.steps import UNCHANGED, Commands

HERE = Path(__file__).resolve().parent
ISSUERS = ("workforce", "mock", "ci")


def fetch(layout: Layout, commands: Commands) -> str | None:
    """Have the server's jars in the tools, fetched again when the pom changes."""
    place = jars(layout)
    with locked(layout.tools / "neighbours.lock"):
        if (place / ".complete").exists():
            return UNCHANGED
        maven(
            ["-f", HERE / "pom.xml", "dependency:copy-dependencies", f"-DoutputDirectory={place}"],
            layout,
            commands,
            log="neighbours",
        )
        (place / ".complete").touch()
    return None


def service(layout: Layout, port: int) -> Service:
    """The server as the supervisor runs it. It keeps nothing, so it may be killed at any time."""
    return Service(
        name="neighbours",
        command=(
            str(java()), "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xmx128m", "-cp", f"{jars(layout)}{os.sep}*",
            "no.nav.security.mock.oauth2.StandaloneMockOAuth2ServerKt",
        ),
        url=f"http://localhost:{port}",
        health=f"http://localhost:{port}/isalive",
        cwd=str(layout.state),
        environment={
            "SERVER_HOSTNAME": "localhost",
            "SERVER_PORT": str(port),
            "JSON_CONFIG_PATH": str(HERE / "issuers.json"),
        },
    )  # fmt: skip


def jars(layout: Layout) -> Path:
    """Where the server's jars lie."""
    return layout.tools / f"neighbours-{digest([HERE / 'pom.xml'])[:12]}"
