"""Every location of the rendered configuration, read and attacked on a real nginx: only our headers get through.

The servers behind it are recorders, so that what reaches them is seen byte for byte; the whole chain with the real
session broker, vault and Keycloak is in test_proxy_chain.py.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from proxy_world import Block, Recorder, Running, Seen, get, nginx, parse

from session_broker.nginx.routes import routes
from session_broker.nginx.site import Limits, Site, Upstream
from stack.ports import unused

RAW = "Bearer what-the-client-sent"
INTERNAL = "Bearer what-the-broker-gave"
REALM = "tradepulse-dev"
LOOSE = Limits(rate=100_000, burst=100_000, connections=1000)

OURS = {
    "host", "connection", "content-length", "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host",
    "x-forwarded-port", "traceparent",
}  # fmt: skip

ATTACKS = (
    "X-TradePulse-Authorization: Bearer evil",
    "x-tradepulse-authorization: Bearer evil",
    "X_TradePulse_Authorization: Bearer evil",
    "X-TRADEPULSE_AUTHORIZATION: Bearer evil",
    "X-TradePulse-Service: evil",
    "X-TradePulse-Service: evil",
    "x_tradepulse_service: evil",
    "X-TradePulse-Token: evil",
    "X-TradePulse-Legacy-Token: evil",
    "X-TradePulse-Anything: evil",
    "X-Forwarded-For: 6.6.6.6",
    "X-Forwarded-For: 6.6.6.7",
    "X_Forwarded_For: 6.6.6.6",
    "X-Forwarded-Host: evil.example",
    "X-Forwarded-Proto: evil",
    "X-Forwarded-Port: 666",
    "X-Forwarded-Prefix: /evil",
    "X-Forwarded-User: evil",
    "Forwarded: for=6.6.6.6;host=evil.example",
    "X-Real-IP: 6.6.6.6",
    "X-Original-URI: /evil",
    "X-Original-URL: /evil",
    "X-Rewrite-URL: /evil",
    "X-Original-Method: EVIL",
    "X-HTTP-Method-Override: EVIL",
    "X-Auth-Request-User: evil",
    "Proxy-Authorization: Bearer evil",
    "Proxy: http://evil.example",
    "traceparent: 00-eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee-eeeeeeeeeeeeeeee-01",
    "tracestate: evil=1",
    "Via: evil",
    "TE: trailers",
    "Upgrade: websocket",
    "Connection: Upgrade, X-Forwarded-For, Authorization",
    "Sec-WebSocket-Key: ZXZpbA==",
    "Sec-WebSocket-Version: 13",
    "Keep-Alive: timeout=666",
    "Expect: evil",
    "Range: bytes=0-1",
    "SSL-Client-Cert: evil",
)
"""Whatever has been believed somewhere because a proxy was expected to send it."""


@dataclass
class World:
    running: Running
    broker: Recorder
    vault: Recorder
    keycloak: Recorder
    site: Site

    @property
    def behind(self) -> list[Recorder]:
        return [self.broker, self.vault, self.keycloak]

    def reset(self) -> None:
        for recorder in self.behind:
            recorder.seen.clear()
        self.broker.answer = told(204, {"X-TradePulse-Authorization": INTERNAL})
        self.vault.answer = lambda _seen: (200, {}, b'{"from":"vault"}')
        self.keycloak.answer = lambda _seen: (200, {}, b'{"from":"keycloak"}')


def told(status: int, headers: dict[str, str] | None = None):
    """An answer to `/authorize`; the broker's own pages always work."""
    return lambda seen: (status, headers or {}, b"") if seen.target == "/authorize" else (200, {}, b'{"from":"broker"}')


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    broker, vault, keycloak = Recorder(), Recorder(), Recorder()
    site = Site(
        names=("localhost", "127.0.0.1"),
        listen=f"127.0.0.1:{unused()}",
        broker=Upstream(broker.url),
        services={"vault": Upstream(vault.url)},
        identity=Upstream(keycloak.url),
        realm=REALM,
        source="127.0.0.2",
        limits=LOOSE,
        workers=1,
    )
    with nginx(site, tmp_path_factory.mktemp("nginx")) as running:
        yield World(running, broker, vault, keycloak, site)
    for recorder in (broker, vault, keycloak):
        recorder.close()


@pytest.fixture
def world(made: World) -> World:
    made.reset()
    return made


def locations(text: str) -> list[Block]:
    return [block for block in parse(text).walk() if block.head[0] == "location"]


SAMPLE = Site(
    names=("localhost",),
    listen="127.0.0.1:1",
    broker=Upstream("http://127.0.0.1:1"),
    services={"vault": Upstream("http://127.0.0.1:1")},
    identity=Upstream("http://127.0.0.1:1"),
    realm=REALM,
)
ROUTES = {route.match: route for route in routes(SAMPLE)}


def test_every_location_that_forwards_is_a_route_that_is_attacked_here(world: World) -> None:
    # The configuration is read with a parser of its own: a location that bypasses the table would show.
    forwarding = {" ".join(block.head[1:]) for block in locations(world.running.text) if block.values("proxy_pass")}
    assert forwarding == {*ROUTES, "= /_authorize/vault"}
    assert len(ROUTES) >= 8


