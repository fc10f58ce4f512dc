"""`make test-deploy`: the deployment on this machine, from nothing to the main job to nothing, with its attacks.

    python -m stack.compose.rehearsal [--keep]      exit 0 when every step ended as it must, else 1

It needs a container engine and the images (`make images`). What it starts it ends, volumes included; with --keep
it takes a deployment that runs already and leaves it.
"""

from __future__ import annotations

import json
import os
import secrets
import socket
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from identity.trust import authorities
from stack.compose import boundary
from stack.compose.engine import Engine, EngineFailed
from stack.demo.narrator import Narrator, StoryBroken, expect
from stack.login import Factor, FirstLogin, HttpLogin, Login, LoginFailed, Tokens
from stack.paper_broker.visit import VisitFailed, agree

URL = os.environ.get("TRADEPULSE_URL", "https://iam.localhost:8443")
ISSUER = f"{URL}/realms/tradepulse-dev"
PARTNER = "acme-capital"
CONNECTION = f"/v1/partners/{PARTNER}/connections/paper-main"


class Rehearsal:
    """One run."""

    def __init__(self, engine: Engine, tell: Narrator) -> None:
        self._engine = engine
        self._tell = tell

    def begin(self) -> None:
        """Start everything."""
        with self._tell.step("docker compose up"):
            self._engine.compose("--profile", "dev", "up", "--detach", "--wait", "--wait-timeout", "1500", seconds=1800)
            containers = self._engine.containers()
            self._tell.good(f"{len(containers)} containers run, all well")

    def job(self) -> None:
        """The main job, from outside: nothing is asked but the proxy and the broker."""
        with (
            self._authority(),
            _names_of_this_machine(),
            httpx.Client(base_url=URL, verify=authorities(), timeout=60, trust_env=False) as proxy,
        ):
            tokens = self._logged_in()
            self._linked(proxy, tokens)
            self._closed(proxy)

    def _logged_in(self) -> Tokens:
        with self._tell.step("A trader of Acme Capital logs in through the proxy"):
            told = self._engine.compose(
                "--profile", "people", "run", "--rm", "-T", "--no-deps", "people", "invite",
                "trader@acme.example", PARTNER, "partner-trader",
            )  # fmt: skip
            once: dict[str, str] = json.loads(told.strip().splitlines()[-1])
            password = secrets.token_urlsafe(18)
            with HttpLogin(ISSUER, timeout=240) as login:
                first = FirstLogin(once["username"], once["once"], password, factor=Factor.AUTHENTICATOR_APP)
                login.first_login(first)
                tokens = login.login(Login(once["username"], password, acr="aal2"))
            claims = tokens.claims()
            expect(claims["iss"] == ISSUER, f"the issuer {ISSUER}", claims["iss"])
            expect(claims["assurance_level"] == "aal2", "aal2", claims["assurance_level"])
            self._tell.good("password changed, authenticator app registered and used; the token says aal2")
        return tokens

    def _linked(self, proxy: httpx.Client, tokens: Tokens) -> None:
        with self._tell.step("The trader links the practice broker and receives its token"):
            headers = {"Authorization": f"Bearer {tokens.access_token}"}
            wanted = {"broker": "paper", "connection": "paper-main", "redirect_uri": "http://127.0.0.1:1/callback"}
            started = _sent(proxy, f"/v1/partners/{PARTNER}/connections", 201, headers=headers, json=wanted)
            word = self._engine.docker(
                "exec", self._container("paper-broker"), "cat", "/run/tradepulse/broker-paper-account"
            )
            given = agree(started.json()["authorize_url"], account="acme-desk", password=word.strip())
            _sent(proxy, "/v1/link/callback", 200, headers=headers, json=given)
            released = _sent(proxy, f"{CONNECTION}/credential/release", 200, headers=headers).json()
            issuer = started.json()["authorize_url"].partition("/authorize")[0]
            bearer = {"Authorization": f"Bearer {released['access_token']}"}
            order = httpx.post(f"{issuer}/v1/orders", headers=bearer, trust_env=False, timeout=30)
            expect(order.status_code == 201, "an order that is taken", f"{order.status_code} {order.text[:200]}")
            self._tell.good("linked, sealed, released, and an order placed with it")

    def _closed(self, proxy: httpx.Client) -> None:
        with self._tell.step("The proxy shows nothing else"):
            for path in ("/admin/", "/realms/master/.well-known/openid-configuration", "/metrics", "/health/ready"):
                reply = proxy.get(path)
                expect(reply.status_code in (400, 404), f"nothing at {path}", reply.status_code)
            reply = proxy.post(f"{CONNECTION}/credential/release")
            expect(reply.status_code == 401, "401 without a token", reply.status_code)
            self._tell.good("no administration, no other realm, no metrics, nothing without a token")

    def attack(self) -> None:
        """The network boundary and the containers."""
        engine, containers = self._engine, self._engine.containers()
        with self._tell.step("The proxy reaches what it forwards to, and no database"):
            wrong, tried = boundary.reach(engine, containers)
            expect(not wrong, "a boundary that holds", "; ".join(wrong))
            self._tell.good(f"{tried} addresses and names tried; the four that it forwards to are open")
        with self._tell.step("A root shell in the outer network reaches nothing"):
            wrong, tried = boundary.stranger(engine, containers)
            expect(not wrong, "a boundary that holds", "; ".join(wrong))
            self._tell.good(f"{tried} doors tried")
        with self._tell.step("A service that was taken over cannot change decisions or skip TLS"):
            wrong = boundary.inner(engine, containers)
            expect(not wrong, "nothing", "; ".join(wrong))
            self._tell.good("OPA takes no rule and no data but the signed bundle; PostgreSQL talks TLS alone")
        with self._tell.step("No container is root, writes its image, or has a capability"):
            wrong = boundary.hardening(engine, containers.values())
            expect(not wrong, "nothing", "; ".join(wrong))
            self._tell.good(f"{len(containers)} containers looked at from inside")
        with self._tell.step("No secret stands in a description or a log"):
            wrong, tried = boundary.secrets(engine, containers.values())
            expect(not wrong, "nothing", "; ".join(wrong))
            self._tell.good(f"{tried} lines of secrets looked for")

    def again(self) -> None:
        """Starting again changes nothing that is sealed."""
        with self._tell.step("docker compose up once more"):
            self._engine.compose("--profile", "dev", "up", "--detach", "--wait", "--wait-timeout", "900", seconds=1200)
            said = self._engine.compose("logs", "--no-log-prefix", "keys").strip().splitlines()[-1]
            expect(said == "keys: 0 files made or changed", "no new secret", said)
            self._tell.good(said)

    def end(self) -> None:
        """Remove everything."""
        with self._tell.step("docker compose down"):
            self._engine.compose("--profile", "*", "down", "--volumes", "--timeout", "30")
            left = self._engine.docker(
                "ps", "--all", "--quiet", "--filter", "label=com.docker.compose.project=tradepulse"
            )
            expect(not left.strip(), "no container", left)

    def _container(self, service: str) -> str:
        return self._engine.containers()[service].name

    @contextmanager
    def _authority(self) -> Iterator[None]:
        """Believe the deployment's own authority while it is tried."""
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "ca.pem"
            file.write_text(self._engine.docker("exec", self._container("proxy"), "cat", "/run/tradepulse/ca.pem"))
            before = os.environ.get("SSL_CERT_FILE")
            os.environ["SSL_CERT_FILE"] = str(file)
            try:
                yield
            finally:
                os.environ.pop("SSL_CERT_FILE")
                if before is not None:
                    os.environ["SSL_CERT_FILE"] = before


