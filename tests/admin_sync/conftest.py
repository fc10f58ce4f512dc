"""What the tests of admin-sync share: the sample to edit, a Keycloak, issuers.

The Keycloak is that of the `stack` fixture; a file named in TRADEPULSE_TEST_SYNC_ENV, of KEY=VALUE
lines like `.stack/env`, replaces it where one runs already. Each test module works on realms of its
own name, so that nothing else in the stack is disturbed.
"""

from __future__ import annotations

import http.server
import os
import re
import secrets
import shutil
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from admin_sync_world import SAMPLE, Configuration, Discovery, Realms

from admin_sync.keycloak.connection import Connection
from admin_sync.settings import settings


@pytest.fixture
def configuration(tmp_path: Path) -> Configuration:
    """The sample configuration, to be edited."""
    directory = tmp_path / "iam"
    shutil.copytree(SAMPLE, directory)
    made = Configuration(directory)
    made.grant_at_once()
    return made


@pytest.fixture(scope="session")
def issuers() -> Iterator[Mapping[str, str]]:
    """Issuers that answer with a discovery document, as the variables that roles.yaml refers to."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Discovery)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    root = f"http://localhost:{server.server_port}"
    yield {
        "WORKFORCE_ISSUER": f"{root}/workforce",
        "MOCK_ISSUER": f"{root}/mock",
        "CI_ISSUER": f"{root}/ci",
        "WORKFORCE_CLIENT_SECRET": "workforce-secret-canary",
        "MOCK_CLIENT_SECRET": "mock-secret-canary",
    }
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="session")
def keycloak_environment(request: pytest.FixtureRequest) -> Mapping[str, str]:
    """The settings that reach a real Keycloak as admin-sync."""
    given = os.environ.get("TRADEPULSE_TEST_SYNC_ENV")
    if given is None:
        return dict(request.getfixturevalue("stack").env)
    lines = (re.fullmatch(r"(?:export )?([A-Z_]+)=(.*)", line) for line in Path(given).read_text("utf-8").splitlines())
    return {line[1]: line[2] for line in lines if line}


@pytest.fixture(scope="module")
def realms(
    keycloak_environment: Mapping[str, str], issuers: Mapping[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Realms]:
    """Realms of this module's own, not yet made; gone afterwards."""
    name = f"sync{secrets.token_hex(3)}"
    place = tmp_path_factory.mktemp(name)
    keep = ("ADMIN_SYNC_KEYCLOAK_URL", "ADMIN_SYNC_REALM", "ADMIN_SYNC_CLIENT_ID", "ADMIN_SYNC_CLIENT_SECRET_FILE")
    environ = {key: keycloak_environment[key] for key in keep if key in keycloak_environment}
    environ |= {**issuers, "TRADEPULSE_AUDIT_DIR": str(place / "audit"), "TRADEPULSE_NODE": "test"}
    made = Realms(name, Configuration(place / "iam"), environ, Connection(settings(environ).account()))
    made.reset()
    yield made
    made.remove()