def test_no_location_is_nested_and_each_has_the_whole_set_of_rules(world: World) -> None:
    # nginx takes `proxy_set_header` from outside only where a block has none of its own, so none relies on that.
    for block in locations(world.running.text):
        assert all(inner.head[0] == "if" for inner in block.blocks), block.head
        for inner in block.blocks:
            assert {words[0] for words in inner.directives} == {"return"}, block.head
        if block.values("proxy_pass"):
            assert block.values("proxy_pass_request_headers") == [("off",)], block.head
            set_here = [name.lower() for name, _ in block.values("proxy_set_header")]
            assert len(set_here) == len(set(set_here)), block.head
            assert set(set_here) >= {"host", "x-forwarded-for", "traceparent", "connection"}, block.head
    outer = [block for block in parse(world.running.text).walk() if block.head[0] in ("main", "http", "server")]
    assert all(not block.values("proxy_set_header") for block in outer)


def test_nothing_is_cached_or_written_to_a_disk(world: World) -> None:
    words = {words[0] for block in parse(world.running.text).walk() for words in block.directives}
    assert not {"proxy_cache", "proxy_cache_path", "proxy_store", "client_body_in_file_only"} & words
    server = [block for block in parse(world.running.text).walk() if block.values("client_body_buffer_size")]
    for block in server:
        assert block.values("client_body_buffer_size") == block.values("client_max_body_size")
        assert block.values("proxy_max_temp_file_size") == [("0",)]


@pytest.mark.parametrize("match", ROUTES)
def test_no_spelling_of_an_internal_header_passes(world: World, match: str) -> None:
    route = ROUTES[match]
    reply = get(world.running.port, route.sample, f"Authorization: {RAW}", *ATTACKS)
    assert reply is not None
    assert reply.status == 200
    reached = [(recorder, seen) for recorder in world.behind for seen in recorder.seen]
    assert len(reached) == (2 if route.service else 1)
    for recorder, seen in reached:
        question = recorder is world.broker and seen.target == "/authorize"
        allowed = {"x-tradepulse-service"} if question else {name.lower() for name in route.headers}
        if route.service:
            allowed.add("authorization")
        if recorder is world.broker:
            allowed.add("x-tradepulse-client-ip")
            assert seen.all("x-tradepulse-client-ip") == ["127.0.0.1"]
        assert seen.names <= OURS | allowed, seen.names - OURS - allowed
        assert seen.all("x-forwarded-for") == ["127.0.0.1"]
        assert seen.all("x-forwarded-host") == ["localhost"]
        assert seen.all("x-forwarded-proto") == ["http"]
        assert re.fullmatch(r"00-[0-9a-f]{32}-[0-9a-f]{16}-01", seen.all("traceparent")[0])
        text = repr([pair for pair in seen.headers if pair[0] != "user-agent"]).lower()
        assert "evil" not in text
        assert "6.6.6" not in text
        assert "eeeeeeee" not in text
        if question:
            assert seen.all("x-tradepulse-service") == [route.service]
        elif route.service:
            assert seen.all("authorization") == [INTERNAL]


@pytest.mark.parametrize("match", [match for match, route in ROUTES.items() if route.service])
@pytest.mark.parametrize(
    ("answer", "status"),
    [
        ((401, {"WWW-Authenticate": 'Bearer realm="tradepulse", error="invalid_token"'}), 401),
        ((403, {}), 403),
        ((429, {"Retry-After": "7"}), 503),
        ((500, {}), 503),
        ((503, {"Retry-After": "7"}), 503),
        ((302, {"Location": "/evil"}), 503),
        ((404, {}), 503),
        (None, 503),
    ],
)
def test_the_raw_token_never_goes_on_whatever_the_broker_says(
    world: World, match: str, answer: tuple[int, dict[str, str]] | None, status: int
) -> None:
    world.broker.answer = told(*answer) if answer else (lambda _seen: None)
    reply = get(world.running.port, ROUTES[match].sample, f"Authorization: {RAW}", *ATTACKS)
    assert reply is not None
    assert reply.status == status
    assert world.vault.seen == []
    assert reply.all("content-type") == ["application/problem+json"]
    assert reply.all("cache-control") == ["no-store"]
    assert b"what-the-client-sent" not in reply.body
    if answer and status == 401:
        assert reply.all("www-authenticate") == [answer[1]["WWW-Authenticate"]]
    if status == 503:
        assert reply.all("retry-after") == [answer[1].get("Retry-After", "1") if answer else "1"]
    assert not reply.all("x-tradepulse-authorization")


def test_a_broker_that_is_not_there_is_503_and_later_well_again(made: World, tmp_path: Path) -> None:
    gone, vault = Recorder(), Recorder()
    gone.close()
    site = Site(
        names=("localhost",),
        listen=f"127.0.0.1:{unused()}",
        broker=Upstream(gone.url),
        services={"vault": Upstream(vault.url)},
    )
    with nginx(site, tmp_path / "nginx") as running:
        reply = get(running.port, "/v1/partners", f"Authorization: {RAW}")
        assert reply is not None
        assert (reply.status, reply.all("retry-after")) == (503, ["1"])
        assert vault.seen == []
    vault.close()
    made.reset()
    answered = get(made.running.port, "/v1/partners", f"Authorization: {RAW}")
    assert answered is not None
    assert answered.status == 200


