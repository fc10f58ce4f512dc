"""The workspace behind the proxy: on a host of its own, with what a browser needs, and so many logins at once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from proxy_world import Recorder, Running, get, nginx

from session_broker.nginx.site import Limits, Site, SiteRefused, Upstream
from stack.ports import unused

HOST = "workspace.tradepulse.example"


@pytest.fixture(scope="module")
def pages() -> Iterator[Recorder]:
    made = Recorder(
        lambda _seen: (200, {"Set-Cookie": "__Host-x=1", "Cache-Control": "public, max-age=86400"}, b"page")
    )
    yield made
    made.close()


@pytest.fixture(scope="module")
def other() -> Iterator[Recorder]:
    made = Recorder()
    yield made
    made.close()


def site(pages: Recorder, other: Recorder, limits: Limits) -> Site:
    return Site(
        names=("localhost",),
        listen=f"127.0.0.1:{unused()}",
        broker=Upstream(other.url),
        services={"vault": Upstream(other.url)},
        workspace=Upstream(pages.url),
        workspace_names=(HOST,),
        limits=limits,
        workers=1,
    )


@pytest.fixture(scope="module")
def proxy(pages: Recorder, other: Recorder, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    loose = Limits(rate=1000, burst=1000, logins=1000, login_burst=1000)
    with nginx(site(pages, other, loose), tmp_path_factory.mktemp("nginx")) as running:
        yield running


def test_a_page_gets_what_it_needs_of_a_browser_and_nothing_else(proxy: Running, pages: Recorder) -> None:
    pages.seen.clear()
    sent = (
        "Cookie: __Host-tradepulse=x",
        "Origin: https://a.example",
        "Sec-Fetch-Site: same-origin",
        "HX-Request: true",
        "Authorization: Bearer raw",
        "TradePulse-Simulation: x",
        "X-Forwarded-For: 10.9.8.7",
    )
    reply = get(proxy.port, "/partners/acme/connections?after=a", *sent, host=HOST)
    assert reply is not None
    assert (reply.status, reply.body, reply.all("cache-control")) == (200, b"page", ["public, max-age=86400"])
    assert reply.all("set-cookie") == ["__Host-x=1"]
    (seen,) = pages.seen
    assert seen.target == "/partners/acme/connections?after=a"
    assert seen.all("host") == [HOST]
    assert {"cookie", "origin", "sec-fetch-site", "hx-request"} <= seen.names
    assert not {"authorization", "tradepulse-simulation"} & seen.names
    assert seen.all("x-forwarded-for") == ["127.0.0.1"]


@pytest.mark.parametrize(
    "path", ["/health/ready", "/health", "/metrics", "/auth/backchannel-logout", "/v1/../metrics", "//metrics"]
)
def test_what_is_for_inside_is_not_reached(proxy: Running, pages: Recorder, path: str) -> None:
    pages.seen.clear()
    reply = get(proxy.port, path, host=HOST, method="POST")
    assert reply is not None
    assert reply.status in (400, 404)
    assert pages.seen == []


def test_each_host_has_its_own_pages_only(proxy: Running, pages: Recorder, other: Recorder) -> None:
    pages.seen.clear()
    for path, host, status in (("/auth/login", "localhost", 404), ("/auth/login", "evil.example", 421)):
        reply = get(proxy.port, path, host=host)
        assert reply is not None
        assert reply.status == status
    assert pages.seen == other.seen == []


def test_who_begins_logins_by_the_hundred_waits_and_everybody_goes_on_reading(
    pages: Recorder, other: Recorder, tmp_path: Path
) -> None:
    pages.seen.clear()
    with nginx(site(pages, other, Limits(rate=1000, burst=1000, logins=1, login_burst=5)), tmp_path) as running:
        statuses = [reply.status for _ in range(40) if (reply := get(running.port, "/auth/login", host=HOST))]
        read = [reply.status for _ in range(40) if (reply := get(running.port, "/", host=HOST))]
    assert statuses[:6] == [200] * 6
    assert statuses.count(429) >= 25
    assert len([one for one in pages.seen if one.target == "/auth/login"]) == statuses.count(200)
    assert read == [200] * 40


@pytest.mark.parametrize(
    "wrong",
    [{"workspace_names": ()}, {"workspace": None}, {"workspace_names": ("localhost",)}, {"workspace_names": ("a b",)}],
)
def test_the_workspace_and_names_of_its_own_go_together(
    pages: Recorder, other: Recorder, wrong: dict[str, object]
) -> None:
    given = {"workspace": Upstream(pages.url), "workspace_names": (HOST,), **wrong}
    with pytest.raises(SiteRefused):
        Site(names=("localhost",), listen="127.0.0.1:1", broker=Upstream(other.url), **given)  # type: ignore[arg-type]