def _sent(proxy: httpx.Client, path: str, status: int, **request: Any) -> httpx.Response:
    reply = proxy.post(path, **request)
    expect(reply.status_code == status, f"{status} from {path}", f"{reply.status_code} {reply.text[:300]}")
    return reply


@contextmanager
def _names_of_this_machine() -> Iterator[None]:
    """Names below `localhost` are this machine's (RFC 6761); browsers know that, not every resolver does."""
    usual = socket.getaddrinfo

    def resolved(host: Any, *words: Any, **more: Any) -> Any:
        name = host.decode() if isinstance(host, bytes) else host
        return usual("127.0.0.1" if isinstance(name, str) and name.endswith(".localhost") else host, *words, **more)

    socket.getaddrinfo = resolved
    try:
        yield
    finally:
        socket.getaddrinfo = usual


def main(words: list[str]) -> int:
    """Run it."""
    keep = "--keep" in words
    run = Rehearsal(Engine(), Narrator())
    started = time.monotonic()
    try:
        try:
            if not keep:
                run.begin()
            run.job()
            run.attack()
            if not keep:
                run.again()
        finally:
            if not keep:
                run.end()
    except (StoryBroken, EngineFailed, LoginFailed, VisitFailed, httpx.HTTPError, OSError) as problem:
        print(f"\nThe rehearsal broke: {problem}", file=sys.stderr)
        return 1
    print(f"\n{time.monotonic() - started:.0f} s in all")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