def test_a_yes_without_a_token_is_no_token_for_the_service(world: World) -> None:
    world.broker.answer = told(204)
    get(world.running.port, "/v1/partners", f"Authorization: {RAW}")
    assert [seen.all("authorization") for seen in world.vault.seen] == [[]]


def test_a_service_gets_no_cookie_and_the_asker_one_token_of_two(world: World) -> None:
    get(world.running.port, "/v1/partners", f"Authorization: {RAW}", "Authorization: Bearer second", "Cookie: a=b")
    assert [seen.all("authorization") for seen in world.broker.seen] in ([[RAW]], [])
    assert all(seen.all("authorization") == [INTERNAL] for seen in world.vault.seen)
    assert all("cookie" not in seen.names for seen in (*world.vault.seen, *world.broker.seen))


def test_people_keep_their_own_answers_at_one_address(world: World) -> None:
    def whose(seen: Seen):
        name = seen.all("authorization")[0].removeprefix("Bearer ")
        return 204, {"X-TradePulse-Authorization": f"Bearer internal-{name}"}, b""

    world.broker.answer = whose
    world.vault.answer = lambda seen: (
        200,
        {"Cache-Control": "public, max-age=3600", "ETag": '"1"'},
        seen.all("authorization")[0].encode(),
    )
    for name in ("one", "two", "one"):
        reply = get(world.running.port, "/v1/partners", f"Authorization: Bearer {name}", 'If-None-Match: "1"')
        assert reply is not None
        assert reply.body == f"Bearer internal-{name}".encode()
        assert reply.all("cache-control") == ["no-store"]


@pytest.mark.parametrize(
    "target",
    [
        "/_authorize/vault",
        "/authorize",
        "/",
        "/health",
        "/health/ready",
        "/metrics",
        "/admin/",
        "/admin/realms/tradepulse-dev",
        "/admin/master/console/",
        "/realms/master/.well-known/openid-configuration",
        "/realms/master/protocol/openid-connect/token",
        f"/realms/{REALM}",
        f"/realms/{REALM}/clients-registrations/openid-connect",
        f"/realms/{REALM}/protocol/saml",
        f"/realms/{REALM}/broker/workforce/token",
        f"/realms/{REALM}/account",
        f"/realms/{REALM}/devices",
        f"/realms/{REALM}-other/device",
        "/v1",
        "/v10/partners",
        "/V1/partners",
        "/token/",
        "/openapi.json",
    ],
)
def test_what_is_no_route_reaches_nobody(world: World, target: str) -> None:
    reply = get(world.running.port, target, f"Authorization: {RAW}", *ATTACKS)
    assert reply is not None
    assert reply.status == 404
    assert [seen for recorder in world.behind for seen in recorder.seen] == []


def test_keycloak_is_called_from_the_address_that_it_trusts(world: World) -> None:
    get(world.running.port, f"/realms/{REALM}/device")
    assert set(world.keycloak.peers) == {"127.0.0.2"}
    assert set(world.broker.peers) | set(world.vault.peers) <= {"127.0.0.1"}


def test_answers_carry_nothing_that_is_internal(world: World) -> None:
    spoken = {"X-TradePulse-Authorization": INTERNAL, "Server": "secret/1.0", "X-Powered-By": "secret"}
    world.vault.answer = lambda _seen: (200, spoken, b"{}")
    reply = get(world.running.port, "/v1/partners", f"Authorization: {RAW}")
    assert reply is not None
    assert "secret" not in repr(reply.headers)
    assert INTERNAL not in repr(reply.headers)
    assert reply.all("server") == ["nginx"]


def test_a_strong_answer_of_a_service_passes_as_it_is(world: World) -> None:
    demand = 'Bearer error="insufficient_user_authentication", acr_values="aal3", max_age="300"'
    world.vault.answer = lambda _seen: (401, {"WWW-Authenticate": demand}, b'{"mine":1}')
    reply = get(world.running.port, "/v1/partners", f"Authorization: {RAW}")
    assert reply is not None
    assert (reply.status, reply.all("www-authenticate"), reply.body) == (401, [demand], b'{"mine":1}')


def test_no_token_and_no_query_reaches_a_log(world: World) -> None:
    world.broker.answer = told(503)
    get(world.running.port, "/v1/partners?code=query-secret", f"Authorization: {RAW}")
    get(world.running.port, f"/realms/{REALM}/login-actions/authenticate?session_code=query-secret", "Cookie: s=jar")
    get(world.running.port, "/v1/partners?access_token=query-secret", f"Authorization: {RAW}")
    text = world.running.log()
    assert text.count('"status":503') >= 1
    for secret in ("query-secret", "what-the-client-sent", "what-the-broker-gave", "s=jar"):
        assert secret not in text
