"""The whole chain, all of it real: provider, nginx, session broker, Keycloak, vault. What passes, and what never."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import httpx
import pytest

from bench.session.faults import forgeries
from bench.session.provider import id_tokens
from bench.session.world import Person, World
from identity.client_key import ClientKey
from stack import control
from stack.proxy import SOURCE
from stack.service import healthy
from tests.conftest import Stack

pytestmark = pytest.mark.integration

PATH = "/v1/partners/acme-capital/connections"


@dataclass(frozen=True)
class Chain:
    world: World
    people: list[Person]
    tokens: list[str]
    proxy: httpx.Client
    vault: httpx.Client
    broker: httpx.Client
    keycloak: httpx.Client

    @property
    def audit(self) -> Path:
        return Path(self.world.settings["TRADEPULSE_AUDIT_DIR"])

    def ask(self, token: str, **headers: str) -> httpx.Response:
        return self.proxy.get(PATH, headers={"Authorization": f"Bearer {token}", **headers})

    def fresh(self) -> str:
        return mint(self.world, self.people[:1])[0]


def mint(world: World, people: list[Person]) -> list[str]:
    secret = world.layout.secret("idp-workforce").read_text().strip()
    return asyncio.run(id_tokens(world.settings["WORKFORCE_ISSUER"], [person.email for person in people], secret))


def until(what: Callable[[], object], seconds: float = 30.0) -> None:
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "it did not become true"
        time.sleep(0.1)


@pytest.fixture(scope="module")
def chain(stack: Stack) -> Iterator[Chain]:
    world = World(stack.layout, stack.env, stack.admin, stack.urls)
    behind = {"proxy": "proxy", "vault": "vault", "broker": "session-broker", "keycloak": "keycloak"}
    clients = {
        name: httpx.Client(base_url=stack.urls[service], timeout=20, trust_env=False)
        for name, service in behind.items()
    }
    with world.people(2) as people:
        yield Chain(world, people, mint(world, people), **clients)
    for client in clients.values():
        client.close()


def lines(file: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in file.read_text().splitlines()]


def test_an_external_token_reaches_the_vault_as_an_internal_one_of_the_same_person(chain: Chain) -> None:
    token = chain.tokens[0]
    # The vault itself believes our realm alone.
    assert chain.vault.get(PATH, headers={"Authorization": f"Bearer {token}"}).status_code == 401
    reply = chain.ask(token)
    # The vault knows who asks, and that this person has nothing to do with the partner, or is not logged in strongly.
    assert (reply.status_code, "insufficient_user_authentication" in str(reply.headers)) in ((404, False), (401, True))
    file = chain.audit / "api_events.jsonl"
    admitted = [line for line in lines(file) if line["event"] == "session.admitted"]
    assert any(line["actor"] == chain.people[0].email and line["ip"] == "127.0.0.1" for line in admitted)
    assert token not in file.read_text()


def test_what_was_made_of_a_good_token_is_refused_alike(chain: Chain) -> None:
    bodies = set()
    for forged in forgeries(chain.tokens[0]):
        reply = chain.ask(forged)
        assert reply.status_code == 401
        assert reply.headers.get_list("www-authenticate") == ['Bearer realm="tradepulse", error="invalid_token"']
        body = reply.json()
        body.pop("trace_id")
        bodies.add(json.dumps(body, sort_keys=True))
    assert len(bodies) == 1


def test_a_token_of_our_own_realm_passes_to_its_audience(chain: Chain) -> None:
    settings = chain.world.settings
    key = ClientKey("vault-api", Path(settings["VAULT_CLIENT_KEY_FILE"]).read_bytes(), audience=chain.world.issuer)
    token = httpx.post(
        f"{chain.world.issuer}/protocol/openid-connect/token",
        data={"grant_type": "client_credentials", **key.form(time.time())},
        trust_env=False,
    ).json()["access_token"]
    direct = chain.vault.get(PATH, headers={"Authorization": f"Bearer {token}"})
    through = chain.ask(token)
    assert through.status_code == direct.status_code != 503
    assert through.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    ("server", "path"),
    [
        ("keycloak", "/admin/realms/tradepulse-dev"),
        ("keycloak", "/realms/master/.well-known/openid-configuration"),
        ("keycloak", "/realms/tradepulse-prod/.well-known/openid-configuration"),
        ("keycloak", "/realms/tradepulse-dev"),
        ("vault", "/health/ready"),
        ("vault", "/metrics"),
        ("vault", "/openapi.json"),
        ("broker", "/health/ready"),
        ("broker", "/metrics"),
    ],
)
def test_what_is_there_behind_the_proxy_is_not_there_before_it(chain: Chain, server: str, path: str) -> None:
    behind: httpx.Client = getattr(chain, server)
    # Otherwise the 404 of the proxy would say nothing.
    assert behind.get(path).status_code in (200, 401)
    assert chain.proxy.get(path).status_code == 404


def test_the_realm_answers_through_the_proxy_under_its_own_name(chain: Chain) -> None:
    found = chain.proxy.get("/realms/tradepulse-dev/.well-known/openid-configuration").json()
    assert found["issuer"] == chain.world.issuer
    keys = chain.proxy.get("/realms/tradepulse-dev/protocol/openid-connect/certs").json()
    assert keys == chain.keycloak.get("/realms/tradepulse-dev/protocol/openid-connect/certs").json()


def test_a_client_does_not_choose_the_address_that_keycloak_records(chain: Chain) -> None:
    def failed_from(server: str, source: str, said: str) -> object:
        """The address in the audit line of a code that does not exist."""
        parts, code = urlsplit(server), os.urandom(8).hex()
        form = urlencode({
            "grant_type": "authorization_code", "client_id": f"nobody-{code}", "code": code,
            "redirect_uri": "http://127.0.0.1/callback",
        })  # fmt: skip
        head = (
            "POST /realms/tradepulse-dev/protocol/openid-connect/token HTTP/1.1\r\n"
            f"Host: {parts.netloc}\r\nConnection: close\r\nX-Forwarded-For: {said}\r\nForwarded: for={said}\r\n"
            f"X-Real-IP: {said}\r\nContent-Type: application/x-www-form-urlencoded\r\n"
            f"Content-Length: {len(form)}\r\n\r\n"
        )
        file = chain.audit / "iam_events.jsonl"
        with socket.create_connection(("127.0.0.1", parts.port or 80), 15, source_address=(source, 0)) as connection:
            connection.sendall((head + form).encode())
            while connection.recv(65_536):
                pass
        found: list[object] = []

        def written() -> bool:
            found[:] = [line["ip"] for line in lines(file) if f"nobody-{code}" in json.dumps(line)]
            return bool(found)

        until(written)
        return found[0]

    # A private address, since the realm takes nothing but https from any other.
    forged = "10.66.66.66"
    assert failed_from(str(chain.proxy.base_url), "127.0.0.1", forged) == "127.0.0.1"
    assert failed_from(str(chain.proxy.base_url), "127.0.0.3", forged) == "127.0.0.3"
    assert failed_from(str(chain.keycloak.base_url), "127.0.0.1", forged) == "127.0.0.1"
    # Only of the proxy's own address is the word taken, which shows that the others could have been.
    assert failed_from(str(chain.keycloak.base_url), SOURCE, forged) == forged


def test_without_its_broker_the_door_is_shut_and_opens_again_by_itself(chain: Chain) -> None:
    assert chain.ask(chain.tokens[1]).status_code != 503
    os.kill(chain.world.pid("session-broker"), signal.SIGKILL)
    reply = chain.ask(chain.tokens[1])
    assert (reply.status_code, reply.headers["retry-after"].isdigit()) == (503, True)
    assert "retry" not in reply.headers.get("www-authenticate", "")
    until(lambda: chain.ask(chain.fresh()).status_code != 503, 60)


def test_a_killed_proxy_takes_its_workers_along_and_is_back(chain: Chain) -> None:
    state = control.state(chain.world.layout)["services"]["proxy"]
    os.kill(state["pid"], signal.SIGKILL)
    until(lambda: control.state(chain.world.layout)["services"]["proxy"]["pid"] not in (None, state["pid"]))
    until(lambda: healthy(state["health"]))
    # A worker of the old one would go on answering, with the old configuration and no master.
    assert [name for name in nginx_masters(chain) if name != chain.world.pid("proxy")] == []
    assert chain.ask(chain.fresh()).status_code != 503


def nginx_masters(chain: Chain) -> list[int]:
    """Parents of the nginx workers that have this stack's configuration, by what they listen on."""
    port = urlsplit(chain.world.urls["proxy"]).port
    inodes = {
        line.split()[9]
        for line in Path("/proc/net/tcp").read_text().splitlines()[1:]
        if line.split()[1].endswith(f":{port:04X}") and line.split()[3] == "0A"
    }
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            held = {str(link.readlink()) for link in (place / "fd").iterdir()}
            parent = int((place / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
        if held & {f"socket:[{inode}]" for inode in inodes}:
            found.append(int(place.name) if int(place.name) == chain.world.pid("proxy") else parent)
    return found


def test_nothing_of_the_proxy_runs_as_root(chain: Chain) -> None:
    if os.geteuid() == 0:
        master = chain.world.pid("proxy")
        status = Path(f"/proc/{master}/status").read_text()
        assert "\nUid:\t0\t" not in status
    place = control.state(chain.world.layout)["services"]["proxy"]
    assert place["status"] == "running"
