"""The one Keycloak that everybody is measured against: the embedded stack's own, on its PostgreSQL, with an access log.

It runs in a state directory of its own (`.stack-bench`), so a stack that is up stays as it is.
"""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from bench.measure import AccessLog, cpu_seconds
from stack import control, keycloak
from stack.files import read_json
from stack.layout import Layout
from stack.service import Service
from stack.settings import read
from stack.up import Up

_ACCESS = "[org.keycloak.http.access-log]"
_SECRETS = {"KC_DB_PASSWORD": "postgres-keycloak", "KC_BOOTSTRAP_ADMIN_CLIENT_SECRET": "keycloak-admin"}
_TIMEOUT = 600.0


class Server:
    """Keycloak and PostgreSQL, from `start` to `stop`."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self._starts = 0
        self._made: Service | None = None
        self._up = Up(layout)

    def start(self) -> None:
        """Has it installed, provided and running, restarted with an access log. Raises StepFailed."""
        self._up.install()
        self._up.bring(("keycloak",))
        self.restart()

    def restart(self) -> None:
        """Ends Keycloak and starts it again; it has answered one request for its health when this returns."""
        self._starts += 1
        ports = read_json(self.layout.run / "services.json")["ports"]
        if self._made is None:
            # Once: sources that somebody edits meanwhile do not change what is measured.
            secrets = {name: str(self.layout.secret(file)) for name, file in _SECRETS.items()}
            self._made = keycloak.service(self.layout, ports, secrets=secrets)
        made = self._made
        service = replace(
            made,
            command=(*made.command, "--http-access-log-enabled=true"),
            # Another revision is another service: the supervisor ends the old one first.
            revision=f"bench-{time.time_ns()}-{self._starts}",
        )
        control.Roster(self.layout, ports=ports).start(service, seconds=300.0)

    def stop(self) -> None:
        """Ends everything; the data stays for the next time."""
        control.stop(self.layout)

    @property
    def url(self) -> str:
        """The address, without a slash at its end."""
        return self._service("keycloak").url

    @property
    def client_id(self) -> str:
        """The service account that every tool acts as."""
        return keycloak.ADMIN_CLIENT

    @property
    def secret(self) -> str:
        """That account's secret."""
        return self.layout.secret("keycloak-admin").read_text().strip()

    @property
    def settings(self) -> Mapping[str, str]:
        """The stack's own settings for admin-sync."""
        return {
            key: value for key, value in read(self.layout).items() if key.startswith(("ADMIN_SYNC_", "TRADEPULSE_"))
        }

    @property
    def access_log(self) -> AccessLog:
        """Every request that Keycloak answered."""
        return AccessLog(self.layout.logs / "keycloak.log", _ACCESS)

    def cpu(self) -> tuple[float, float]:
        """CPU seconds of Keycloak and of PostgreSQL since they started."""
        pids = control.state(self.layout)["pids"]
        return cpu_seconds(pids["keycloak"]), cpu_seconds(pids["postgres"])

    def remove(self, realm: str) -> None:
        """Deletes a realm if it is there. Nobody is measured doing this."""
        request = urllib.request.Request(f"{self.url}/admin/realms/{realm}", method="DELETE")  # noqa: S310
        request.add_header("Authorization", f"Bearer {self._token()}")
        try:
            _open(request)
        except urllib.error.HTTPError as problem:
            if problem.code != 404:
                raise

    def _token(self) -> str:
        form = {"grant_type": "client_credentials", "client_id": self.client_id, "client_secret": self.secret}
        address = f"{self.url}/realms/master/protocol/openid-connect/token"
        request = urllib.request.Request(address, data=urllib.parse.urlencode(form).encode())  # noqa: S310
        return str(json.loads(_open(request))["access_token"])

    def _service(self, name: str) -> Service:
        told = read_json(self.layout.run / "services.json")["services"]
        return next(Service.from_json(entry) for entry in told if entry["name"] == name)


def _open(request: urllib.request.Request) -> bytes:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=_TIMEOUT) as answer:
        return bytes(answer.read())


def layout(directory: str = ".stack-bench") -> Layout:
    """The state directory of the benchmarks, below the checkout."""
    return Layout(Layout.here().checkout / directory)


def scratch(layout: Layout, *parts: str) -> Path:
    """A directory for what a run writes."""
    path = layout.state.joinpath("bench", *parts)
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    return path
