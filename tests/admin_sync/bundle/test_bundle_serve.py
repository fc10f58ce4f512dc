"""The bundle server answers at once when there is news, holds the request while there is none, and serves one file."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from admin_sync.bundle import serve
from admin_sync.bundle.published import CURRENT
from admin_sync.bundle.serve import BundleServer, main


@contextmanager
def serving(tmp_path: Path) -> Iterator[httpx.Client]:
    with BundleServer(("127.0.0.1", 0), tmp_path) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        with httpx.Client(
            base_url=f"http://127.0.0.1:{server.server_address[1]}", timeout=10, trust_env=False
        ) as client:
            yield client
        server.shutdown()
        thread.join()


@pytest.fixture
def web(tmp_path: Path) -> Iterator[httpx.Client]:
    with serving(tmp_path) as client:
        yield client


def replace(directory: Path, content: bytes) -> None:
    (directory / "new").write_bytes(content)
    (directory / "new").replace(directory / CURRENT)


def test_before_anything_is_published_there_is_nothing(web: httpx.Client) -> None:
    assert web.get(f"/{CURRENT}").status_code == 404


def test_who_has_the_bundle_is_told_so(web: httpx.Client, tmp_path: Path) -> None:
    replace(tmp_path, b"one")
    first = web.get(f"/{CURRENT}")
    assert (first.status_code, first.content) == (200, b"one")
    again = web.get(f"/{CURRENT}", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    replace(tmp_path, b"two")
    assert web.get(f"/{CURRENT}", headers={"If-None-Match": first.headers["etag"]}).content == b"two"


@pytest.mark.parametrize("before", [b"one", None])
def test_who_waits_gets_the_news_at_once(web: httpx.Client, tmp_path: Path, before: bytes | None) -> None:
    headers = {"Prefer": "modes=snapshot,delta; wait=20"}
    if before is not None:
        replace(tmp_path, before)
        headers["If-None-Match"] = web.get(f"/{CURRENT}").headers["etag"]
    threading.Timer(0.3, replace, (tmp_path, b"two")).start()
    started = time.monotonic()
    assert web.get(f"/{CURRENT}", headers=headers).content == b"two"
    assert 0.2 < time.monotonic() - started < 2


def test_who_waits_in_vain_is_told_so(web: httpx.Client, tmp_path: Path) -> None:
    replace(tmp_path, b"one")
    etag = web.get(f"/{CURRENT}").headers["etag"]
    started = time.monotonic()
    answer = web.get(f"/{CURRENT}", headers={"If-None-Match": etag, "Prefer": "wait=1"})
    assert answer.status_code == 304
    assert time.monotonic() - started >= 1
    # OPA holds on to long polling only while the server says that it does it.
    assert answer.headers["content-type"] == "application/vnd.openpolicyagent.bundles"


@pytest.mark.parametrize("path", ["/", "/secret.pem", "/../secret.pem", f"/x/{CURRENT}", "/.publish.lock"])
def test_nothing_else_is_served(web: httpx.Client, tmp_path: Path, path: str) -> None:
    (tmp_path / "secret.pem").write_text("canary")
    (tmp_path / ".publish.lock").write_text("canary")
    answer = web.get(path)
    assert (answer.status_code, answer.content) == (404, b"")


def test_an_address_that_is_taken_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with BundleServer(("127.0.0.1", 0), tmp_path) as server:
        taken = f"127.0.0.1:{server.server_address[1]}"
        assert main(["--directory", str(tmp_path), "--bind", taken]) == 1
    assert f"cannot serve bundles on {taken}" in capsys.readouterr().err


def test_who_comes_when_too_many_wait_is_sent_away_and_news_is_still_served(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(serve, "WAITING", 2)
    with serving(tmp_path) as web:
        answers: list[int] = []
        wait = {"Prefer": "wait=5"}
        patient = [
            threading.Thread(target=lambda: answers.append(web.get(f"/{CURRENT}", headers=wait).status_code))
            for _ in range(2)
        ]
        for one in patient:
            one.start()
        turned_away = 0
        while turned_away != 503:
            # Without patience until both are inside; from then on one more that would wait is told to come again.
            turned_away = web.get(f"/{CURRENT}", headers={"Prefer": "wait=1"}).status_code
        replace(tmp_path, b"one")
        for one in patient:
            one.join()
        assert answers == [200, 200]
        assert web.get(f"/{CURRENT}", headers=wait).status_code == 200


def test_one_connection_too_many_is_closed_and_makes_room_when_others_end(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(serve, "CONNECTIONS", 1)
    replace(tmp_path, b"one")
    with serving(tmp_path) as web:
        assert web.get(f"/{CURRENT}").status_code == 200
        # The first connection is kept open by its client.
        with pytest.raises(httpx.TransportError):
            httpx.get(web.base_url.join(CURRENT), trust_env=False)
        web.get(f"/{CURRENT}", headers={"Connection": "close"})
        while True:
            try:
                assert httpx.get(web.base_url.join(CURRENT), trust_env=False).status_code == 200
                return
            except httpx.TransportError:
                time.sleep(0.01)
