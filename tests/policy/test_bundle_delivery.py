"""What reaches a running OPA: only bundles of ours, whole and signed; freezes among them, and at once."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest
from bundle_spoilers import BAD, unsigned
from bundle_world import ADMIN, Place, decision_log, question, with_grant_of
from opa_process import RunningOpa

from admin_sync.bundle.await_opa import wait_until_served
from admin_sync.bundle.errors import NotServed, PolicyRed
from admin_sync.bundle.keys import create_key
from admin_sync.bundle.published import CURRENT, Meta, read_published

Start = Callable[..., RunningOpa]


@pytest.mark.parametrize("spoil", BAD, ids=lambda spoil: spoil.__name__)
def test_opa_keeps_the_old_bundle_and_says_so(place: Place, start_opa: Start, spoil: Callable[[Place], bytes]) -> None:
    first = place.publish()
    server = start_opa("--config-file", place.config())
    place.served(server, first)
    (place.directory / CURRENT).write_bytes(spoil(place))

    status = server.eventually(
        lambda: server.http.get("/v1/status").json()["result"]["bundles"]["tradepulse"].get("message")
    )
    assert status
    assert any("Bundle load failed" in line for line in server.complaints())
    assert server.meta()["revision"] == first.meta.revision
    assert server.decide(question())["result"]["allow"] is True
    assert server.decide(question("eve@example.test"))["result"]["allow"] is False


@pytest.mark.parametrize("spoil", BAD, ids=lambda spoil: spoil.__name__)
def test_with_no_bundle_yet_nothing_is_decided(place: Place, start_opa: Start, spoil: Callable[[Place], bytes]) -> None:
    (place.directory / CURRENT).write_bytes(spoil(place))
    server = start_opa("--config-file", place.config())
    server.eventually(lambda: [line for line in server.complaints() if "Bundle load failed" in line])
    assert "result" not in server.decide(question())
    assert server.http.get("/health?bundles").status_code == 500


def test_opa_takes_the_good_bundle_that_follows_a_bad_one(place: Place, start_opa: Start) -> None:
    server = start_opa("--config-file", place.config())
    (place.directory / CURRENT).write_bytes(unsigned(place))
    server.eventually(lambda: [line for line in server.complaints() if "Bundle load failed" in line])
    place.served(server, place.publish(with_grant_of("eve@example.test")))
    assert server.decide(question("eve@example.test"))["result"]["allow"] is True


def test_a_bundle_is_in_force_within_two_seconds_of_its_publication(place: Place, start_opa: Start) -> None:
    server = start_opa("--config-file", place.config())
    place.served(server, place.publish())
    assert server.decide(question("eve@example.test"))["result"]["allow"] is False
    second = place.publish(with_grant_of("eve@example.test"))
    assert place.served(server, second) < 2
    answer = server.decide(question("eve@example.test"))
    assert answer["result"]["allow"] is True
    assert (answer["result"]["revision"], answer["result"]["serial"]) == (second.meta.revision, second.meta.serial)


def test_a_freeze_and_a_thaw_take_effect_within_two_seconds(place: Place, start_opa: Start) -> None:
    server = start_opa("--config-file", place.config())
    place.served(server, place.publish())
    assert place.served(server, place.publish(frozen=True)) < 2
    assert server.decide(question())["result"]["reasons"] == ["frozen"]
    assert server.decide(question(**ADMIN))["result"]["reasons"] == ["role:admin"]
    assert place.served(server, place.publish(thaw=True)) < 2
    assert server.decide(question())["result"]["allow"] is True


def test_any_web_server_with_validators_will_do(place: Place, start_opa: Start) -> None:
    """Deployments serve the directory by nginx, without long polling."""
    requests: list[int] = []

    class Plain(SimpleHTTPRequestHandler):
        def __init__(self, *arguments: object, **more: object) -> None:
            super().__init__(*arguments, directory=str(place.directory), **more)  # type: ignore[arg-type]

        def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
            requests.append(int(code))

    with ThreadingHTTPServer(("127.0.0.1", 0), Plain) as web:
        thread = threading.Thread(target=web.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        server = start_opa("--config-file", place.config(bundle_url=f"http://127.0.0.1:{web.server_address[1]}"))
        place.served(server, place.publish())
        assert place.served(server, place.publish(frozen=True)) < 4
        assert server.decide(question())["result"]["reasons"] == ["frozen"]
        assert len(requests) < 20
        web.shutdown()
        thread.join()


def test_a_replayed_bundle_shows_its_older_serial(place: Place, start_opa: Start) -> None:
    """OPA cannot know that a well-signed bundle is an old one. Its callers can, by the serial."""
    server = start_opa("--config-file", place.config())
    old = place.publish()
    content = (place.directory / CURRENT).read_bytes()
    new = place.publish(frozen=True)
    place.served(server, new)
    (place.directory / CURRENT).write_bytes(content)
    server.eventually(lambda: server.meta()["revision"] == old.meta.revision)
    assert server.decide(question())["result"]["serial"] == old.meta.serial < new.meta.serial


def test_opa_starts_without_the_server_from_the_bundle_it_kept(place: Place, start_opa: Start) -> None:
    config = place.config(persist_dir=place.home / "kept")
    first = start_opa("--config-file", config)
    place.served(first, place.publish())
    first.eventually(lambda: list((place.home / "kept").rglob(CURRENT)))
    first.process.terminate()
    first.process.wait()
    (place.directory / CURRENT).unlink()
    again = start_opa("--config-file", config)
    again.eventually(again.meta)
    assert again.decide(question())["result"]["allow"] is True


def test_red_tests_keep_everything_from_being_published(place: Place, tmp_path: Path) -> None:
    rules = tmp_path / "rules"
    rules.mkdir()
    (rules / "a.rego").write_text("package tradepulse.authz\n\nallow := true\n")
    (rules / "a_test.rego").write_text(
        "package tradepulse.authz_test\n\nimport data.tradepulse.authz\n\ntest_no if not authz.allow\n"
    )
    with pytest.raises(PolicyRed, match=r"nothing was published.*\n.*authz_test\.test_no"):
        place.publish(policy_dir=rules)
    assert read_published(place.directory) is None
    assert list(place.directory.iterdir()) == []


def test_waiting_for_an_opa_that_refuses_says_what_it_said(place: Place, start_opa: Start) -> None:
    server = start_opa("--config-file", place.config())
    other = place.home / "other.pem"
    create_key(other, place.home / "other.pub.pem")
    published = place.publish(key=other)
    with pytest.raises(NotServed, match=r"has no bundle yet .*failed to verify JWT signature"):
        wait_until_served(server.url, published.meta, timeout=1.5)


def test_waiting_for_an_opa_that_is_away_says_so() -> None:
    meta = Meta(revision="a-2", serial=2, built_at=0, valid_until=1, frozen=False, emergency_roles=(), digest="a")
    with pytest.raises(NotServed, match=r"cannot be asked \(ConnectError\)"):
        wait_until_served("http://127.0.0.1:9", meta, timeout=0.1)


def test_the_decision_log_shows_decisions_and_no_addresses(place: Place, start_opa: Start) -> None:
    server = start_opa("--config-file", place.config())
    place.served(server, place.publish())
    server.decide({**question(), "token": "eyJhbGciOi-canary"})
    server.decide("eyJhbGciOi-canary")
    server.http.get("/v1/data/tradepulse/iam/grants")
    decided = server.eventually(
        lambda: [e for e in decision_log(server) if e["path"] == "tradepulse/authz/decision"][1:]
    )
    assert decided
    text = json.dumps(decision_log(server))
    assert "canary" not in text
    assert "example.test" not in text
    assert "role:viewer" in text


def test_nobody_can_overwrite_what_the_bundle_owns(place: Place, start_opa: Start) -> None:
    server = start_opa("--config-file", place.config())
    place.served(server, place.publish())
    put = httpx.put(f"{server.url}/v1/data/tradepulse/iam/meta/frozen", json=True)
    assert put.status_code == 400
    policy = httpx.put(f"{server.url}/v1/policies/x", content="package tradepulse.authz\n\nsound contains 1")
    assert policy.status_code == 400
