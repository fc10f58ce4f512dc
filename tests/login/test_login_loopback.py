"""The loopback end of a login, attacked: another browser, another page, a second answer, a wrong name."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import httpx
import pytest

from identity.login.errors import Code, LoginFailed
from identity.login.loopback import Loopback
from identity.login.request import NotOurs

ISSUER = "https://sso.example/auth?state=the-state"


def read(target: str) -> str:
    if "state=the-state" not in target:
        raise NotOurs
    if "error=" in target:
        raise LoginFailed(Code.LOGIN_REFUSED, "the issuer said no")
    return target.rpartition("code=")[2]


@pytest.fixture
def loopback() -> Iterator[Loopback]:
    with Loopback(lambda redirect: f"{ISSUER}&redirect_uri={redirect}", read, grace=0.05) as running:
        yield running


def browser() -> httpx.Client:
    return httpx.Client(trust_env=False, timeout=5)


def begin(one: httpx.Client, loopback: Loopback) -> httpx.Response:
    return one.get(loopback.start)


def answer(one: httpx.Client, loopback: Loopback, query: str = "state=the-state&code=abc") -> httpx.Response:
    return one.get(f"{loopback.redirect_uri}?{query}")


def test_the_browser_that_began_ends_the_login_and_keeps_no_code(loopback: Loopback) -> None:
    with browser() as mine:
        sent = begin(mine, loopback)
        assert sent.status_code == 302
        assert sent.headers["Location"].startswith(ISSUER)
        assert "HttpOnly" in sent.headers["Set-Cookie"]
        taken = answer(mine, loopback)
        assert (taken.status_code, taken.headers["Location"]) == (303, f"{loopback.address}/done")
        page = mine.get(f"{loopback.address}/done")
        assert page.status_code == 200
        assert page.headers["Cache-Control"] == "no-store"
        assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    assert loopback.wait(0) == "abc"


def test_a_callback_in_another_browser_is_refused_and_the_login_goes_on(loopback: Loopback) -> None:
    with browser() as mine, browser() as other:
        begin(mine, loopback)
        assert answer(other, loopback).status_code == 400
        assert answer(mine, loopback).status_code == 303
    assert loopback.wait(0) == "abc"


def test_an_answer_before_the_login_began_is_refused(loopback: Loopback) -> None:
    with browser() as other:
        assert answer(other, loopback).status_code == 400
    with pytest.raises(LoginFailed) as failed:
        loopback.wait(0)
    assert failed.value.code is Code.TIMED_OUT


def test_an_address_that_two_browsers_opened_logs_nobody_in(loopback: Loopback) -> None:
    with browser() as other, browser() as mine:
        assert begin(other, loopback).status_code == 302
        assert begin(mine, loopback).status_code == 410
        assert answer(other, loopback).status_code == 410
    with pytest.raises(LoginFailed) as failed:
        loopback.wait(0)
    assert failed.value.code is Code.OPENED_ELSEWHERE


def test_the_same_browser_may_open_it_again(loopback: Loopback) -> None:
    with browser() as mine:
        assert [begin(mine, loopback).status_code for _ in range(2)] == [302, 302]
        assert answer(mine, loopback).status_code == 303


def test_an_answer_is_taken_once(loopback: Loopback) -> None:
    with browser() as mine:
        begin(mine, loopback)
        assert answer(mine, loopback).status_code == 303
        assert answer(mine, loopback, "state=the-state&code=second").status_code == 410
        assert begin(mine, loopback).status_code == 410
    assert loopback.wait(0) == "abc"


def test_an_answer_with_another_state_ends_nothing(loopback: Loopback) -> None:
    with browser() as mine:
        begin(mine, loopback)
        assert answer(mine, loopback, "state=other&code=evil").status_code == 400
        assert answer(mine, loopback).status_code == 303
    assert loopback.wait(0) == "abc"


def test_a_refusal_of_the_issuer_ends_the_login_and_is_shown(loopback: Loopback) -> None:
    with browser() as mine:
        begin(mine, loopback)
        page = answer(mine, loopback, "state=the-state&error=access_denied")
        assert page.status_code == 400
        assert "the issuer said no" in page.text
    with pytest.raises(LoginFailed) as failed:
        loopback.wait(0)
    assert failed.value.code is Code.LOGIN_REFUSED


def test_it_answers_to_its_own_name_and_to_reading_only(loopback: Loopback) -> None:
    with browser() as mine:
        for host in ("localhost", "evil.example", loopback.address.removeprefix("http://") + "."):
            assert mine.get(loopback.start, headers={"Host": host}).status_code == 400
        assert mine.post(loopback.start).status_code == 501
        assert mine.get(f"{loopback.address}/").status_code == 404
        assert mine.get(f"{loopback.address}/login/guess").status_code == 404
        assert begin(mine, loopback).status_code == 302


def test_it_listens_on_this_host_alone_and_is_gone_afterwards() -> None:
    with Loopback(lambda redirect: redirect, read) as running:
        port = int(running.address.rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port), timeout=5):
            pass
        with pytest.raises(OSError), socket.create_connection(("127.0.0.2", port), timeout=5):
            pass
    with pytest.raises(OSError), socket.create_connection(("127.0.0.1", port), timeout=5):
        pass
