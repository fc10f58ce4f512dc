"""The parts of `bench.session` that need no server: forgeries that are none, shares, rows that say what is missing."""

from __future__ import annotations

import base64
import json

from bench import results
from bench.session.__main__ import _ALONE, _PEER, _cached, _faults
from bench.session.checks import share
from bench.session.doors import Door
from bench.session.faults import Fault, claims, forgeries
from bench.vault.load import Load


def token() -> str:
    def coded(value: object) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    signature = base64.urlsafe_b64encode(bytes(range(64))).rstrip(b"=").decode()
    return f"{coded({'alg': 'RS256'})}.{coded({'iss': 'https://idp.example', 'sub': 'somebody'})}.{signature}"


def test_no_forgery_is_the_token_that_it_was_made_of() -> None:
    good = token()
    forged = forgeries(good)
    assert good not in forged
    assert len(set(forged)) == len(forged) == 6
    flipped = forged[0]
    assert flipped.split(".")[:2] == good.split(".")[:2]
    assert len(flipped) == len(good)
    assert claims(forged[1])["sub"] != claims(good)["sub"]


def test_a_share_is_a_value_that_was_there() -> None:
    assert share([3.0, 1.0, 2.0], 0.5) == 2.0
    assert share([1.0], 0.99) == 1.0
    assert share(list(map(float, range(100))), 0.99) == 99.0


def test_a_peer_that_is_not_here_has_a_reason_in_every_row() -> None:
    run = Load(rate=10.0, p50=1.0, p99=2.0, cpu={"nginx": 5.0, "session-broker": 50.0}, resident=1.0, busy=0.5)
    bare = Load(rate=20.0, p50=0.5, p99=1.0, cpu={"nginx": 4.0}, resident=1.0, busy=0.5)
    door = Door("http://127.0.0.1:1", {})
    chosen = {(who, count): (run if who == "ours" else bare) for who in ("ours", _ALONE) for count in (1, 16)}
    rows = list(_cached(chosen, {"ours": door, _ALONE: door}, "not on this machine"))
    results.result(rows, {}).check()
    assert all(row.why_null[_PEER] == "not on this machine" for row in rows)
    added = next(row for row in rows if row.case.startswith("what a check adds") and row.unit.startswith("CPU"))
    assert added.ours == 51.0


def test_a_fault_counts_who_was_kept_out_and_who_was_let_in() -> None:
    fault = Fault("nothing")
    fault.good.update({"200": 8, "503": 2})
    fault.bad.update({"401": 5})
    fault.sessions, fault.kept = 10, 9
    assert fault.failed == 2
    told = {row.unit: row.ours for row in _faults([fault])}
    assert (told["of these not let in"], told["wrong acceptances"], told["of 10 sessions kept"]) == (2.0, 0.0, 9.0)
